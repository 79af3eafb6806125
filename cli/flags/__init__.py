"""Flags: parsers of their values, and the fields of a spec that they set."""

__all__ = ["cluster_flags", "compose_file_flags", "flag_values", "service_flags", "stored_file_flags", "time_values"]
