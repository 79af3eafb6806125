"""Which ports of a service are published, and where."""

from __future__ import annotations

from typing import Literal

from api.codec import Value


class PortConfig(Value, frozen=True):
    """A published port. `published_port` 0 asks for one from 30000–32767 (ingress) or a free one (host)."""

    name: str = ""
    protocol: Literal["tcp", "udp", "sctp"] = "tcp"
    target_port: int = 0
    published_port: int = 0
    publish_mode: Literal["ingress", "host"] = "ingress"
    host_ip: str = ""
    """The only address of a host it answers at; "" for all. 127.0.0.1: to the host itself alone."""

    @property
    def is_on_host(self) -> bool:
        """Whether it is published on each task's own host only, rather than on every host by the routing mesh."""
        return self.publish_mode == "host"


class EndpointSpec(Value, frozen=True):
    """How a service is reached."""

    mode: Literal["", "vip", "dnsrr"] = ""
    ports: list[PortConfig] = []


def overlap(one: str, other: str) -> bool:
    """Whether two ports of the same number would meet: at the same address, or one of them at every address."""
    return not one or not other or one == other
