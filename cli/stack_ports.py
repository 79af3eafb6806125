"""Published ports that move from one service of a stack to another: pure.

The cluster gives a port to one service at a time, so the one that has it must give it up before the other can ask for
it, also when two services swap theirs. Giving up a port of the routing mesh restarts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from api.specs import PortConfig, ServiceSpec
from cli.views import Service

_replace = msgspec.structs.replace


def given_up(wanted: Iterable[tuple[Service | None, ServiceSpec]]) -> Iterator[tuple[Service, ServiceSpec]]:
    """Services that hold a port which another one wants and they do not any more, each without such ports.

    `wanted` has what each service is now (None for a new one) and is to be.
    """
    pairs = list(wanted)
    claims = {port: spec.name for _, spec in pairs for port in map(_key, _mesh(spec)) if port[1]}
    for current, spec in pairs:
        if current is None or current.spec.endpoint_spec is None:
            continue
        lost = {port for port in map(_key, _mesh(current.spec)) if claims.get(port, spec.name) != spec.name}
        if lost:
            endpoint = current.spec.endpoint_spec
            kept = [port for port in endpoint.ports if port.publish_mode == "host" or _key(port) not in lost]
            yield current, _replace(current.spec, endpoint_spec=_replace(endpoint, ports=kept))


def _mesh(spec: ServiceSpec) -> list[PortConfig]:
    ports = spec.endpoint_spec.ports if spec.endpoint_spec else []
    return [port for port in ports if port.publish_mode == "ingress"]


def _key(port: PortConfig) -> tuple[str, int]:
    return port.protocol, port.published_port
