"""The line to a manager."""
