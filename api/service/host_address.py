"""Addresses of hosts: where ports are published (`HostIP`; "" is every address there is), and where hosts listen."""

from __future__ import annotations


def join_host_port(host: str, port: int) -> str:
    """ "address:port", with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
