"""Published ports in a deploy plan: conflicts with other services, and ports that move between services. Pure.

The cluster gives a port to one service at a time. So the service that holds it must give it up before another can get
it, also when two services swap ports. Giving up a port of the routing mesh restarts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from api.engine.services import ServiceAnswer
from api.service.ports import PortConfig, overlap
from api.service.service_spec import ServiceSpec

_replace = msgspec.structs.replace
_Key = tuple[str, int, str]
"""Protocol, published port, and host address ("": every address)."""
_T = TypeVar("_T")


def ports_given_up(
    wanted: Iterable[tuple[ServiceAnswer | None, ServiceSpec]],
) -> Iterator[tuple[ServiceAnswer, ServiceSpec]]:
    """Services that hold a port which moves to another service, each with its spec without such ports.

    `wanted` has each service's present state (None for a new service) and its new spec.
    """
    pairs = list(wanted)
    claims = _by_number((key, spec.name) for _, spec in pairs for key in map(_key, spec.mesh_ports) if key[1])
    for current, spec in pairs:
        if current is None or current.spec.endpoint_spec is None:
            continue
        lost = {
            key
            for key in map(_key, current.spec.mesh_ports)
            if any(name != spec.name and overlap(key[2], address) for address, name in claims.get(key[:2], ()))
        }
        if lost:
            endpoint = current.spec.endpoint_spec
            kept = [port for port in endpoint.ports if port.is_on_host or _key(port) not in lost]
            yield current, _replace(current.spec, endpoint_spec=_replace(endpoint, ports=kept))


def needs_name_or_port(wanted: Iterable[tuple[ServiceAnswer | None, ServiceSpec]]) -> bool:
    """Whether a service gets a new name or port, which must be compared with all services of the cluster."""
    return any(current is None or set(_ports(spec)) - set(_ports(current.spec)) for current, spec in wanted)


def conflicts(specs: Iterable[ServiceSpec], others: Iterable[ServiceAnswer]) -> Iterator[str]:
    """A sentence for each name and port that a service outside this deploy holds.

    The rule is the managers' (manager/http/services/service_admission.py): two services may publish the same port in
    mode host, on different hosts, and in any mode at different addresses of a host.
    """
    others = list(others)
    names = {service.spec.name for service in others}
    ports = _by_number((key, (mode, other.spec.name)) for other in others for key, mode in _held(other).items())
    for spec in specs:
        if spec.name in names:
            yield f"service {spec.name} exists and is not of this stack; choose another name, or remove it"
        for (protocol, number, address), mode in _ports(spec).items():
            for held, (holder_mode, holder) in ports.get((protocol, number), ()):
                if overlap(address, held) and not mode == holder_mode == "host":
                    yield f"service {spec.name}: port {number}/{protocol} is already in use by service {holder}"


def _by_number(keys: Iterable[tuple[_Key, _T]]) -> dict[tuple[str, int], list[tuple[str, _T]]]:
    """Protocol and number → pairs of host address and value."""
    found: dict[tuple[str, int], list[tuple[str, _T]]] = {}
    for (protocol, number, address), value in keys:
        found.setdefault((protocol, number), []).append((address, value))
    return found


def _ports(spec: ServiceSpec) -> dict[_Key, str]:
    """The published ports that the spec names → their modes."""
    return {_key(port): port.publish_mode for port in spec.ports if port.published_port}


def _held(service: ServiceAnswer) -> dict[_Key, str]:
    """The same, with the ports that the cluster picked for the service."""
    targets = {(port.protocol, port.target_port) for port in service.spec.ports if not port.published_port}
    picked = [port for port in service.endpoint.ports or [] if (port.protocol, port.target_port) in targets]
    return _ports(service.spec) | {_key(port): port.publish_mode for port in picked}


def _key(port: PortConfig) -> _Key:
    return port.protocol, port.published_port, port.host_ip
