"""The commands, one file per noun that the user types."""
