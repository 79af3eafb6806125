"""Text to values: YAML trees, variables, and the small languages of attributes."""
