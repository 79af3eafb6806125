"""The allocator: subnets and VNIs, virtual addresses and ports, task and bridge addresses.

One round goes from the general to the particular, so that what one step gives the next can use: networks, services,
nodes, tasks. Whatever cannot be had leaves its reason as the message of the tasks that wait for it.
"""

from __future__ import annotations

from api.objects import INGRESS
from manager.allocator.allocation import Allocation
from manager.allocator.gateways import decide_gateways
from manager.allocator.networks import decide_networks
from manager.allocator.services import decide_services
from manager.allocator.tasks import give_addresses, new_tasks, take_back
from manager.draft import Draft
from manager.store.base import Plan
from manager.store.state import Dirty, State


def allocator(state: State, dirty: Dirty, now: float) -> Plan:
    """The planner that gives addresses and ports and takes them back. See manager/store/base.py."""
    allocation = Allocation(Draft(state, now))
    decide_networks(allocation)
    waiting = new_tasks(allocation)
    services = dirty.services | allocation.book.lacking.keys() | {service_id for service_id, _ in waiting}
    for network_id in dirty.networks | allocation.subnets.keys():
        services |= allocation.book.kept_by.get(network_id, {}).keys()
    problems = decide_services(allocation, services)
    everywhere = INGRESS in dirty.networks or INGRESS in allocation.subnets
    decide_gateways(allocation, state.nodes if everywhere else dirty.nodes)
    give_addresses(allocation, waiting, problems)
    take_back(allocation, dirty.tasks)
    return allocation.draft.plan()
