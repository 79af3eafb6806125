"""GET /events: what happens to services, nodes and networks, as it happens (Docker's events of scope swarm).

The store says which objects changed; comparing them with how they were tells what happened. Nothing is kept: what was
before the request is not told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from api.codec import encode
from api.http import filters, label_match, moment
from api.objects import Network, Node, Service
from manager.http.context import ClusterContext
from manager.http.logs import LOOK_UP
from manager.http.lookup import hostname
from manager.store.state import State

FILTERS = frozenset({
    "config", "container", "daemon", "event", "image", "label", "network", "node", "plugin", "scope", "secret",
    "service", "type", "volume",
})  # fmt: skip
_OBJECTS = ("service", "node", "network")


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as far as events tell of it."""

    value: object
    attributes: dict[str, str]
    labels: dict[str, str] = field(default_factory=dict)


Sight = dict[tuple[str, str], Seen]
"""(type, id) → the object."""


class Events:
    """Handler of /events."""

    def __init__(self, get: Callable[[], ClusterContext]) -> None:
        self._get = get

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [web.get("/events", self.stream)]

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """GET /events."""
        ctx = self._get()
        chosen = filters(request, FILTERS)
        moment(request, "since")  # checked only: nothing of the past is kept
        until = moment(request, "until") or float("inf")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        old = sight(ctx.store.state)
        # a client that goes away is nothing to complain of
        with suppress(ConnectionError):
            while ctx.clock() < until and not _gone(request):
                revision = ctx.store.state.revision
                await _newer(ctx, revision, min(LOOK_UP, until - ctx.clock()))
                if ctx.store.state.revision == revision:
                    continue
                new = sight(ctx.store.state)
                for event in happened(old, new, ctx.clock()):
                    if _passes(event, chosen):
                        await response.write(encode(event) + b"\n")
                old = new
            await response.write_eof()
        return response


def sight(state: State) -> Sight:
    """Everything events tell of."""
    return {
        **{("service", s.id): _service(s) for s in state.services.values()},
        **{("node", n.id): _node(state, n) for n in state.nodes.values()},
        **{("network", n.id): _network(n) for n in state.networks.values() if not n.removed},
    }


def happened(old: Sight, new: Sight, now: float) -> Iterator[dict[str, Any]]:
    """The events between two sights."""
    for key in [*old.keys() - new.keys(), *new.keys()]:
        before, after = old.get(key), new.get(key)
        if before is None and after is not None:
            yield _event(key, "create", after, {}, now)
        elif after is None and before is not None:
            yield _event(key, "remove", before, {}, now)
        elif before and after and (before.value != after.value or before.attributes != after.attributes):
            changed = {
                f"{name}.{which}": side.attributes.get(name, "")
                for name in sorted({*before.attributes, *after.attributes})
                if before.attributes.get(name) != after.attributes.get(name)
                for which, side in (("new", after), ("old", before))
            }
            yield _event(key, "update", after, changed, now)


def _event(key: tuple[str, str], action: str, seen: Seen, changed: dict[str, str], now: float) -> dict[str, Any]:
    attributes = {**seen.labels, "name": seen.attributes["name"], **changed}
    return {
        "Type": key[0],
        "Action": action,
        "Actor": {"ID": key[1], "Attributes": attributes},
        "scope": "swarm",
        "time": int(now),
        "timeNano": int(now * 1e9),
    }


def _service(service: Service) -> Seen:
    replicated = service.spec.mode.replicated
    attributes = {"name": service.spec.name, "image": service.spec.task_template.container_spec.image}
    if replicated and replicated.replicas is not None:
        attributes["replicas"] = str(replicated.replicas)
    return Seen(service, attributes)


def _node(state: State, node: Node) -> Seen:
    attributes = {
        "name": hostname(state, node.id),
        "availability": node.spec.availability.value,
        "role": node.spec.role.value,
        "state": state.node_state(node.id).value,
    }
    return Seen(node, attributes)


def _network(network: Network) -> Seen:
    return Seen(network, {"name": network.spec.name, "type": "overlay"})


def _passes(event: dict[str, Any], chosen: dict[str, set[str]]) -> bool:
    kind, actor = event["Type"], event["Actor"]
    for name, values in chosen.items():
        if name == "type" and kind not in values:
            return False
        if name == "event" and event["Action"] not in values:
            return False
        if name == "scope" and "swarm" not in values:
            return False
        if name == "label" and not label_match(actor["Attributes"], values):
            return False
        is_object = name in _OBJECTS or name in FILTERS - {"type", "event", "scope", "label"}
        if is_object and (kind != name or not {actor["ID"], actor["Attributes"]["name"]} & values):
            return False
    return True


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


async def _newer(ctx: ClusterContext, revision: int, seconds: float) -> None:
    try:
        await asyncio.wait_for(ctx.store.wait_newer(revision), max(seconds, 0.0))
    except TimeoutError:
        pass  # a moment to look whether anybody still listens
