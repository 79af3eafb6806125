"""What is in force, and how a service comes to it: revisions, dependencies, rolling updates. Pure."""
