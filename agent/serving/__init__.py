"""What this host does for others over gRPC, and who may ask."""

__all__ = ["callers", "host_service", "image_grants"]
