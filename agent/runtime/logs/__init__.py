"""The logs of containers on disk."""

__all__ = ["log_file", "log_format"]
