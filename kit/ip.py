"""IPv4 addresses as numbers and back, and addresses with their port.

Plain arithmetic for addresses that are known to be valid: `ipaddress` also checks them, and is slower.
"""

from __future__ import annotations


def number_of(address: str) -> int:
    """The number of an IPv4 address. A prefix length behind it is ignored."""
    a, b, c, d = address.partition("/")[0].split(".")
    return int(a) << 24 | int(b) << 16 | int(c) << 8 | int(d)


def address_of(number: int) -> str:
    """The IPv4 address of a number's lowest 32 bits."""
    return f"{number >> 24 & 255}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def join_host_port(host: str, port: int) -> str:
    """ "address:port", with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
