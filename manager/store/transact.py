"""Read, decide, write at the versions that were read, repeat: the handlers' only way to change an object.

`decide` is a synchronous function of the state: what it returns is written if nothing it names a version of has changed
meanwhile; otherwise it is asked again, on the state as it is then. What it raises is the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from api.errors import Conflict
from api.objects.kinds import Kind
from manager.store.interface import Change, Stale, Store
from manager.store.state import State

T = TypeVar("T")
PATIENCE = 2.0
"""Seconds to wait for a version that another manager has shown and this one has not seen yet."""
ATTEMPTS = 5


async def transact(
    store: Store, decide: Callable[[State], tuple[Sequence[Change], T]], overtaken: Conflict, attempts: int = ATTEMPTS
) -> T:
    """Commit the changes that `decide` returns, if any; returns its result once the state has them.

    Raises `overtaken` when another write came first every time, and what `decide` or the commit raises.
    """
    for attempt in range(attempts):
        seen = store.state.revision
        changes, result = decide(store.state)
        try:
            if changes:
                await store.commit(changes)
        except Stale:
            if attempt + 1 < attempts:
                await _wait_newer(store, seen, PATIENCE / ATTEMPTS)
        else:
            return result
    raise overtaken


async def at_version(store: Store, kind: Kind[Any], id: str, asked: int, what: str) -> int:
    """The version asked for, which is the object's now. Raises Conflict when it has changed since."""
    if asked > store.state.revision:
        await _catch_up(store, asked)
    if store.state.version(kind, id) != asked:
        raise out_of_sequence(what)
    return asked


async def transact_at(store: Store, changes: Sequence[Change], what: str) -> None:
    """Commit changes that name the version asked for. Raises Conflict when another write came first."""
    await transact(store, lambda _: (changes, None), out_of_sequence(what), attempts=1)


def out_of_sequence(what: str) -> Conflict:
    """Docker's word for a write that was decided on an old version."""
    return Conflict(
        f"update out of sequence: the {what} changed since it was read; read it again and repeat the change"
    )


def keeps_changing(what: str) -> Conflict:
    """What is said when others were faster every time."""
    return Conflict(f"{what} keeps changing; try again")


async def _catch_up(store: Store, revision: int) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while store.state.revision < revision:
                await store.wait_newer(store.state.revision)
    except TimeoutError:
        pass  # no manager has shown such a version: the comparison says so


async def _wait_newer(store: Store, seen: int, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await store.wait_newer(seen)
    except TimeoutError:
        pass  # it is decided again anyway
