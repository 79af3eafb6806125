"""/networks."""
