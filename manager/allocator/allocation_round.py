"""One allocation round: what is free by the allocation index, minus what this round has already given out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import chain

from api.objects.kinds import NETWORK_DECISION
from api.reasons.reason import Code, Reason, reason
from api.service.ports import overlap
from api.states import TaskState
from kit.ip import number_of
from manager.allocator.allocation_index import AllocationIndex, Port, PortHolder
from manager.allocator.memory import Memory
from manager.allocator.subnet_layout import SubnetLayout, layout
from manager.plan import PlanBuilder


@dataclass(slots=True)
class AddressHeadroom:
    """How many more tasks a network has addresses for. Each task may need a second address, for its node's bridge."""

    free: int
    lacking: int
    """Number of nodes without a bridge on the network."""
    unplaced: int
    """Number of tasks that have an address but no node yet."""
    granted: int = 0
    """Addresses given to tasks in this round."""

    def has_one_more(self) -> bool:
        """Whether another task can get an address."""
        tasks = self.granted + 1
        return self.free - tasks >= min(self.lacking, self.unplaced + tasks)


class AllocationRound:
    """Gives out addresses and ports, each at most once."""

    def __init__(self, builder: PlanBuilder, memory: Memory) -> None:
        self.builder = builder
        self.memory = memory
        self.state = builder.state
        self.index = builder.state.index(AllocationIndex)
        self.subnets: dict[str, IPv4Network] = {}
        """Subnets given to networks in this round."""
        self.vnis: set[int] = set()
        self.ports: defaultdict[Port, set[PortHolder]] = defaultdict(set)
        """Ports given to services in this round."""
        self.trouble: dict[str, Reason] = {}
        """By network: why it has no subnet."""
        self._taken: defaultdict[str, set[int]] = defaultdict(set)
        self._full: set[tuple[str, int]] = set()
        self._rooms: dict[str, AddressHeadroom] = {}
        self._layouts: dict[str, SubnetLayout | None] = {}

    def network_name(self, network_id: str) -> str:
        """The network's name, or its id when it has none."""
        network = self.state.networks.get(network_id)
        return network.spec.name if network and network.spec.name else network_id

    def problem(self, network_id: str) -> Reason | None:
        """Why no address of the network can be given out; None if addresses can be given out."""
        network = self.state.networks.get(network_id)
        if network is None:
            return reason(Code.NO_SUCH_NETWORK, network=network_id)
        if network.removed:
            return reason(Code.NETWORK_BEING_REMOVED, network=network.spec.name)
        if self.layout(network_id) is None:
            return reason(Code.NETWORK_WITHOUT_SUBNET, self.trouble.get(network_id), network=network.spec.name)
        return None

    def layout(self, network_id: str) -> SubnetLayout | None:
        """The layout of the network's subnet; None while it has no subnet."""
        if network_id not in self._layouts:
            decision = self.builder.get(NETWORK_DECISION, network_id)
            network = self.state.networks.get(network_id)
            self._layouts[network_id] = layout(network, decision) if decision else None
        return self._layouts[network_id]

    def host_address(self, network_id: str) -> str | None:
        """An address for a task or a bridge, with prefix length; None when none is free.

        Addresses are reused as late as possible: caches and connections may still refer to the last holder.
        """
        parts = self.layout(network_id)
        if parts is None:
            return None
        after = self.memory.latest.get(network_id)
        if after is None:
            after = self._highest(network_id, parts.hosts)
        number = self._take(network_id, parts.hosts, parts.reserved, after)
        if number is None:
            return None
        self.memory.latest[network_id] = number
        return parts.address(number)

    def task_address(self, network_id: str) -> str | None:
        """An address for a task, with prefix length; None unless another is left for the bridge of its future node."""
        room = self._room(network_id)
        if room is None or not room.has_one_more():
            return None
        address = self.host_address(network_id)
        room.granted += address is not None
        return address

    def fixed_address(self, network_id: str, wanted: str) -> str | None:
        """The address that a task asks for, with prefix length; None while it is held by something else."""
        parts, room, number = self.layout(network_id), self._room(network_id), number_of(wanted)
        if parts is None or room is None or not parts.takes(number):
            return None
        if number in self.index.held.get(network_id, ()) or number in self._taken[network_id]:
            return None
        self._taken[network_id].add(number)
        room.granted += 1
        return parts.address(number)

    def vip(self, network_id: str) -> str | None:
        """A virtual IP address (VIP), without prefix length; None when none is free."""
        parts = self.layout(network_id)
        number = self._take(network_id, parts.vips, parts.reserved, 0) if parts else None
        return parts.address(number).partition("/")[0] if parts and number is not None else None

    def put_back(self, network_id: str, number: int) -> None:
        """Return an address that was taken in this round."""
        self._taken[network_id].discard(number)
        self._rooms[network_id].granted -= 1

    def port_holder(self, port: Port, address: str, service_id: str) -> str | None:
        """Id of another service that holds the port at this host address ("" for all addresses); None if there is
        none."""
        for other, held in chain(self.ports.get(port, ()), self.index.ports.get(port, ())):
            if other != service_id and overlap(address, held):
                return other
        return None

    def _highest(self, network_id: str, span: tuple[int, int]) -> int:
        low, high = span
        return max((number for number in self.index.held.get(network_id, ()) if low <= number <= high), default=0)

    def _room(self, network_id: str) -> AddressHeadroom | None:
        parts = self.layout(network_id)
        if parts is None:
            return None
        if network_id not in self._rooms:
            low, high = parts.hosts
            held: Container[int] = self.index.held.get(network_id, ())
            others = {*self._taken[network_id], *parts.reserved}
            used = sum(1 for number in others if low <= number <= high and number not in held)
            free = high - low + 1 - used - self.index.used(network_id, low, high)
            lacking = len(self.state.nodes) - self.index.bridges.get(network_id, 0)
            self._rooms[network_id] = AddressHeadroom(free, lacking, self._unplaced(network_id))
        return self._rooms[network_id]

    def _unplaced(self, network_id: str) -> int:
        pending = self.state.tasks_in(TaskState.PENDING).values()
        return sum(1 for task in pending if any(held.network_id == network_id for held in task.addresses))

    def _take(self, network_id: str, span: tuple[int, int], reserved: Container[int], after: int) -> int | None:
        low, high = span
        if (network_id, low) in self._full:
            return None
        held: Container[int] = self.index.held.get(network_id, ())
        fixed: Container[int] = self.index.fixed.get(network_id, ())
        taken = self._taken[network_id]
        start = after + 1 if low <= after < high else low
        for number in chain(range(start, high + 1), range(low, start)):
            if number not in held and number not in taken and number not in reserved and number not in fixed:
                taken.add(number)
                return number
        self._full.add((network_id, low))
        return None
