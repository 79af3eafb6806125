"""The cluster part of the Docker Engine API."""

__all__ = ["cluster", "cluster_context", "cluster_routes", "networks", "services"]
