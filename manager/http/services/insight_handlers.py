"""Argosy's own paths of a service: its history, rollback to any kept revision, and the explanation of problems.

GET /argosy/v1/services/{id}/history, POST …/rollback, GET …/explain (docs/design/http-api.md).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from aiohttp import web

from api.engine.argosy import RolledBackAnswer
from api.errors import Invalid, NotFound
from api.http.app import answer
from api.http.query import number, version
from api.objects.kinds import SERVICE
from api.objects.wanted import Service
from api.reasons.reason import Code, Fact, reason
from api.reasons.reason_text import refusal
from api.service.canonical import canonical
from api.service.service_spec import ServiceSpec
from manager.http.cluster_context import ClusterContext
from manager.http.services.service_admission import admit
from manager.status.explanation import explanation
from manager.status.revision_history import history_answer, kept_revision, runs_answer
from manager.status.service_counts import previous_revision, spec_in_force
from manager.store.interface import Change, Put
from manager.store.lookup import find_service
from manager.store.state import State
from manager.store.transact import ATTEMPTS, at_version, keeps_changing, out_of_sequence, transact

PREFIX = "/argosy/v1/services/{id}"


class InsightHandlers:
    """Handlers of /argosy/v1/services."""

    def __init__(self, get: Callable[[], ClusterContext]) -> None:
        self._get = get

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [
            web.get(f"{PREFIX}/history", self.history),
            web.get(f"{PREFIX}/explain", self.explain),
            web.get(f"{PREFIX}/runs", self.runs),
            web.post(f"{PREFIX}/rollback", self.rollback),
        ]

    async def history(self, request: web.Request) -> web.Response:
        """The kept revisions."""
        state = self._get().store.state
        return answer(history_answer(state, find_service(state, request.match_info["id"])))

    async def runs(self, request: web.Request) -> web.Response:
        """The runs of a scheduled job."""
        ctx = self._get()
        service = find_service(ctx.store.state, request.match_info["id"])
        return answer(runs_answer(ctx.store.state, service, ctx.clock()))

    async def explain(self, request: web.Request) -> web.Response:
        """The problems of the service, with what to do."""
        ctx = self._get()
        service = find_service(ctx.store.state, request.match_info["id"])
        return answer(explanation(ctx.store.state, service, ctx.clock()))

    async def rollback(self, request: web.Request) -> web.Response:
        """Make a kept revision's spec the wanted one again."""
        ctx = self._get()
        to = number(request, "to", 0)
        reference, attempts, overtaken = request.match_info["id"], ATTEMPTS, keeps_changing
        if "version" in request.query:
            service = find_service(ctx.store.state, reference)
            await at_version(ctx.store, SERVICE, service.id, version(request, "service"), "service")
            attempts, overtaken = 1, out_of_sequence

        def decide(state: State) -> tuple[list[Change], tuple[int, int]]:
            service = find_service(state, reference)
            changed, source = rolled_back(state, service, to, ctx.clock())
            same = changed is service
            put = Put(SERVICE, service.id, changed, state.version(SERVICE, service.id))
            return [] if same else [put], (changed.revision, source)

        revision, source = await transact(ctx.store, decide, overtaken(f"service {reference}"), attempts)
        return answer(RolledBackAnswer(revision, source))


def rolled_back(state: State, service: Service, to: int, now: float) -> tuple[Service, int]:
    """The service with the spec of revision `to` (0: the previous one), and that revision's number. Returns `service`
    unchanged when that spec is in force already. Raises Invalid, NotFound, and the errors of admission: ports may be
    taken and networks removed by now."""
    source, spec = _source(state, service, to)
    spec = admit(state, canonical(spec), service)
    if spec == spec_in_force(state, service):
        return service, source
    return msgspec.structs.replace(
        service, spec=spec, revision=service.revision + 1, rollback=True, updated_at=now
    ), source


def _source(state: State, service: Service, to: int) -> tuple[int, ServiceSpec]:
    if to < 0:
        raise Invalid(f"to: {to} is no revision's number; they count from 1")
    revision = kept_revision(state, service, to) if to else previous_revision(state, service)
    if revision is not None:
        return revision.number, revision.spec
    if not to:
        raise refusal(Invalid, reason(Code.NO_PREVIOUS_REVISION, service=service.spec.name))
    kept = sorted(state.revisions_of(service.id))
    facts: dict[str, Fact] = {"service": service.spec.name, "kept": ", ".join(map(str, kept)) or "none"}
    raise refusal(NotFound, reason(Code.REVISION_NOT_KEPT, revision=to, **facts))
