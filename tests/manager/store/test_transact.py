"""The compare-and-swap loop decides on what is there when it writes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from api.errors import Conflict
from api.objects.kinds import NODE
from api.objects.wanted import Node
from manager.store.in_memory import MemoryDatabase, MemoryStore
from manager.store.interface import Change, Put
from manager.store.state import State
from manager.store.transact import ATTEMPTS, keeps_changing, transact
from tests.contracts.store_contract import node

Decision = tuple[Sequence[Change], str]


def named(state: State, name: str) -> Put:
    """Give the node another name, at the version it has."""
    return Put(NODE, "n", node("n", name), state.version(NODE, "n"))


def name_of(store: MemoryStore) -> str:
    found: Node = store.state.nodes["n"]
    return found.spec.labels["label"]


async def test_what_another_write_overtakes_is_decided_again_on_what_it_wrote() -> None:
    database = MemoryDatabase()
    ours, theirs = MemoryStore(database=database), MemoryStore(database=database)
    await ours.commit([Put(NODE, "n", node("n", "a"))])
    seen: list[str] = []

    def decide(state: State) -> Decision:
        before = state.nodes["n"].spec.labels["label"]
        change = named(state, before + "b")
        if not seen:
            database.transact([named(theirs.state, "x")], None)
        seen.append(before)
        return [change], before

    assert await transact(ours, decide, keeps_changing("node n")) == "x"
    assert (seen, name_of(ours)) == (["a", "x"], "xb")


@pytest.mark.looptime
async def test_whoever_is_overtaken_every_time_gives_up_in_words() -> None:
    store, tries = MemoryStore(), 0

    def decide(state: State) -> Decision:
        nonlocal tries
        tries += 1
        return [Put(NODE, "n", node("n", "a"), expected=7)], ""

    with pytest.raises(Conflict, match="node n keeps changing; try again"):
        await transact(store, decide, keeps_changing("node n"))
    assert tries == ATTEMPTS


async def test_nothing_is_written_when_nothing_is_to_be_changed_and_a_refusal_is_the_answer() -> None:
    store = MemoryStore()
    revision = store.state.revision
    assert await transact(store, lambda _: ([], "same"), keeps_changing("node n")) == "same"
    assert store.state.revision == revision

    def refuse(state: State) -> Decision:
        raise Conflict("no")

    with pytest.raises(Conflict, match="no"):
        await transact(store, refuse, keeps_changing("node n"))
