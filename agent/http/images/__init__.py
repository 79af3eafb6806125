"""/images."""
