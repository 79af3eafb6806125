"""/containers and /exec."""
