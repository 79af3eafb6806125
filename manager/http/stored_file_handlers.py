"""Handlers that /secrets and /configs share: create, list, inspect, relabel, and remove when unused.

Texts and codes are Docker's (swarmkit manager/controlapi/{secret,config}.go). The differences are in
secret_handlers.py and config_handlers.py.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from aiohttp import web

from api.engine.common import CreatedAnswer, VersionAnswer, timestamp
from api.engine.stored_files import StoredFileAnswer, StoredFileSpecAnswer
from api.errors import Conflict, Invalid, Unimplemented
from api.http.app import answer, body
from api.http.query import filters, label_match, version
from api.ids import new_id
from api.labels import DIGEST, NAMESPACE, SHORT_NAME
from api.objects.kinds import SECRET, Kind
from api.objects.wanted import Config, Secret
from api.stored_file import ConfigSpec, SecretSpec, file_problems, file_refusals
from api.stored_file_versions import base_of, digest_of, newest, short_name, version_name
from manager.http.cluster_context import ClusterContext
from manager.http.stored_file_references import used_ids, users_of
from manager.store.claims import claim, is_taken, release
from manager.store.interface import ABSENT, Change, Delete, Put
from manager.store.lookup import find_file
from manager.store.state import State
from manager.store.transact import at_version, keeps_changing, transact, transact_at

FILTERS = frozenset({"id", "label", "name", "names"})

_TICK = 0.001
"""Least difference in seconds between `updated_at` of a version and of the one before it."""

Stored = TypeVar("Stored", bound=Secret | Config)
Spec = TypeVar("Spec", bound=SecretSpec | ConfigSpec)


class StoredFileHandlers(ABC, Generic[Stored, Spec]):
    """Handlers of /secrets or of /configs."""

    what: str
    """Singular: "secret"."""
    most: int
    """Bytes; the data must be smaller."""
    kind: Kind[Stored]
    spec_type: type[Spec]

    def __init__(self, get: Callable[[], ClusterContext]) -> None:
        self._get = get

    @abstractmethod
    def made(self, state: State, id: str, now: float, spec: Spec) -> tuple[Stored, list[Change]]:
        """A new object, and other changes to commit with it."""

    @abstractmethod
    def data(self, state: State, stored: Stored) -> bytes:
        """The content."""

    @abstractmethod
    def shown_data(self, stored: Stored) -> bytes | None:
        """The content, if answers show it."""

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        base = f"/{self.what}s"
        return [
            web.get(base, self.list_all),
            web.post(f"{base}/create", self.create),
            web.get(f"{base}/{{id}}", self.inspect),
            web.delete(f"{base}/{{id}}", self.delete),
            web.post(f"{base}/{{id}}/update", self.update),
        ]

    async def list_all(self, request: web.Request) -> web.Response:
        """GET: all that match the filters."""
        state = self._get().store.state
        chosen = filters(request, FILTERS)
        found = [one for one in state.table(self.kind).values() if _passes(one, chosen)]
        found.sort(key=lambda one: (one.created_at, one.id))
        meant = {one.id: name for name in _asked(chosen) if (one := newest(found, name))}
        return answer([self._answer(state, one, meant.get(one.id, "")) for one in found])

    async def inspect(self, request: web.Request) -> web.Response:
        """GET /{id}."""
        state = self._get().store.state
        return answer(self._answer(state, find_file(state, self.kind, self.what, request.match_info["id"])))

    async def create(self, request: web.Request) -> web.Response:
        """POST /create."""
        ctx = self._get()
        spec = await body(request, self.spec_type)
        if problems := file_problems(self.what, spec, self.most):
            raise Invalid.of(problems)
        if refusals := file_refusals(self.what, spec):
            raise Unimplemented("; ".join(refusals))
        if NAMESPACE in spec.labels and DIGEST not in spec.labels:
            return answer(CreatedAnswer(await self._version(spec)), 201)
        taken = Conflict(f"{self.what} {spec.name} already exists")

        def decide(state: State) -> tuple[list[Change], str]:
            if is_taken(state, self.what, spec.name):
                raise taken
            return self._new(state, spec, ctx.clock())

        return answer(CreatedAnswer(await transact(ctx.store, decide, taken)), 201)

    async def update(self, request: web.Request) -> web.Response:
        """POST /{id}/update: the labels, and nothing else."""
        ctx = self._get()
        stored = find_file(ctx.store.state, self.kind, self.what, request.match_info["id"])
        spec = await body(request, self.spec_type)
        read = await at_version(ctx.store, self.kind, stored.id, version(request, self.what), self.what)
        state = ctx.store.state
        stored = state.table(self.kind)[stored.id]
        if spec.name and spec.name == base_of(stored):
            await self._version(msgspec.structs.replace(spec, data=spec.data or self.data(state, stored)))
            return web.Response()
        if (
            spec.name != stored.spec.name
            or file_refusals(self.what, spec)
            or (spec.data and spec.data != self.data(state, stored))
        ):
            raise Invalid("only updates to Labels are allowed")
        if spec.labels != stored.spec.labels:
            relabelled = msgspec.structs.replace(stored.spec, labels=spec.labels)
            changed = msgspec.structs.replace(stored, spec=relabelled, updated_at=ctx.clock())
            await transact_at(ctx.store, [Put(self.kind, stored.id, changed, read)], self.what)
        return web.Response()

    async def _version(self, spec: Spec) -> str:
        """Store a version of a stack's secret or config, as docker's `stack deploy` sends it; returns the version's id.

        Docker cannot change the data of an existing one. Here new data makes a new version, as when our own client
        deploys, and versions that nothing refers to any more are removed.
        """
        if problems := file_problems(self.what, spec, self.most):
            raise Invalid.of(problems)
        ctx, base, stack = self._get(), spec.name, spec.labels.get(NAMESPACE, "")
        digest = await asyncio.to_thread(digest_of, spec.data, is_secret=self.kind is SECRET, salt=base)
        labels = {**spec.labels, SHORT_NAME: short_name(base, stack), DIGEST: digest}
        wanted = msgspec.structs.replace(spec, name=version_name(base, digest), labels=labels)

        def decide(state: State) -> tuple[list[Change], str]:
            there = next((one for one in state.table(self.kind).values() if one.spec.name == wanted.name), None)
            last = newest(state.table(self.kind).values(), base)
            if there is not None and last is there:
                return [], there.id
            now = max(ctx.clock(), last.updated_at + _TICK if last else 0.0)  # a clock may stand still or go back
            changes, id = self._deployed(state, wanted, there, now)
            return [*changes, *unused_versions(state, self.kind, self.what, base, wanted.name)], id

        return await transact(ctx.store, decide, keeps_changing(f"{self.what} {base}"))

    def _deployed(self, state: State, wanted: Spec, there: Stored | None, now: float) -> tuple[list[Change], str]:
        """The changes that make a version the newest, and its id."""
        if there is None:
            return self._new(state, wanted, now)
        again = msgspec.structs.replace(there, updated_at=now)
        return [Put(self.kind, there.id, again, state.version(self.kind, there.id))], there.id

    def _new(self, state: State, spec: Spec, now: float) -> tuple[list[Change], str]:
        """The changes that store a new object, and its id."""
        stored, more = self.made(state, new_id(), now, spec)
        name = claim(state, self.what, spec.name, stored.id)
        return [name, *more, Put(self.kind, stored.id, stored, ABSENT)], stored.id

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /{id}."""
        reference = request.match_info["id"]

        def decide(state: State) -> tuple[list[Change], None]:
            stored = find_file(state, self.kind, self.what, reference)
            name = stored.spec.name
            if users := users_of(state, self.kind, stored.id):
                plural = "s" if len(users) > 1 else ""
                raise Invalid(f"{self.what} '{name}' is in use by the following service{plural}: {', '.join(users)}")
            gone = Delete(self.kind, stored.id, state.version(self.kind, stored.id))
            return [gone, *release(state, self.what, name, stored.id)], None

        await transact(self._get().store, decide, keeps_changing(f"{self.what} {reference}"))
        return web.Response(status=204)

    def _answer(self, state: State, stored: Stored, name: str = "") -> StoredFileAnswer:
        """`name`: the short name in the request, if it was found by the name that all its versions share."""
        return StoredFileAnswer(
            stored.id,
            VersionAnswer(state.version(self.kind, stored.id)),
            timestamp(stored.created_at),
            timestamp(stored.updated_at),
            StoredFileSpecAnswer(name or stored.spec.name, stored.spec.labels, self.shown_data(stored)),
        )


def unused_versions(state: State, kind: Kind[Any], what: str, base: str, keep: str) -> list[Change]:
    """The changes that remove versions to which no service and no kept revision refers."""
    used = used_ids(state, kind)
    found = [one for one in state.table(kind).values() if base_of(one) == base and one.spec.name != keep]
    gone = [one for one in found if one.id not in used]
    return [
        change
        for one in gone
        for change in (
            Delete(kind, one.id, state.version(kind, one.id)),
            *release(state, what, one.spec.name, one.id),
        )
    ]


def _asked(chosen: dict[str, set[str]]) -> set[str]:
    return chosen.get("name", set()) | chosen.get("names", set())


def _passes(stored: Secret | Config, chosen: dict[str, set[str]]) -> bool:
    spec = stored.spec
    checks = {
        "id": lambda values: stored.id.startswith(tuple(values)),
        "name": lambda values: spec.name.startswith(tuple(values)),
        "names": lambda values: spec.name in values or base_of(stored) in values,
        "label": lambda values: label_match(spec.labels, values),
    }
    return all(checks[name](values) for name, values in chosen.items())
