"""Pure planners that decide which tasks a service should have."""

__all__ = ["memory", "orchestrator", "slots"]
