"""/services and /tasks."""

__all__ = [
    "insight_handlers",
    "service_admission",
    "service_handlers",
    "task_answers",
    "task_handlers",
    "verdict_handlers",
]
