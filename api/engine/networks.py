"""Networks: the bodies of the /networks paths."""

from __future__ import annotations

import msgspec

from api.codec import Value
from api.engine.common import Answer, always
from api.labels import stack_of
from api.network.network_spec import IPAMConfig, NetworkSpec


class ConfigFromRequest(Value, frozen=True):
    """A network to take the settings from."""

    network: str = ""


class NetworkCreateRequest(NetworkSpec, frozen=True):
    """Body of POST /networks/create: the spec, and fields that are read only to be refused or ignored."""

    check_duplicate: bool = False
    """Deprecated by Docker: duplicates are always refused."""
    enable_ipv4: bool = msgspec.field(default=True, name="EnableIPv4")
    config_only: bool = False
    config_from: ConfigFromRequest | None = None


class IPAMAnswer(Answer, frozen=True):
    """The address ranges of a network."""

    driver: str = always("default")
    options: dict[str, str] | None = always(None)
    config: list[IPAMConfig] | None = always([])


class ConfigFromAnswer(Answer, frozen=True):
    """Always empty: Argosy has no configuration-only networks."""

    network: str = always("")


class NetworkContainerAnswer(Answer, frozen=True):
    """A container on a network."""

    name: str = always("")
    endpoint_id: str = always("")
    mac_address: str = msgspec.field(default_factory=str, name="MacAddress")
    ipv4_address: str = always("")
    ipv6_address: str = always("")


class PeerAnswer(Answer, frozen=True):
    """A node that is on a network."""

    name: str = always("")
    ip: str = always("")


class NetworkTaskInfoAnswer(Answer, frozen=True):
    """The host that a task runs on."""

    host: str = always("")


class NetworkTaskAnswer(Answer, frozen=True):
    """A task on a network."""

    name: str = always("")
    endpoint_id: str = always("")
    endpoint_ip: str = always("")
    info: NetworkTaskInfoAnswer = always(NetworkTaskInfoAnswer())


class NetworkServiceAnswer(Answer, frozen=True):
    """A service on a network."""

    vip: str = always("")
    ports: list[str] = always([])
    local_lb_index: int = msgspec.field(default_factory=int, name="LocalLBIndex")
    tasks: list[NetworkTaskAnswer] = always([])


class NetworkAnswer(Answer, frozen=True):
    """GET /networks/{id}, and an item of GET /networks."""

    name: str = always("")
    id: str = msgspec.field(default_factory=str, name="Id")
    created: str = always("0001-01-01T00:00:00Z")
    scope: str = always("")
    driver: str = always("")
    enable_ipv4: bool = msgspec.field(default_factory=lambda: True, name="EnableIPv4")
    enable_ipv6: bool = msgspec.field(default_factory=bool, name="EnableIPv6")
    ipam: IPAMAnswer = msgspec.field(default_factory=lambda: IPAMAnswer(), name="IPAM")
    internal: bool = always(False)
    attachable: bool = always(False)
    ingress: bool = always(False)
    config_from: ConfigFromAnswer = always(ConfigFromAnswer())
    config_only: bool = always(False)
    containers: dict[str, NetworkContainerAnswer] | None = always(None)
    """By id; null in lists."""
    options: dict[str, str] | None = always({})
    labels: dict[str, str] | None = always({})
    peers: list[PeerAnswer] | None = None
    services: dict[str, NetworkServiceAnswer] | None = None
    """By name, when asked for with `verbose=true`."""
    warnings: list[str] = []
    """Argosy's own: hosts whose own addresses or routes overlap its subnet."""

    @property
    def stack(self) -> str:
        """The stack it belongs to; "" for none."""
        return stack_of(self.labels)


class NetworkCreatedAnswer(Answer, frozen=True):
    """POST /networks/create."""

    id: str = msgspec.field(default_factory=str, name="Id")
    warning: str = always("")


class NetworksPrunedAnswer(Answer, frozen=True):
    """POST /networks/prune."""

    networks_deleted: list[str] | None = always(None)
