"""Flags: their small languages, and how they reach a spec."""

__all__ = ["cluster_flags", "compose_file_flags", "flag_values", "service_flags", "stored_file_flags", "time_values"]
