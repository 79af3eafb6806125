"""/containers and /exec."""

__all__ = [
    "container_actions",
    "container_answers",
    "container_execs",
    "container_files",
    "container_handlers",
    "container_stats",
]
