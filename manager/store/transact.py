"""Optimistic updates: `?version=` must be the version the object has now, and nothing may have overtaken the write."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from api.bounds import whole_number
from api.errors import Conflict, Invalid
from api.objects.kinds import Kind
from manager.store.interface import Change, Stale, Store

PATIENCE = 2.0
"""Seconds to wait for a version that another manager has shown and this one has not seen yet."""
RETRIES = 5


async def asked_version(store: Store, kind: Kind[Any], id: str, what: str, request: web.Request) -> int:
    """The object's version, which is the one asked for. Raises Invalid, or Conflict when it changed since."""
    text = request.query.get("version", "")
    try:
        asked = whole_number(text, "version")
    except Invalid:
        raise Invalid(f"invalid {what} version '{text}': ?version= takes the Version.Index that was read") from None
    if asked > store.state.revision:
        await _catch_up(store, asked)
    if store.state.version(kind, id) != asked:
        raise out_of_sequence(what)
    return asked


def out_of_sequence(what: str) -> Conflict:
    """Docker's word for a write that was decided on an old version."""
    return Conflict(
        f"update out of sequence: the {what} changed since it was read; read it again and repeat the change"
    )


async def commit_at_version(store: Store, changes: Sequence[Change], what: str) -> None:
    """Commit changes that name the version asked for. Raises Conflict when another write came first."""
    try:
        await store.commit(changes)
    except Stale:
        raise out_of_sequence(what) from None


async def after_stale(store: Store, seen: int) -> None:
    """Wait until the state has moved on from the revision that a stale commit was decided on, for a moment at most."""
    try:
        await asyncio.wait_for(store.wait_newer(seen), PATIENCE / RETRIES)
    except TimeoutError:
        pass  # the caller looks again anyway


async def _catch_up(store: Store, revision: int) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while store.state.revision < revision:
                await store.wait_newer(store.state.revision)
    except TimeoutError:
        pass  # no manager has shown such a version: the comparison says so
