"""What /secrets and /configs share: small named files, created, listed, shown, relabelled, and removed when unused.

Texts and codes are Docker's (swarmkit manager/controlapi/{secret,config}.go). What tells the two apart is in
secrets.py and configs.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec
from aiohttp import web

from api.errors import Conflict, Invalid, Unimplemented
from api.filespecs import ConfigSpec, SecretSpec, file_problems, file_refusals
from api.http import answer, body, filters, label_match
from api.names import new_id
from api.objects import Config, Kind, Secret
from manager.http.admission import is_taken
from manager.http.context import ClusterContext
from manager.http.file_references import users_of
from manager.http.lookup import find_file
from manager.http.services import claim, release
from manager.http.versions import RETRIES, after_stale, asked_version, commit_at_version
from manager.http.views import Json, meta
from manager.store.base import Change, Delete, Put, Stale
from manager.store.state import State

FILTERS = frozenset({"id", "label", "name", "names"})

Stored = TypeVar("Stored", bound=Secret | Config)
Spec = TypeVar("Spec", bound=SecretSpec | ConfigSpec)


class Files(ABC, Generic[Stored, Spec]):
    """Handlers of one of the two."""

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
        """A new object, and what else has to be written with it."""

    @abstractmethod
    def data(self, state: State, stored: Stored) -> bytes:
        """What is in it."""

    @abstractmethod
    def shown(self, stored: Stored) -> Json:
        """Its spec as answers show it."""

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
        """GET: all that pass the filters."""
        state = self._get().store.state
        chosen = filters(request, FILTERS)
        found = [one for one in state.table(self.kind).values() if _passes(one, chosen)]
        found.sort(key=lambda one: (one.created_at, one.id))
        return answer([self._view(state, one) for one in found])

    async def inspect(self, request: web.Request) -> web.Response:
        """GET /{id}."""
        state = self._get().store.state
        return answer(self._view(state, find_file(state, self.kind, self.what, request.match_info["id"])))

    async def create(self, request: web.Request) -> web.Response:
        """POST /create."""
        ctx = self._get()
        spec = await body(request, self.spec_type)
        if problems := file_problems(self.what, spec, self.most):
            raise Invalid.of(problems)
        if refusals := file_refusals(self.what, spec):
            raise Unimplemented("; ".join(refusals))
        for _ in range(RETRIES):
            state, seen = ctx.store.state, ctx.store.state.revision
            if is_taken(state, self.what, spec.name):
                break
            stored, more = self.made(state, new_id(), ctx.clock(), spec)
            name = claim(state, self.what, spec.name, stored.id)
            try:
                await ctx.store.commit([name, *more, Put(self.kind, stored.id, stored, 0)])
            except Stale:
                await after_stale(ctx.store, seen)
            else:
                return answer({"ID": stored.id}, 201)
        raise Conflict(f"{self.what} {spec.name} already exists")

    async def update(self, request: web.Request) -> web.Response:
        """POST /{id}/update: the labels, and nothing else."""
        ctx = self._get()
        stored = find_file(ctx.store.state, self.kind, self.what, request.match_info["id"])
        spec = await body(request, self.spec_type)
        version = await asked_version(ctx.store, self.kind, stored.id, self.what, request)
        state = ctx.store.state
        stored = state.table(self.kind)[stored.id]
        if (
            spec.name != stored.spec.name
            or file_refusals(self.what, spec)
            or (spec.data and spec.data != self.data(state, stored))
        ):
            raise Invalid("only updates to Labels are allowed")
        if spec.labels != stored.spec.labels:
            relabelled = msgspec.structs.replace(stored.spec, labels=spec.labels)
            changed = msgspec.structs.replace(stored, spec=relabelled, updated_at=ctx.clock())
            await commit_at_version(ctx.store, [Put(self.kind, stored.id, changed, version)], self.what)
        return web.Response()

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /{id}."""
        store, reference = self._get().store, request.match_info["id"]
        for _ in range(RETRIES):
            state, seen = store.state, store.state.revision
            stored = find_file(state, self.kind, self.what, reference)
            name = stored.spec.name
            if users := users_of(state, self.kind, stored.id):
                plural = "s" if len(users) > 1 else ""
                raise Invalid(f"{self.what} '{name}' is in use by the following service{plural}: {', '.join(users)}")
            gone = Delete(self.kind, stored.id, state.version(self.kind, stored.id))
            try:
                await store.commit([gone, *release(state, self.what, name, stored.id)])
            except Stale:
                await after_stale(store, seen)
            else:
                return web.Response(status=204)
        raise Conflict(f"{self.what} {reference} keeps changing; try again")

    def _view(self, state: State, stored: Stored) -> Json:
        version = state.version(self.kind, stored.id)
        return {
            "ID": stored.id,
            **meta(version, stored.created_at, stored.updated_at),
            "Spec": {"Name": stored.spec.name, "Labels": stored.spec.labels, **self.shown(stored)},
        }


def _passes(stored: Secret | Config, chosen: dict[str, set[str]]) -> bool:
    spec = stored.spec
    checks = {
        "id": lambda values: stored.id.startswith(tuple(values)),
        "name": lambda values: spec.name.startswith(tuple(values)),
        "names": lambda values: spec.name in values,
        "label": lambda values: label_match(spec.labels, values),
    }
    return all(checks[name](values) for name, values in chosen.items())
