"""/services and /tasks."""

__all__ = ["insight_handlers", "service_admission", "service_answers", "service_handlers", "task_handlers"]
