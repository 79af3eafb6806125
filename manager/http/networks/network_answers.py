"""Networks of the cluster, as the Engine API shows them. Pure."""

from __future__ import annotations

import ipaddress
from typing import Any

from api.codec import shown
from api.engine.common import timestamp
from api.network.network_spec import IPAMConfig
from api.objects.wanted import Network, Service
from manager.hosts.occupied_prefixes import network_troubles
from manager.store.lookup import hostname
from manager.store.naming import task_name
from manager.store.state import State

Json = dict[str, Any]

VNI_OPTION = "com.docker.network.driver.overlay.vxlanid_list"


def network_view(state: State, network: Network, *, own_id: str = "", verbose: bool = False) -> Json:
    """A network; with `own_id` also its peers and this node's containers on it, `verbose` its services."""
    spec, decision = network.spec, state.network_decisions.get(network.id)
    options = {**spec.options, **({VNI_OPTION: str(decision.vni)} if decision else {})}
    view: Json = {
        "Name": spec.name,
        "Id": network.id,
        "Created": timestamp(network.created_at),
        "Scope": "swarm",
        "Driver": "overlay",
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": _ranges(state, network)},
        "Internal": spec.internal,
        "Attachable": spec.attachable,
        "Ingress": spec.ingress,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": _containers(state, network.id, own_id) if own_id else None,
        "Options": options,
        "Labels": spec.labels,
    }
    if own_id:
        view["Peers"] = _peers(state, network.id)
        # Argosy's own: there only when there is something to say
        if troubles := network_troubles(state, network.id):
            view["Warnings"] = troubles
    if verbose:
        users = (service for service in state.services.values() if uses(service, network.id))
        view["Services"] = {service.spec.name: _service(state, service, network.id) for service in users}
    return view


def uses(service: Service, network_id: str) -> bool:
    """Whether a service is on a network by its spec."""
    return any(target.target == network_id for target in service.spec.network_targets)


def _ranges(state: State, network: Network) -> list[Json]:
    decision = state.network_decisions.get(network.id)
    if decision is None:
        return [shown(config) for config in network.spec.ipam.config]
    subnet = ipaddress.ip_network(decision.subnet)
    asked = network.spec.ipam.config[0] if network.spec.ipam.config else IPAMConfig()
    # the first address is never given out; Docker's clients look for a gateway here
    view = {"Subnet": decision.subnet, "Gateway": asked.gateway or str(subnet.network_address + 1)}
    return [{**view, "IPRange": asked.ip_range} if asked.ip_range else view]


def _peers(state: State, network_id: str) -> list[Json]:
    peers = []
    for node_id, decision in state.node_decisions.items():
        description = state.descriptions.get(node_id)
        if description and any(gateway.network_id == network_id for gateway in decision.gateways):
            peers.append({"Name": node_id[:12], "IP": description.address})
    return sorted(peers, key=lambda peer: peer["Name"])


def _containers(state: State, network_id: str, node_id: str) -> Json:
    containers: Json = {}
    for task in state.tasks_on(node_id).values():
        status = state.statuses.get(task.id)
        if status is None or not status.container_id or status.state.is_terminal:
            continue
        for address in task.addresses:
            if address.network_id == network_id:
                containers[status.container_id] = {
                    "Name": task_name(state, task),
                    "EndpointID": f"{task.id}.{network_id}",
                    "MacAddress": "",
                    "IPv4Address": address.address,
                    "IPv6Address": "",
                }
    return containers


def _service(state: State, service: Service, network_id: str) -> Json:
    decision = state.service_decisions.get(service.id)
    vips = [vip.address for vip in (decision.vips if decision else ()) if vip.network_id == network_id]
    tasks = []
    for task in state.tasks_of(service.id).values():
        addresses = [a.address.partition("/")[0] for a in task.addresses if a.network_id == network_id]
        if addresses and not state.task_state(task).is_terminal:
            tasks.append({
                "Name": task_name(state, task),
                "EndpointID": f"{task.id}.{network_id}",
                "EndpointIP": addresses[0],
                "Info": {"Host": hostname(state, task.node_id)},
            })  # fmt: skip
    return {"VIP": vips[0] if vips else "", "Ports": [], "LocalLBIndex": 0, "Tasks": tasks}
