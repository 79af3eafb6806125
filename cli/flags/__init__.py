"""Flags: their small languages, and how they reach a spec."""
