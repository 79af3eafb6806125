"""Runs this host's tasks: session with a manager, task life-cycle, runtime, network."""
