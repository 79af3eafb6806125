"""Verdicts on services and stacks, once or as a stream: GET /argosy/v1/…/verdict, /argosy/v1/verdicts.

A stream has lines of JSON: first all verdicts, then each one that changed. A service is judged again when it has
changed, at most once in PAUSE seconds, and when time alone may change its verdict.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from operator import itemgetter

from aiohttp import web

from api.codec import encode
from api.defaults import VERDICT_PATIENCE
from api.engine.argosy import ServiceVerdictAnswer, StackVerdictAnswer, VerdictState
from api.engine.common import Answer
from api.errors import Invalid, NotFound
from api.http.app import answer
from api.http.query import filters, flag
from api.labels import NAMESPACE
from api.objects.wanted import Service
from api.reasons.reason import Code, reason
from api.reasons.reason_text import text, texts
from manager.http.cluster_context import ClusterContext
from manager.status.service_verdict import since_text, verdict_answer
from manager.status.stack_verdict import stack_verdict
from manager.status.verdict_watch import VerdictWatch
from manager.store.lookup import find_service
from manager.store.state import State

PREFIX = "/argosy/v1"
FILTERS = frozenset({"id", "name", "stack"})
LOOK_UP = 5.0
"""Seconds between checks whether the client is still connected."""
PAUSE = 0.1
"""Seconds between two updates of one stream."""
MOST_PATIENCE = 86_400.0
Lines = Callable[[VerdictWatch, State, set[str]], Iterable[tuple[str, Answer]]]
"""(key, answer) for services whose verdicts changed."""


class VerdictHandlers:
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
        watch = VerdictWatch(lambda service: service.id == id, patience, [id])
        return await _answer(request, ctx, watch, _service_lines, is_one=True)

    async def stack(self, request: web.Request) -> web.StreamResponse:
        """The verdict on one stack."""
        ctx, patience, name = self._get(), _patience(request), request.match_info["name"]
        if not any(service.spec.labels.get(NAMESPACE) == name for service in ctx.store.state.services.values()):
            raise NotFound(f"stack {name} not found")
        watch = VerdictWatch(lambda service: service.spec.labels.get(NAMESPACE) == name, patience)
        return await _answer(request, ctx, watch, partial(_stack_line, name), is_one=True)

    async def services(self, request: web.Request) -> web.StreamResponse:
        """The verdicts on all services that match the filters. A service named by an unknown id has failed."""
        ctx, patience, chosen = self._get(), _patience(request), filters(request, FILTERS)
        watch = VerdictWatch(lambda service: _passes(service, chosen), patience, chosen.get("id", ()))
        return await _answer(request, ctx, watch, _service_lines)


async def _answer(
    request: web.Request, ctx: ClusterContext, watch: VerdictWatch, lines: Lines, is_one: bool = False
) -> web.StreamResponse:
    """One verdict, or a list; a stream if the query asks for one."""
    if flag(request, "stream"):
        return await _stream(request, ctx, watch, lines)
    state = ctx.store.state
    found = [one for _, one in sorted(lines(watch, state, watch.update(state, (), ctx.clock())), key=itemgetter(0))]
    return answer(found[0] if is_one else found)


async def _stream(request: web.Request, ctx: ClusterContext, watch: VerdictWatch, lines: Lines) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    dirty, told = ctx.store.track(), dict[str, bytes]()
    try:
        while request.transport is not None and not request.transport.is_closing():
            state = ctx.store.state
            seen = state.revision
            changed = watch.update(state, dirty.take().services, ctx.clock())
            found = {key: encode(one) + b"\n" for key, one in lines(watch, state, changed)}
            if news := b"".join(line for key, line in found.items() if told.get(key) != line):
                await response.write(news)
            told |= found
            await asyncio.sleep(PAUSE)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, min(LOOK_UP, watch.again_at() - ctx.clock()))):
                    await ctx.store.wait_newer(seen)
        await response.write_eof()
    except ConnectionError:
        pass  # a client that disconnects is no error
    finally:
        ctx.store.untrack(dirty)
    return response


def _service_lines(watch: VerdictWatch, state: State, changed: set[str]) -> Iterator[tuple[str, Answer]]:
    for id in changed:
        if (found := watch.verdicts.get(id)) is not None:
            yield id, verdict_answer(state, *found)
        elif id not in state.services:
            why = reason(Code.SERVICE_REMOVED)
            yield id, ServiceVerdictAnswer(id, state=VerdictState.FAILED, message=text(why), reasons=[why])


def _stack_line(name: str, watch: VerdictWatch, state: State, changed: set[str]) -> Iterator[tuple[str, Answer]]:
    if not changed:
        return
    services = sorted(watch.verdicts.values(), key=lambda found: found[0].spec.name)
    verdict = stack_verdict({service.spec.name: one for service, one in services})
    yield (
        name,
        StackVerdictAnswer(
            name,
            verdict.state,
            since_text(verdict),
            verdict.ready,
            verdict.wanted,
            texts(list(verdict.reasons)),
            list(verdict.reasons),
            [verdict_answer(state, service, one) for service, one in services],
        ),
    )


def _passes(service: Service, chosen: dict[str, set[str]]) -> bool:
    known = {"id": service.id, "name": service.spec.name, "stack": service.spec.labels.get(NAMESPACE, "")}
    return all(known[name] in values for name, values in chosen.items())


def _patience(request: web.Request) -> float:
    """`?patience=`: seconds that a task may wait for a node before its service is stuck. Raises Invalid."""
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
