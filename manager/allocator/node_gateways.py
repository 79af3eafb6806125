"""Gateways: the addresses of the nodes' bridges, one for each network that a node takes part in.

A node takes part in a network while one of its tasks holds an address there, and always in ingress.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from api.network.network_spec import INGRESS
from api.objects.decided import Gateway, NodeDecision
from api.objects.kinds import NODE_DECISION
from api.reasons.reason import Code, reason
from manager.allocator.allocation_round import AllocationRound

_RETRY = 5.0
"""Seconds until the next attempt for a node whose bridge got no address."""


def decide_gateways(allocation: AllocationRound, node_ids: Iterable[str]) -> None:
    """Add the gateways that the nodes' tasks need, and remove those that are not needed any more."""
    for node_id in sorted(node_ids):
        decision = allocation.state.node_decisions.get(node_id)
        if decision is not None and node_id in allocation.state.nodes:
            _decide(allocation, node_id, decision)


def _explain(allocation: AllocationRound, node_id: str, network_id: str) -> None:
    """Write the reason to the tasks that wait for the bridge, where users will look for it."""
    why = reason(Code.NO_BRIDGE_ADDRESS_LEFT, network=allocation.network_name(network_id))
    for task in list(allocation.state.tasks_on(node_id).values()):
        if task.reason != why and any(held.network_id == network_id for held in task.addresses):
            allocation.builder.put_task(task, reason=why)


def _decide(allocation: AllocationRound, node_id: str, decision: NodeDecision) -> None:
    wanted = dict.fromkeys(sorted(allocation.index.on_node.get(node_id, ())))
    if not allocation.problem(INGRESS):
        wanted[INGRESS] = None
    held = {gateway.network_id: gateway for gateway in decision.gateways}
    gateways = [gateway for gateway in decision.gateways if gateway.network_id in wanted]
    for network_id in wanted:
        if network_id in held:
            continue
        if address := allocation.host_address(network_id):
            gateways.append(Gateway(network_id, address))
        else:
            allocation.builder.again("nodes", node_id, allocation.builder.now + _RETRY)
            _explain(allocation, node_id, network_id)
    if gateways != decision.gateways:
        allocation.builder.put(NODE_DECISION, node_id, replace(decision, gateways=gateways))
