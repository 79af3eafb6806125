"""Output of commands: rows, tables, progress."""

__all__ = [
    "drain_progress",
    "explanation",
    "format_templates",
    "formatting",
    "log_output",
    "node_rows",
    "output",
    "revision_rows",
    "run_rows",
    "service_details",
    "service_progress",
    "service_rows",
    "task_rows",
    "transfer_progress",
]
