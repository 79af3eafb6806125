"""Addresses of hosts: where ports are published (`HostIP`; "" is every address there is), and where hosts listen."""

from __future__ import annotations


def overlap(one: str, other: str) -> bool:
    """Whether two ports of the same number would meet: at the same address, or one of them at every address."""
    return not one or not other or one == other


def join_host_port(host: str, port: int) -> str:
    """ "address:port", with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
