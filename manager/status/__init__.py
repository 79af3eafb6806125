"""What the state says to people: verdicts, reasons, histories, events. Pure."""

__all__ = ["event_log", "explanation", "revision_history"]
