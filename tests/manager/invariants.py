"""Invariants of every state that the leader creates."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Hashable, Sequence
from functools import lru_cache
from itertools import combinations

from api.network.network_spec import INGRESS
from api.objects.decided import Task
from api.states import TaskState
from manager.store.state import State


def check(state: State) -> None:
    """Check that nothing is allocated twice, and that every allocation is inside its range."""
    addresses = [
        *((held.network_id, held.address) for task in state.tasks.values() for held in task.addresses),
        *((held.network_id, held.address) for node in state.node_decisions.values() for held in node.gateways),
        *((vip.network_id, vip.address) for service in state.service_decisions.values() for vip in service.vips),
    ]
    bare = [(network_id, _bare(address)) for network_id, address in addresses]
    assert not _twice(bare)
    for network_id, address in bare:
        assert _is_inside(address, state.network_decisions[network_id].subnet)
    assert not _twice([(p.protocol, p.published_port) for d in state.service_decisions.values() for p in d.ports])
    assert not _twice([decision.vni for decision in state.network_decisions.values()])
    assert _are_apart(tuple(decision.subnet for decision in state.network_decisions.values()))
    wanted: dict[tuple[str, int], set[str]] = {}
    for task in state.tasks.values():
        if task.state is TaskState.ASSIGNED and not state.has_ended(task):
            key = task.service_id, task.revision
            if key not in wanted:
                wanted[key] = networks(state, task)
            assert {held.network_id for held in task.addresses} == wanted[key]
            assert task.node_id


def _twice(items: Sequence[Hashable]) -> list[Hashable]:
    if len(set(items)) == len(items):
        return []
    return [item for item, number in Counter(items).items() if number > 1]


@lru_cache(None)
def _bare(address: str) -> str:
    return address.partition("/")[0]


@lru_cache(None)
def _is_inside(address: str, subnet: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(subnet)


@lru_cache(None)
def _are_apart(subnets: tuple[str, ...]) -> bool:
    pairs = combinations(map(ipaddress.ip_network, subnets), 2)
    return not any(one.overlaps(other) for one, other in pairs)


def networks(state: State, task: Task) -> set[str]:
    spec = state.revisions_of(task.service_id)[task.revision].spec
    found = {target.target for target in spec.task_template.networks}
    published = spec.endpoint_spec and any(port.publish_mode == "ingress" for port in spec.endpoint_spec.ports)
    return found | {INGRESS} if published else found
