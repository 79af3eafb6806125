"""Installation of Argosy, its quick start, and the lab and demo to try and test it."""
