"""Index of what is allocated: addresses, subnets, VNIs and ports with their holders, and the users of each network.

Invariant: an allocation is stored in the decided object of its holder and nowhere else; this index is derived from
those objects. An address is free again when the object that held it is changed or deleted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any

from api.objects.decided import ServiceDecision, Task  # fmt: skip
from api.objects.kinds import KINDS, NETWORK, NETWORK_DECISION, NODE_DECISION, REVISION, SERVICE, SERVICE_DECISION, TASK
from kit.ip import number_of
from manager.store.state import Event, State

Port = tuple[str, int]
"""Protocol and published port."""
PortHolder = tuple[str, str]
"""Id of the service, and the host address where it publishes the port ("" for all addresses)."""


class AllocationIndex:
    """What is held, indexed by network, node, service and port. An index of the state."""

    def __init__(self, state: State) -> None:
        self.held: defaultdict[str, Counter[int]] = defaultdict(Counter)
        """By network: held addresses as integers."""
        self.subnets: dict[str, IPv4Network] = {}
        self.vnis: Counter[int] = Counter()
        self.ports: defaultdict[Port, Counter[PortHolder]] = defaultdict(Counter)
        """The holders of each port. Two holders at one address exist only after a mistake."""
        self.bridges: Counter[str] = Counter()
        """By network: number of nodes with a bridge on it."""
        self.revisions: defaultdict[str, Counter[int]] = defaultdict(Counter)
        """By service: revisions whose tasks hold addresses."""
        self.on_node: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """By node: networks that its tasks hold addresses on."""
        self.wanted_by: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """By network: services with a spec that names it."""
        self.kept_by: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """By network: services with a stored revision that names it."""
        self.fixed: defaultdict[str, Counter[int]] = defaultdict(Counter)
        """By network: addresses that services ask for by value; they are never given to others."""
        self.lacking: Counter[str] = Counter()
        """Services that did not get everything they need."""
        self.undecided: set[str] = set()
        """Networks without a decision yet."""
        self.spans: dict[str, tuple[int, int, int]] = {}
        """By network: the last counted range (first and last address) and the number of held addresses in it."""
        self.leaving: set[str] = set()
        """Networks being removed, and networks that were deleted but still have a decision."""
        self._state = state
        for kind in KINDS:
            if kind.name in _TURNS:
                for id, value in state.table(kind).items():
                    self.follow(Event(kind, id, value, 0))

    def used(self, network_id: str, low: int, high: int) -> int:
        """Returns the number of held addresses from `low` to `high`; counted once, then updated with each change."""
        span = self.spans.get(network_id)
        if span is None or span[:2] != (low, high):
            number = sum(1 for held in self.held.get(network_id, ()) if low <= held <= high)
            span = self.spans[network_id] = (low, high, number)
        return span[2]

    def follow(self, event: Event) -> None:
        """Apply a change of the state."""
        if (turn := _TURNS.get(event.kind.name)) is None:
            return
        if event.old is not None:
            turn(self, event.id, event.old, -1)
        if event.new is not None:
            turn(self, event.id, event.new, +1)
        if event.kind in (NETWORK, NETWORK_DECISION):
            self._judge_network(event.id)

    def _task(self, id: str, task: Task, sign: int) -> None:
        if task.addresses:
            _count_in(self.revisions, task.service_id, task.revision, sign)
        for held in task.addresses:
            self._hold(held.network_id, held.address, sign)
            if task.node_id:
                _count_in(self.on_node, task.node_id, held.network_id, sign)

    def _node(self, id: str, decision: Any, sign: int) -> None:
        for gateway in decision.gateways:
            _count(self.bridges, gateway.network_id, sign)
            self._hold(gateway.network_id, gateway.address, sign)

    def _service(self, id: str, decision: ServiceDecision, sign: int) -> None:
        if decision.reason:
            _count(self.lacking, id, sign)
        for vip in decision.vips:
            self._take(vip.network_id, number_of(vip.address), sign)
        for port in decision.ports:
            _count_in(self.ports, (port.protocol, port.published_port), (id, port.host_ip), sign)

    def _network(self, id: str, decision: Any, sign: int) -> None:
        _count(self.vnis, decision.vni, sign)
        if sign > 0:
            self.subnets[id] = IPv4Network(decision.subnet)
        else:
            self.subnets.pop(id, None)

    def _wanted_service(self, id: str, service: Any, sign: int) -> None:
        for network_id in service.spec.network_ids:
            _count_in(self.wanted_by, network_id, id, sign)
        for network_id, address in service.spec.fixed_addresses.items():
            _count_in(self.fixed, network_id, number_of(address), sign)

    def _revision(self, id: str, revision: Any, sign: int) -> None:
        for network_id in revision.spec.network_ids:
            _count_in(self.kept_by, network_id, revision.service_id, sign)

    def _wanted_network(self, id: str, network: Any, sign: int) -> None:
        """Nothing to count: `_judge_network` looks at the wanted and the decided network together."""

    def _hold(self, network_id: str, address: str, sign: int) -> None:
        self._take(network_id, number_of(address), sign)

    def _take(self, network_id: str, number: int, sign: int) -> None:
        before = number in self.held.get(network_id, ())
        _count_in(self.held, network_id, number, sign)
        if (span := self.spans.get(network_id)) and span[0] <= number <= span[1]:
            after = number in self.held.get(network_id, ())
            self.spans[network_id] = (*span[:2], span[2] + after - before)

    def _judge_network(self, id: str) -> None:
        network, decided = self._state.networks.get(id), id in self._state.network_decisions
        leaving = network.removed if network else decided
        for group, member in ((self.undecided, not leaving and not decided), (self.leaving, leaving)):
            if member and (network or decided):
                group.add(id)
            else:
                group.discard(id)


_TURNS: dict[str, Callable[[AllocationIndex, str, Any, int], None]] = {
    TASK.name: AllocationIndex._task,
    NODE_DECISION.name: AllocationIndex._node,
    SERVICE_DECISION.name: AllocationIndex._service,
    NETWORK_DECISION.name: AllocationIndex._network,
    SERVICE.name: AllocationIndex._wanted_service,
    REVISION.name: AllocationIndex._revision,
    NETWORK.name: AllocationIndex._wanted_network,
}


def _count_in(table: defaultdict[Any, Counter[Any]], row: Any, key: Any, sign: int) -> None:
    _count(table[row], key, sign)
    if not table[row]:
        del table[row]


def _count(counter: Counter[Any], key: Any, sign: int) -> None:
    counter[key] += sign
    if not counter[key]:
        del counter[key]
