"""The node's own part of the HTTP API, and where it is served."""

__all__ = ["api_socket", "docker_socket", "node_context", "node_routes"]
