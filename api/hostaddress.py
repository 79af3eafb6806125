"""The addresses of a host that ports are published at (`HostIP` of a port): "" is every address it has."""

from __future__ import annotations


def overlap(one: str, other: str) -> bool:
    """Whether two ports of the same number would meet: at the same address, or one of them at every address."""
    return not one or not other or one == other
