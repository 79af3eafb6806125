"""What each host is to be told. Pure."""

__all__ = ["assignment_index", "assignment_sources", "connection_draining", "image_sources"]
