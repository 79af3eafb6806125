"""Containers' logs on disk."""

__all__ = ["log_file", "log_format"]
