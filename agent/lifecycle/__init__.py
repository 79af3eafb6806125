"""A task's life as values and functions. Pure."""
