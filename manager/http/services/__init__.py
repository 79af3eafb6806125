"""/services and /tasks."""
