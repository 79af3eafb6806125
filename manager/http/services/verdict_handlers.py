"""Whether services and stacks are well, once or as a stream: GET /argosy/v1/…/verdict, /argosy/v1/verdicts.

A stream is lines of JSON: all verdicts at first, then each one that has changed. They are judged anew when the state
has changed, at most once in PAUSE seconds, and when time alone changes one (`again_at`).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable
from contextlib import suppress

from aiohttp import web

from api.codec import encode
from api.defaults import VERDICT_PATIENCE
from api.engine.argosy import ServiceVerdictAnswer, StackVerdictAnswer, VerdictState
from api.errors import Invalid, NotFound
from api.http.app import answer
from api.http.query import filters, flag
from api.labels import NAMESPACE
from api.objects.wanted import Service
from api.reasons.reason import Code, reason
from api.reasons.reason_text import text, texts
from manager.http.cluster_context import ClusterContext
from manager.status.service_verdict import service_verdict, since_text, verdict_answer
from manager.status.stack_verdict import stack_verdict
from manager.store.lookup import find_service
from manager.store.state import State

PREFIX = "/argosy/v1"
FILTERS = frozenset({"id", "name", "stack"})
LOOK_UP = 5.0
"""Seconds between looks whether the client is still there."""
PAUSE = 0.1
"""Seconds between two judgements of one stream."""
MOST_PATIENCE = 86_400.0
Answers = dict[str, ServiceVerdictAnswer | StackVerdictAnswer]
Judge = Callable[[State, float], tuple[Answers, float]]
"""State and now to answers by id, and when to judge again."""


class Verdicts:
    """Handlers of verdicts."""

    def __init__(self, get: Callable[[], ClusterContext]) -> None:
        self._get = get

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [
            web.get(f"{PREFIX}/services/{{id}}/verdict", self.service),
            web.get(f"{PREFIX}/stacks/{{name}}/verdict", self.stack),
            web.get(f"{PREFIX}/verdicts", self.services),
        ]

    async def service(self, request: web.Request) -> web.StreamResponse:
        """The verdict on one service."""
        ctx, patience = self._get(), _patience(request)
        id = find_service(ctx.store.state, request.match_info["id"]).id
        judge = _judge_services(lambda state: [(id, state.services.get(id))], patience)
        return await self._answer(request, ctx, judge, id)

    async def stack(self, request: web.Request) -> web.StreamResponse:
        """The verdict on one stack."""
        ctx, patience, name = self._get(), _patience(request), request.match_info["name"]
        if not _services_of(ctx.store.state, name):
            raise NotFound(f"stack {name} not found")

        def judge(state: State, now: float) -> tuple[Answers, float]:
            found, again_at = _stack(state, name, now, patience)
            return {name: found}, again_at

        return await self._answer(request, ctx, judge, name)

    async def services(self, request: web.Request) -> web.StreamResponse:
        """The verdicts on all services that pass the filters. One named by its id that is not there has failed."""
        ctx, patience, chosen = self._get(), _patience(request), filters(request, FILTERS)
        ids = chosen.get("id", set())

        def those(state: State) -> Iterable[tuple[str, Service | None]]:
            found = {id: service for id, service in state.services.items() if _passes(service, chosen)}
            yield from found.items()
            yield from ((id, None) for id in ids if id not in state.services)

        return await self._answer(request, ctx, _judge_services(those, patience))

    async def _answer(
        self, request: web.Request, ctx: ClusterContext, judge: Judge, only: str = ""
    ) -> web.StreamResponse:
        """One verdict (`only`) or the list of all; a stream if that is asked for."""
        if flag(request, "stream"):
            return await _stream(request, ctx, judge)
        answers, _ = judge(ctx.store.state, ctx.clock())
        return answer(answers[only] if only else [answers[id] for id in sorted(answers)])


async def _stream(request: web.Request, ctx: ClusterContext, judge: Judge) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    told: dict[str, bytes] = {}
    with suppress(ConnectionError):  # a client that goes away is nothing to complain of
        while request.transport is not None and not request.transport.is_closing():
            seen, now = ctx.store.state.revision, ctx.clock()
            answers, again_at = judge(ctx.store.state, now)
            lines = {id: encode(one) + b"\n" for id, one in answers.items()}
            if news := b"".join(line for id, line in lines.items() if told.get(id) != line):
                await response.write(news)
            told = lines
            await asyncio.sleep(PAUSE)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, min(LOOK_UP, again_at - ctx.clock()))):
                    await ctx.store.wait_newer(seen)
        await response.write_eof()
    return response


def _judge_services(those: Callable[[State], Iterable[tuple[str, Service | None]]], patience: float) -> Judge:
    def judge(state: State, now: float) -> tuple[Answers, float]:
        answers: Answers = {}
        again_at = math.inf
        for id, service in those(state):
            if service is None:
                why = reason(Code.SERVICE_REMOVED)
                answers[id] = ServiceVerdictAnswer(id, state=VerdictState.FAILED, message=text(why), reasons=[why])
                continue
            verdict = service_verdict(state, service, now, patience)
            answers[id] = verdict_answer(state, service, verdict)
            again_at = min(again_at, verdict.again_at)
        return answers, again_at

    return judge


def _stack(state: State, name: str, now: float, patience: float) -> tuple[StackVerdictAnswer, float]:
    services = sorted(_services_of(state, name), key=lambda service: service.spec.name)
    verdicts = {service.spec.name: service_verdict(state, service, now, patience) for service in services}
    verdict = stack_verdict(verdicts)
    found = StackVerdictAnswer(
        name,
        verdict.state,
        since_text(verdict),
        verdict.ready,
        verdict.wanted,
        texts(list(verdict.reasons)),
        list(verdict.reasons),
        [verdict_answer(state, service, verdicts[service.spec.name]) for service in services],
    )
    return found, verdict.again_at


def _services_of(state: State, stack: str) -> list[Service]:
    return [service for service in state.services.values() if service.spec.labels.get(NAMESPACE) == stack]


def _passes(service: Service, chosen: dict[str, set[str]]) -> bool:
    known = {"id": service.id, "name": service.spec.name, "stack": service.spec.labels.get(NAMESPACE, "")}
    return all(known[name] in values for name, values in chosen.items())


def _patience(request: web.Request) -> float:
    """Seconds a task may find no node. Raises Invalid."""
    asked = request.query.get("patience", "")
    if not asked:
        return VERDICT_PATIENCE
    try:
        seconds = float(asked)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MOST_PATIENCE:
        raise Invalid(f"patience: {asked[:40]!r} is no number of seconds from 0 to {MOST_PATIENCE:g}")
    return seconds
