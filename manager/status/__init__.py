"""The state as people read it: verdicts, explanations, histories, events. Pure."""

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
