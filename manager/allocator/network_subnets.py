"""Subnets and VNIs of networks: allocated once, freed when the network was removed and nothing uses it any more."""

from __future__ import annotations

from ipaddress import IPv4Network

from api import defaults
from api.network import subnets
from api.network.network_spec import INGRESS
from api.objects.decided import NetworkDecision
from api.objects.kinds import NETWORK, NETWORK_DECISION
from api.objects.wanted import Network
from api.reasons.reason import Code, Reason, reason
from manager.allocator.allocation_round import AllocationRound
from manager.allocator.subnet_layout import free_subnet, free_vni, overlapping, requested_subnet, vip_range
from manager.hosts.occupied_prefixes import OccupiedPrefixes, in_use

VNI_OPTION = "com.docker.network.driver.overlay.vxlanid_list"


def decide_networks(allocation: AllocationRound) -> None:
    """Allocate subnets for networks that have none, oldest first, and delete networks that were removed."""
    for network_id in sorted(allocation.index.leaving):
        _let_go(allocation, network_id)
    undecided = (allocation.state.networks[id] for id in allocation.index.undecided)
    for network in sorted(undecided, key=lambda network: (network.created_at, network.id)):
        _decide(allocation, network)


def _let_go(allocation: AllocationRound, network_id: str) -> None:
    index = allocation.index
    if index.held.get(network_id) or index.wanted_by.get(network_id):
        return
    allocation.builder.delete(NETWORK, network_id)
    allocation.builder.delete(NETWORK_DECISION, network_id)


def _decide(allocation: AllocationRound, network: Network) -> None:
    subnet, problem = _subnet_for(allocation, network)
    if subnet is None:
        if problem is not None:
            allocation.trouble[network.id] = problem
        return
    used = {*allocation.index.vnis, *allocation.vnis}
    vni = _requested_vni(network)
    if vni is None or vni in used:
        vni = free_vni(used, defaults.FIRST_VNI)
    allocation.subnets[network.id] = subnet
    allocation.vnis.add(vni)
    decision = NetworkDecision(str(subnet), vip_range(network, subnet), vni)
    allocation.builder.put(NETWORK_DECISION, network.id, decision)


def _subnet_for(allocation: AllocationRound, network: Network) -> tuple[IPv4Network | None, Reason | None]:
    state, used = allocation.state, {**allocation.index.subnets, **allocation.subnets}
    wanted, problem = requested_subnet(network)
    if problem:
        return None, problem
    if wanted is None:
        return _any_subnet(allocation, network, used)
    if (other := overlapping(wanted, used)) is not None:
        name = allocation.network_name(other)
        return None, reason(Code.SUBNET_OVERLAPS_NETWORK, subnet=str(wanted), network=name)
    if user := subnets.special(wanted) or in_use(state, wanted):
        return None, reason(Code.SUBNET_OVERLAPS, subnet=str(wanted), user=user)
    return wanted, None


def _any_subnet(
    allocation: AllocationRound, network: Network, used: dict[str, IPv4Network]
) -> tuple[IPv4Network | None, Reason | None]:
    """A free subnet of the cluster's pools, or the reason why there is none.

    A new cluster has its ingress network before any host has reported the prefixes it uses, so that is waited for.
    """
    state, cluster = allocation.state, allocation.state.cluster
    if state.nodes and not state.descriptions:
        return None, reason(Code.WAITING_FOR_FIRST_HOST)
    pools = (cluster.address_pool if cluster else []) or [defaults.ADDRESS_POOL]
    length = cluster.subnet_length if cluster else defaults.SUBNET_LENGTH
    taken = [*used.values(), *_not_ours(allocation, network)]
    if network.id == INGRESS and pools == [defaults.ADDRESS_POOL]:
        # room for an address of every task that publishes a port, and of every host
        usual = IPv4Network(defaults.INGRESS_SUBNET)
        if not any(usual.overlaps(other) for other in taken):
            return usual, None
        length = usual.prefixlen
    subnet = free_subnet(pools, length, taken) or free_subnet(pools, defaults.SUBNET_LENGTH, taken)
    if subnet is None:
        users = filter(None, (in_use(state, IPv4Network(pool)) for pool in pools))
        return None, reason(Code.ADDRESS_POOL_EXHAUSTED, pools=", ".join(pools), user=next(users, ""))
    return subnet, None


def _not_ours(allocation: AllocationRound, network: Network) -> list[IPv4Network]:
    """Subnets to avoid: those that hosts use, that other networks ask for, and that ingress will get."""
    state = allocation.state
    found = [*subnets.SPECIAL]
    for node_id, prefixes in state.index(OccupiedPrefixes).prefixes.items():
        if node_id in state.nodes:
            found += prefixes
    if network.id != INGRESS and INGRESS not in allocation.index.subnets:
        found.append(IPv4Network(defaults.INGRESS_SUBNET))
    for id in allocation.index.undecided:
        wanted, _ = requested_subnet(allocation.state.networks[id])
        if wanted is not None:
            found.append(wanted)
    return found


def _requested_vni(network: Network) -> int | None:
    first = network.spec.options.get(VNI_OPTION, "").partition(",")[0].strip()
    return int(first) if first.isdecimal() and 0 < int(first) < 1 << 24 else None
