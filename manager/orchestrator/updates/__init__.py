"""What is in force, and how a service comes to it: revisions, dependencies, rolling updates. Pure."""

__all__ = ["dependencies", "revisions", "rolling_update"]
