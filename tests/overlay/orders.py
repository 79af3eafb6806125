"""Small networks, as assignments of managers."""

from __future__ import annotations

from api.service.ports import PortConfig
from api.wire.assignments import EndpointAssignment, NetworkAssignment, PeerAssignment, ServiceAssignment
from overlay.plan.kernel_objects import HostFacts
from overlay.plan.network_snapshot import NetworkSnapshot

HOST = HostFacts("192.0.2.1", "eth0", 1500, 4789)


def network(vni: int = 4097, *, internal: bool = False, ingress: bool = False) -> NetworkAssignment:
    return NetworkAssignment(
        "n1", "shop_default", vni, "10.0.1.0/24", "10.0.1.128/25", "10.0.1.1/24", internal=internal, ingress=ingress
    )


def endpoint(task: str, address: str, host: str, *, ready: bool = True, service: str = "web") -> EndpointAssignment:
    return EndpointAssignment(f"{task}.n1", "n1", service, task, task, host, host, address, f"host-{task}", ready)


def service(
    name: str, vip: str, *, aliases: tuple[str, ...] = (), ports: tuple[PortConfig, ...] = ()
) -> ServiceAssignment:
    return ServiceAssignment(f"{name}.n1", "n1", name, name, vip, list(aliases), list(ports))


def peer(host: str, gateway: str) -> PeerAssignment:
    return PeerAssignment(f"{host}.n1", "n1", host, host, gateway)


def ingress_snapshot() -> NetworkSnapshot:
    """A service with a VIP and a published port, one task here and one on another host."""
    port = PortConfig(target_port=80, published_port=8080)
    return NetworkSnapshot(
        network(ingress=True),
        (service("web", "10.0.1.130", aliases=("www",), ports=(port,)),),
        (endpoint("web.1", "10.0.1.11", "192.0.2.1"), endpoint("web.2", "10.0.1.12", "192.0.2.2")),
        (peer("192.0.2.1", "10.0.1.1"), peer("192.0.2.2", "10.0.1.2")),
    )
