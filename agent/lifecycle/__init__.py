"""A task's life as values and functions. Pure."""

__all__ = ["adoption", "assignment_set", "container_plan", "health", "step", "task_files"]
