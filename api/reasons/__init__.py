"""Why, as a value. Pure."""
