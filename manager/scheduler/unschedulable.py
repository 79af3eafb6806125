"""Why the tasks of a group wait: what each node said when it was asked last.

Kept from round to round, so that tasks which no node takes cost a look at the nodes that have changed since. One byte
per group and node, for there may be many of both.
"""

from __future__ import annotations

from collections.abc import Iterable

from manager.scheduler.filters import FILTERS, Pipeline
from manager.scheduler.scheduling_round import Round
from manager.store.state import Event, State

UNASKED = 255
"""In the place of a check: a node that is not there (yet, or any more)."""
TAKES = len(FILTERS)
"""In the place of a check: none of them refuses."""


class Waiting:
    """A view of the state: what the nodes said to the groups that found no room in the last round."""

    def __init__(self, _: State) -> None:
        self.groups: dict[tuple[str, int], Refusals] = {}
        """By service and revision."""

    def follow(self, event: Event) -> None:
        """Nothing to be done: what has changed is in the journals."""


class Refusals:
    """The answers of all nodes to one group."""

    def __init__(self) -> None:
        self._answers = bytearray()
        """By the node's number: the place in FILTERS of the check that refused."""
        self._counts = [0] * (UNASKED + 1)
        self._facts = self._loads = -1
        """How far the journals were read."""

    def ask(self, round: Round, pipeline: Pipeline) -> bool:
        """Ask the nodes that may have another answer than last time; whether one takes a task."""
        facts, loads = round.roster.facts, round.roster.load.journal
        news, changed = facts.since(self._facts), loads.since(self._loads)
        if news is None or changed is None or len(news) + len(changed) > round.size:
            self._answers, self._counts = bytearray(), [0] * (UNASKED + 1)
            self._ask(round, pipeline, round.roster.hosts)
        else:
            self._ask(round, pipeline, {*news, *changed})
        self._facts, self._loads = facts.end, loads.end
        return self._counts[TAKES] > 0

    def counts(self) -> dict[int, int]:
        """How many nodes each check refused, by its place in FILTERS."""
        return {place: number for place, number in enumerate(self._counts[:TAKES]) if number}

    def _ask(self, round: Round, pipeline: Pipeline, ids: Iterable[str]) -> None:
        numbers, answers = round.roster.numbers, self._answers
        answers.extend([UNASKED] * (len(numbers) - len(answers)))
        for id in ids:
            if (number := numbers.get(id)) is not None:
                node = round.candidate(id)
                answer = UNASKED if node is None else pipeline.refusal(node)
                self._counts[answers[number]] -= 1
                self._counts[answer] += 1
                answers[number] = answer
