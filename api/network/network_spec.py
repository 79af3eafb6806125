"""The network spec: a network as its user wants it, with its address ranges."""

from __future__ import annotations

import msgspec

from api.codec import Value


class IPAMConfig(Value, frozen=True):
    """One address range of a network."""

    subnet: str = ""
    ip_range: str = msgspec.field(default="", name="IPRange")
    gateway: str = ""
    auxiliary_addresses: dict[str, str] = {}


class IPAM(Value, frozen=True):
    """Address management of a network; empty config: the leader picks a subnet."""

    driver: str = ""
    options: dict[str, str] | None = None
    config: list[IPAMConfig] = []


class NetworkSpec(Value, frozen=True):
    """A network as its user wants it (body of POST /networks/create)."""

    name: str = ""
    driver: str = ""
    scope: str = ""
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    enable_ipv6: bool = msgspec.field(default=False, name="EnableIPv6")
    ipam: IPAM = IPAM()
    options: dict[str, str] = {}
    labels: dict[str, str] = {}


INGRESS = "ingress"
