"""Assignments: what each host must know, derived from the state. Pure."""

__all__ = ["assignment_index", "assignment_sources", "connection_draining", "image_sources"]
