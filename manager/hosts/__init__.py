"""Calls to the hosts, and the watch over which of them answer."""

__all__ = ["host_client", "host_detector", "occupied_prefixes", "suspicion"]
