"""Networks: each gets a subnet and a VNI once, and gives them back when it is gone and nothing is on it any more."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from api import defaults
from api.objects import INGRESS, NETWORK, NETWORK_DECISION, Network, NetworkDecision
from manager.allocator.allocation import Allocation
from manager.allocator.layout import free_subnet, free_vni, overlapping, requested_subnet, vip_range

VNI_OPTION = "com.docker.network.driver.overlay.vxlanid_list"


def decide_networks(allocation: Allocation) -> None:
    """Give subnets to networks that have none, the oldest first; let those go that are to go."""
    for network_id in sorted(allocation.book.leaving):
        _let_go(allocation, network_id)
    undecided = (allocation.state.networks[id] for id in allocation.book.undecided)
    for network in sorted(undecided, key=lambda network: (network.created_at, network.id)):
        _decide(allocation, network)


def _let_go(allocation: Allocation, network_id: str) -> None:
    book = allocation.book
    if book.held.get(network_id) or book.wanted_by.get(network_id):
        return
    allocation.draft.delete(NETWORK, network_id)
    allocation.draft.delete(NETWORK_DECISION, network_id)


def _decide(allocation: Allocation, network: Network) -> None:
    subnet, problem = _subnet_for(allocation, network)
    if subnet is None:
        allocation.trouble[network.id] = problem
        return
    used = {*allocation.book.vnis, *allocation.vnis}
    vni = _requested_vni(network)
    if vni is None or vni in used:
        vni = free_vni(used, defaults.FIRST_VNI)
    allocation.subnets[network.id] = subnet
    allocation.vnis.add(vni)
    decision = NetworkDecision(str(subnet), vip_range(network, subnet), vni)
    allocation.draft.put(NETWORK_DECISION, network.id, decision)


def _subnet_for(allocation: Allocation, network: Network) -> tuple[IPv4Network | None, str]:
    used = {**allocation.book.subnets, **allocation.subnets}
    wanted, problem = requested_subnet(network)
    if problem:
        return None, problem
    if wanted is None and network.id == INGRESS:
        ingress = IPv4Network(defaults.INGRESS_SUBNET)
        wanted = None if overlapping(ingress, used) else ingress
    if wanted is not None:
        if (other := overlapping(wanted, used)) is not None:
            return None, f"subnet {wanted} overlaps with that of network {allocation.network_name(other)}"
        return wanted, ""
    cluster = allocation.state.cluster
    pools = (cluster.address_pool if cluster else []) or [defaults.ADDRESS_POOL]
    length = cluster.subnet_length if cluster else defaults.SUBNET_LENGTH
    subnet = free_subnet(pools, length, [*used.values(), *_not_ours(allocation)])
    if subnet is None:
        return None, f"no subnet is left in the cluster's address pool {', '.join(pools)}"
    return subnet, ""


def _not_ours(allocation: Allocation) -> list[IPv4Network]:
    """Subnets that would be in the way: the hosts' own addresses, those other networks ask for, and ingress's."""
    found = [IPv4Network(defaults.INGRESS_SUBNET)]
    for seen in allocation.state.descriptions.values():
        try:
            found.append(IPv4Network(IPv4Address(seen.address)))
        except ValueError:
            continue
    for id in allocation.book.undecided:
        wanted, _ = requested_subnet(allocation.state.networks[id])
        if wanted is not None:
            found.append(wanted)
    return found


def _requested_vni(network: Network) -> int | None:
    first = network.spec.options.get(VNI_OPTION, "").partition(",")[0].strip()
    return int(first) if first.isdecimal() and 0 < int(first) < 1 << 24 else None
