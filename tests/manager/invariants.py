"""What holds in every state the leader brings about, whatever happens."""

from __future__ import annotations

import ipaddress
from collections import Counter
from functools import lru_cache

from api.objects import INGRESS, Task
from api.states import TaskState
from manager.store.state import State

ip_interface, ip_network = lru_cache(None)(ipaddress.ip_interface), lru_cache(None)(ipaddress.ip_network)


def check(state: State) -> None:
    """Nothing is held twice, and all of it is where it belongs."""
    addresses: Counter[tuple[str, str]] = Counter()
    for task in state.tasks.values():
        addresses.update((held.network_id, held.address.partition("/")[0]) for held in task.addresses)
    for node in state.node_decisions.values():
        addresses.update((held.network_id, held.address.partition("/")[0]) for held in node.gateways)
    for service in state.service_decisions.values():
        addresses.update((vip.network_id, vip.address) for vip in service.vips)
    assert not [key for key, number in addresses.items() if number > 1]
    for network_id, address in addresses:
        assert ip_interface(address).ip in ip_network(state.network_decisions[network_id].subnet)
    ports = Counter((p.protocol, p.published_port) for d in state.service_decisions.values() for p in d.ports)
    assert not [key for key, number in ports.items() if number > 1]
    vnis = Counter(decision.vni for decision in state.network_decisions.values())
    assert not [vni for vni, number in vnis.items() if number > 1]
    subnets = [ip_network(decision.subnet) for decision in state.network_decisions.values()]
    assert not any(a.overlaps(b) for a in subnets for b in subnets if a is not b)
    for task in state.tasks.values():
        if task.state is TaskState.ASSIGNED and not state.has_ended(task):
            assert {held.network_id for held in task.addresses} == networks(state, task)
            assert task.node_id


def networks(state: State, task: Task) -> set[str]:
    spec = state.revisions_of(task.service_id)[task.revision].spec
    found = {target.target for target in spec.task_template.networks}
    published = spec.endpoint_spec and any(port.publish_mode == "ingress" for port in spec.endpoint_spec.ports)
    return found | {INGRESS} if published else found
