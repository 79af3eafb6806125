"""Makes a task's life happen: the worker, a runner per task, and what is remembered on disk."""

__all__ = ["checkpoint", "task_actions", "worker"]
