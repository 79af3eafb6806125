"""Runs this host's tasks: session with a manager, task life-cycle, runtime, network."""

__all__ = ["http", "lifecycle", "main", "options", "runtime", "serving", "session"]
