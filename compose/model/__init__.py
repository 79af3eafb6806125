"""The project as types, and what goes from phase to phase."""
