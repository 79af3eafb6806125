"""What the state says to people: verdicts, reasons, histories, events. Pure."""

__all__ = [
    "encoded_specs",
    "event_log",
    "explanation",
    "revision_history",
    "service_counts",
    "service_verdict",
    "stack_verdict",
    "verdict_watch",
]
