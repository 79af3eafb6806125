"""Hosts: calls to them, failure detection, and the address prefixes they use."""

__all__ = ["host_client", "host_detector", "occupied_prefixes", "suspicion"]
