"""Where the next task goes: a tree with a level for each spread preference, and heaps of nodes for leaves.

Every level goes to the branch with the fewest tasks of the service that can still take one; in a leaf the order is:
nodes that do not keep failing the service, then fewest tasks of the service, then fewest tasks, then the node's id.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from api.constraints import attribute
from manager.scheduler.group import Candidate, Group

Place = Callable[[Candidate], bool]
"""Puts a task on a node; whether the node can take another one."""


class Leaf:
    """Nodes between which no preference distinguishes."""

    def __init__(self, nodes: Sequence[Candidate], counts: Mapping[str, int], faulty: set[str]) -> None:
        self._counts = counts
        self._faulty = faulty
        self._heap: list[tuple[bool, int, int, int]] = [self._entry(node, index) for index, node in enumerate(nodes)]
        self._nodes = nodes
        self.count: int = sum(entry[1] for entry in self._heap)
        heapq.heapify(self._heap)

    def place(self, put: Place) -> bool:
        """Place one task; False when no node is left."""
        if not self._heap:
            return False
        index = self._heap[0][3]
        node = self._nodes[index]
        if put(node):
            heapq.heapreplace(self._heap, self._entry(node, index))
        else:
            heapq.heappop(self._heap)
        self.count += 1
        return True

    def _entry(self, node: Candidate, index: int) -> tuple[bool, int, int, int]:
        return (node.id in self._faulty, self._counts.get(node.id, 0), node.load.tasks, index)


class Branches:
    """Parts of the nodes by the value of one preference; nodes without a value are a part, too."""

    def __init__(self, parts: Sequence[Leaf | Branches]) -> None:
        self._parts: Sequence[Leaf | Branches] = parts
        self._heap = [(part.count, index) for index, part in enumerate(parts)]
        self.count: int = sum(part.count for part in parts)
        heapq.heapify(self._heap)

    def place(self, put: Place) -> bool:
        """Place one task; False when no node is left."""
        while self._heap:
            index = self._heap[0][1]
            if self._parts[index].place(put):
                heapq.heapreplace(self._heap, (self._parts[index].count, index))
                self.count += 1
                return True
            heapq.heappop(self._heap)
        return False


def tree(nodes: Sequence[Candidate], group: Group, faulty: set[str]) -> Leaf | Branches:
    """The tree for a group, over the nodes that can take its tasks."""
    keys = [preference.spread.spread_descriptor for preference in group.placement.preferences if preference.spread]
    return _grow(nodes, keys, group.counts, faulty)


def _grow(
    nodes: Sequence[Candidate], keys: Sequence[str], counts: Mapping[str, int], faulty: set[str]
) -> Leaf | Branches:
    if not keys:
        return Leaf(nodes, counts, faulty)
    parts: defaultdict[str, list[Candidate]] = defaultdict(list)
    for node in nodes:
        parts[attribute(keys[0], node.node, node.seen)].append(node)
    return Branches([_grow(parts[value], keys[1:], counts, faulty) for value in sorted(parts)])
