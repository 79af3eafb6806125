"""The gRPC service of this host for other hosts, and its access control."""

__all__ = ["callers", "host_service", "image_grants"]
