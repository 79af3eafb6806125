"""Admission of a spec: checks it against the cluster and resolves names to ids, before it is stored. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import msgspec

from api.errors import Conflict, Invalid, NotFound, Unimplemented
from api.objects.wanted import Service
from api.reasons.reason import Code, reason
from api.reasons.reason_text import refusal
from api.service.ports import PortConfig, overlap
from api.service.service_spec import NetworkTarget, ServiceSpec
from api.service.service_validation import service_problems
from api.service.unsupported import service_refusals
from manager.http.networks import ingress_network
from manager.http.networks.predefined_networks import DRIVERS, HOST, NONE
from manager.http.stored_file_references import with_ids
from manager.store.claims import is_taken
from manager.store.lookup import find_network
from manager.store.state import State

replace = msgspec.structs.replace


def admit(state: State, spec: ServiceSpec, service: Service | None = None) -> ServiceSpec:
    """The spec to store for a new service, or for `service` when it is changed; takes the canonical form.

    Raises Invalid, Unimplemented, NotFound (a network), Conflict (the name).
    """
    if problems := service_problems(spec):
        raise Invalid.of(problems)
    if refusals := service_refusals(spec):
        raise Unimplemented("; ".join(refusals))
    if service is None:
        _check_name(state, spec.name)
    else:
        _check_same(service.spec, spec)
    _check_ports(state, spec, service.id if service else "")
    if spec.mesh_ports and not ingress_network.is_there(state):
        raise Invalid(
            "EndpointSpec.Ports: the routing mesh has no network now; make one (`docker network create --ingress`),"
            " or publish in mode host"
        )
    _check_circle(state, spec)
    networks = [_resolve(state, target) for target in spec.task_template.networks]
    if len({target.target for target in networks}) < len(networks):
        raise Invalid("TaskTemplate.Networks: a network is given twice, by different names")
    spec = with_ids(state, spec)
    return replace(spec, task_template=replace(spec.task_template, networks=networks))


# ── checks against the rest of the cluster ───────────────────────────────────────────────────────────────────────


def _check_name(state: State, name: str) -> None:
    if state.service_named(name) or is_taken(state, "service", name):
        raise Conflict(f"name conflicts with an existing object: service {name} already exists")


def _check_same(old: ServiceSpec, new: ServiceSpec) -> None:
    if old.name != new.name:
        raise Unimplemented(f"renaming services is not supported ({old.name} to {new.name})")
    if old.mode_kind is not new.mode_kind:
        raise Unimplemented("service mode change is not allowed")


def _check_circle(state: State, spec: ServiceSpec) -> None:
    """Refuse a cycle of dependencies: such services would wait for ever."""
    seen: set[str] = set()
    ways = [[item.service] for item in spec.depends_on]
    while ways:
        way = ways.pop()
        if way[-1] == spec.name:
            way_back = " → ".join([spec.name, *way])
            raise refusal(Invalid, reason(Code.WAITS_FOR_ITSELF, service=spec.name, way=way_back))
        other = state.service_named(way[-1])
        if other is not None and other.id not in seen:
            seen.add(other.id)
            ways += [[*way, item.service] for item in other.spec.depends_on]


def _check_ports(state: State, spec: ServiceSpec, own_id: str) -> None:
    """Published ports are the cluster's (swarmkit checkPortConflicts); host-mode ones are the scheduler's."""
    wanted = [port for port in spec.ports if port.published_port]
    if not wanted:
        return
    for service in state.services.values():
        if service.id == own_id:
            continue
        taken: dict[tuple[str, int], list[PortConfig]] = {}
        for held in _ports_of(state, service):
            taken.setdefault((held.protocol, held.published_port), []).append(held)
        for port in wanted:
            others = taken.get((port.protocol, port.published_port), ())
            clash = next((other for other in others if _clash(port, other)), None)
            if clash is None:
                continue
            raise refusal(
                Invalid,
                reason(
                    Code.PORT_TAKEN,
                    port=port.published_port,
                    service=service.spec.name,
                    service_id=service.id,
                    mode=clash.publish_mode,
                ),
            )


def _clash(port: PortConfig, other: PortConfig) -> bool:
    """Whether two published ports with one number conflict: their addresses overlap, and not both are host-mode."""
    return overlap(port.host_ip, other.host_ip) and not (port.is_on_host and other.is_on_host)


def _ports_of(state: State, service: Service) -> Iterator[PortConfig]:
    """The ports it asks for, and those that the allocator picked for it. (It will release ports of older revisions.)"""
    decision = state.service_decisions.get(service.id)
    yield from service.spec.ports
    open_ones = {(port.protocol, port.target_port) for port in service.spec.ports if not port.published_port}
    yield from (port for port in (decision.ports if decision else ()) if (port.protocol, port.target_port) in open_ones)


def _resolve(state: State, target: NetworkTarget) -> NetworkTarget:
    name = target.target
    if name in (HOST, NONE):
        return target
    if name in DRIVERS:
        raise Invalid(f"network {name} cannot be used with services: only overlay networks, host and none can")
    try:
        network = find_network(state, name)
    except NotFound:
        raise NotFound(f"network {name} not found") from None
    if network.spec.ingress:
        raise Invalid(f"network {network.spec.name} is the routing mesh's; publish a port to use it")
    decision = state.network_decisions.get(network.id)
    if target.ipv4_address and decision and IPv4Address(target.ipv4_address) not in IPv4Network(decision.subnet):
        facts = {"address": target.ipv4_address, "subnet": decision.subnet, "network": network.spec.name}
        raise refusal(Invalid, reason(Code.ADDRESS_OUTSIDE_SUBNET, **facts))
    return replace(target, target=network.id)
