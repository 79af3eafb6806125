"""The host part of the Docker Engine API."""

__all__ = ["host_events", "host_network_answers", "host_routes", "system_info"]
