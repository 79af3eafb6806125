"""The allocator: subnets and VNIs, virtual addresses and ports, task and bridge addresses.

A round handles networks, services, nodes and tasks in this order, so that each step can use what the one before has
allocated. If something cannot be allocated, the reason is written to the tasks that wait for it.
"""

from __future__ import annotations

from api.network.network_spec import INGRESS
from manager.allocator.allocation_round import AllocationRound
from manager.allocator.memory import Memory
from manager.allocator.network_subnets import decide_networks
from manager.allocator.node_gateways import decide_gateways
from manager.allocator.service_addresses import decide_services
from manager.allocator.task_addresses import allocate_addresses, free_addresses, new_tasks
from manager.plan import Plan, PlanBuilder
from manager.store.state import Dirty, State


def allocator(state: State, memory: Memory, dirty: Dirty, now: float) -> Plan:
    """The planner that allocates and frees addresses and ports. See manager/plan.py."""
    for network_id in dirty.networks - state.network_decisions.keys():
        memory.latest.pop(network_id, None)
    allocation = AllocationRound(PlanBuilder(state, now), memory)
    decide_networks(allocation)
    waiting = new_tasks(allocation)
    services = dirty.services | allocation.index.lacking.keys() | {service_id for service_id, _ in waiting}
    for network_id in dirty.networks | allocation.subnets.keys():
        services |= allocation.index.kept_by.get(network_id, {}).keys()
    problems = decide_services(allocation, services)
    everywhere = INGRESS in dirty.networks or INGRESS in allocation.subnets
    decide_gateways(allocation, state.nodes if everywhere else dirty.nodes)
    allocate_addresses(allocation, waiting, problems)
    free_addresses(allocation, dirty.tasks)
    return allocation.builder.plan()
