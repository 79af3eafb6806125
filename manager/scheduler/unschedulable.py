"""Unschedulable groups: why the tasks of a group wait, as the last answer of each node.

Part of the scheduler's memory, so that tasks which no node takes cost only a check of the nodes that have changed. One
byte per group and node, because there may be many of both.
"""

from __future__ import annotations

from collections.abc import Iterable

from manager.scheduler.filters import FILTERS, Pipeline
from manager.scheduler.scheduling_round import Round

UNASKED = 255
"""The answer of a node that does not exist (yet, or any more)."""
TAKES = len(FILTERS)
"""The answer of a node that no check refuses."""


class Unschedulable:
    """The answers of all nodes to one group."""

    def __init__(self) -> None:
        self._answers = bytearray()
        """By the node's number: the index in FILTERS of the check that refused."""
        self._counts = [0] * (UNASKED + 1)
        self._facts = self._loads = -1
        """Positions in the change logs."""

    def ask(self, round: Round, pipeline: Pipeline) -> bool:
        """Check the nodes whose answer may have changed. Returns whether any node takes a task."""
        facts, loads = round.pools.nodes.changed, round.pools.changed
        news, changed = facts.since(self._facts), loads.since(self._loads)
        ids = None if news is None or changed is None else {*news, *changed}
        if ids is None or len(ids) > round.size:
            self._answers, self._counts = bytearray(), [0] * (UNASKED + 1)
            self._ask(round, pipeline, round.pools.nodes.facts)
        else:
            self._ask(round, pipeline, ids)
        self._facts, self._loads = facts.end, loads.end
        return self._counts[TAKES] > 0

    def counts(self) -> dict[int, int]:
        """The number of nodes that each check refused, by its index in FILTERS."""
        return {place: number for place, number in enumerate(self._counts[:TAKES]) if number}

    def _ask(self, round: Round, pipeline: Pipeline, ids: Iterable[str]) -> None:
        numbers, answers = round.pools.numbers, self._answers
        for id in ids:
            number = numbers.setdefault(id, len(numbers))
            if number >= len(answers):
                answers.extend([UNASKED] * (len(numbers) - len(answers)))
            node = round.candidate(id)
            answer = UNASKED if node is None else pipeline.refusal(node)
            self._counts[answers[number]] -= 1
            self._counts[answer] += 1
            answers[number] = answer
