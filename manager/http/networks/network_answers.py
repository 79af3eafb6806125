"""Networks of the cluster, as the Engine API answers them. Pure."""

from __future__ import annotations

import ipaddress

from api.engine.common import timestamp
from api.engine.networks import (
    IPAMAnswer,
    NetworkAnswer,
    NetworkContainerAnswer,
    NetworkServiceAnswer,
    NetworkTaskAnswer,
    NetworkTaskInfoAnswer,
    PeerAnswer,
)  # fmt: skip
from api.network.network_spec import IPAMConfig
from api.objects.wanted import Network, Service
from manager.hosts.occupied_prefixes import network_troubles
from manager.store.lookup import hostname
from manager.store.naming import task_name
from manager.store.state import State

VNI_OPTION = "com.docker.network.driver.overlay.vxlanid_list"


def network_answer(state: State, network: Network, *, own_id: str = "", verbose: bool = False) -> NetworkAnswer:
    """The answer about a network; with `own_id` also peers and this node's containers, with `verbose` its services."""
    spec, decision = network.spec, state.network_decisions.get(network.id)
    users = (
        (service for service in state.services.values() if service.spec.is_on_network(network.id)) if verbose else ()
    )
    return NetworkAnswer(
        spec.name,
        network.id,
        timestamp(network.created_at),
        "swarm",
        "overlay",
        ipam=IPAMAnswer(config=_ranges(state, network)),
        internal=spec.internal,
        attachable=spec.attachable,
        ingress=spec.ingress,
        containers=_containers(state, network.id, own_id) if own_id else None,
        options={**spec.options, **({VNI_OPTION: str(decision.vni)} if decision else {})},
        labels=spec.labels,
        peers=_peers(state, network.id) if own_id else None,
        services={one.spec.name: _service(state, one, network.id) for one in users} if verbose else None,
        warnings=network_troubles(state, network.id) if own_id else [],
    )


def _ranges(state: State, network: Network) -> list[IPAMConfig]:
    decision = state.network_decisions.get(network.id)
    if decision is None:
        return network.spec.ipam.config
    subnet = ipaddress.ip_network(decision.subnet)
    asked = network.spec.ipam.config[0] if network.spec.ipam.config else IPAMConfig()
    # the first address is never given out; Docker's clients look for a gateway here
    gateway = asked.gateway or str(subnet.network_address + 1)
    return [IPAMConfig(subnet=decision.subnet, ip_range=asked.ip_range, gateway=gateway)]


def _peers(state: State, network_id: str) -> list[PeerAnswer]:
    peers = []
    for node_id, decision in state.node_decisions.items():
        description = state.descriptions.get(node_id)
        if description and any(gateway.network_id == network_id for gateway in decision.gateways):
            peers.append(PeerAnswer(node_id[:12], description.address))
    return sorted(peers, key=lambda peer: peer.name)


def _containers(state: State, network_id: str, node_id: str) -> dict[str, NetworkContainerAnswer]:
    containers = {}
    for task in state.tasks_on(node_id).values():
        status = state.statuses.get(task.id)
        if status is None or not status.container_id or status.state.is_terminal:
            continue
        for address in task.addresses:
            if address.network_id == network_id:
                containers[status.container_id] = NetworkContainerAnswer(
                    task_name(state, task), f"{task.id}.{network_id}", ipv4_address=address.address
                )
    return containers


def _service(state: State, service: Service, network_id: str) -> NetworkServiceAnswer:
    decision = state.service_decisions.get(service.id)
    vips = [vip.address for vip in (decision.vips if decision else ()) if vip.network_id == network_id]
    tasks = []
    for task in state.tasks_of(service.id).values():
        addresses = [a.address.partition("/")[0] for a in task.addresses if a.network_id == network_id]
        if addresses and not state.task_state(task).is_terminal:
            host = NetworkTaskInfoAnswer(hostname(state, task.node_id))
            tasks.append(
                NetworkTaskAnswer(task_name(state, task), f"{task.id}.{network_id}", addresses[0], host)
            )  # fmt: skip
    return NetworkServiceAnswer(vips[0] if vips else "", tasks=tasks)
