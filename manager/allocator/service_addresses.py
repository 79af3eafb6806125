"""Virtual addresses of services, one for each of their networks, and their ports on the routing mesh."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from api import defaults
from api.objects.decided import ServiceDecision, ServiceVIP
from api.objects.kinds import SERVICE_DECISION
from api.objects.wanted import Service
from api.reasons.reason import Code, Reason, reason
from api.service.ports import PortConfig, overlap
from api.service.service_spec import ServiceSpec
from manager.allocator.allocation_round import AllocationRound


def decide_services(allocation: AllocationRound, service_ids: Iterable[str]) -> dict[str, Reason]:
    """Allocate what the services lack, oldest first. Returns, by service, what it did not get or still waits for."""
    services = [service for id in service_ids if (service := allocation.state.services.get(id)) is not None]
    services.sort(key=lambda service: (service.created_at, service.id))
    return {service.id: problem for service in services if (problem := _decide(allocation, service))}


def _decide(allocation: AllocationRound, service: Service) -> Reason | None:
    decision = allocation.state.service_decisions.get(service.id)
    revisions = allocation.state.revisions_of(service.id)
    if decision is None or decision.revision not in revisions:
        return reason(Code.BEING_TAKEN_UP)
    spec = revisions[decision.revision].spec
    # Tasks of older revisions keep their VIPs.
    older = sorted(allocation.index.revisions.get(service.id, {}).keys() - {decision.revision})
    specs = [spec, *(revisions[number].spec for number in older if number in revisions)]
    vips, problem = _vips(allocation, decision, specs)
    ports, conflict = _ports(allocation, service.id, decision, spec)
    why = conflict or problem
    allocation.builder.put(SERVICE_DECISION, service.id, replace(decision, vips=vips, ports=ports, reason=why))
    return why or (decision.waiting if decision.held else None)


def _vips(
    allocation: AllocationRound, decision: ServiceDecision, specs: list[ServiceSpec]
) -> tuple[list[ServiceVIP], Reason | None]:
    if not specs[0].has_vip:
        return [], None
    held = {vip.network_id: vip for vip in decision.vips}
    vips: list[ServiceVIP] = []
    problem: Reason | None = None
    for network_id in dict.fromkeys(id for spec in specs for id in spec.network_ids):
        vip = held.get(network_id)
        if vip is None:
            address = None if allocation.problem(network_id) else allocation.vip(network_id)
            vip = ServiceVIP(network_id, address) if address else None
        if vip is not None:
            vips.append(vip)
        elif network_id in specs[0].network_ids:
            name = allocation.network_name(network_id)
            problem = allocation.problem(network_id) or reason(Code.NO_VIRTUAL_ADDRESS_LEFT, network=name)
    return vips, problem


def _ports(
    allocation: AllocationRound, service_id: str, decision: ServiceDecision, spec: ServiceSpec
) -> tuple[list[PortConfig], Reason | None]:
    wanted = spec.mesh_ports
    fixed: set[tuple[str, int]] = {(port.protocol, port.published_port) for port in wanted}
    before = [port for port in decision.ports if (port.protocol, port.published_port) not in fixed]
    got: list[PortConfig] = []
    problem: Reason | None = None
    for port in wanted:
        number = port.published_port or _kept(before, port) or _picked(allocation, port.protocol, fixed, service_id)
        holder = allocation.port_holder((port.protocol, number), port.host_ip, service_id)
        if holder is not None:
            problem = reason(Code.PORT_TAKEN, port=number, service=_name(allocation, holder), service_id=holder)
        elif any(_meet(port, number, other) for other in got):
            continue  # listed twice; the API refuses this
        elif not number:
            low, high = defaults.AUTO_PORTS
            problem = reason(Code.NO_PORT_LEFT, low=low, high=high)
        else:
            allocation.ports[port.protocol, number].add((service_id, port.host_ip))
            fixed.add((port.protocol, number))
            got.append(replace(port, published_port=number))
    return got, problem


def _meet(port: PortConfig, number: int, other: PortConfig) -> bool:
    same = (port.protocol, number) == (other.protocol, other.published_port)
    return same and overlap(port.host_ip, other.host_ip)


def _kept(before: list[PortConfig], port: PortConfig) -> int:
    """The port that was picked for the same target before; 0 if none. Removes it from `before`."""
    for index, old in enumerate(before):
        if (old.protocol, old.target_port, old.host_ip) == (port.protocol, port.target_port, port.host_ip):
            return before.pop(index).published_port
    return 0


def _picked(allocation: AllocationRound, protocol: str, own: set[tuple[str, int]], service_id: str) -> int:
    low, high = defaults.AUTO_PORTS
    for number in range(low, high + 1):
        if (protocol, number) not in own and allocation.port_holder((protocol, number), "", service_id) is None:
            return number
    return 0


def _name(allocation: AllocationRound, service_id: str) -> str:
    service = allocation.state.services.get(service_id)
    return service.spec.name if service else service_id
