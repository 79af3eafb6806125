"""/nodes: the members of the cluster."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from aiohttp import web

from api.errors import Invalid
from api.http.app import answer, body
from api.http.query import filters, flag, label_match, version
from api.node_spec import NodeSpec, node_problems
from api.objects.kinds import NODE
from api.objects.wanted import Node
from api.states import NodeState, Role
from manager.http.cluster.cluster_answers import is_manager, node_answer
from manager.http.cluster_context import ClusterContext
from manager.store.interface import Change, Delete, Put
from manager.store.lookup import find_node, hostname
from manager.store.state import State
from manager.store.transact import at_version, keeps_changing, transact, transact_at

FILTERS = frozenset({"id", "label", "membership", "name", "node.label", "role"})
_VALUES = {"membership": {"accepted", "pending"}, "role": {"manager", "worker"}}


class NodeHandlers:
    """Handlers of /nodes."""

    def __init__(self, get: Callable[[], ClusterContext]) -> None:
        self._get = get

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [
            web.get("/nodes", self.list_all),
            web.get("/nodes/{id}", self.inspect),
            web.post("/nodes/{id}/update", self.update),
            web.delete("/nodes/{id}", self.delete),
        ]

    async def list_all(self, request: web.Request) -> web.Response:
        """GET /nodes."""
        ctx = self._get()
        state, leader = ctx.store.state, ctx.leader_id()
        chosen = filters(request, FILTERS)
        for name, allowed in _VALUES.items():
            if wrong := sorted(chosen.get(name, set()) - allowed):
                raise Invalid(f"invalid filter '{name}={wrong[0]}'; {' or '.join(sorted(allowed))}")
        nodes = sorted(state.nodes.values(), key=lambda node: (node.created_at, node.id))
        return answer([node_answer(state, node, leader) for node in nodes if _passes(state, node, chosen)])

    async def inspect(self, request: web.Request) -> web.Response:
        """GET /nodes/{id}."""
        ctx = self._get()
        return answer(node_answer(ctx.store.state, self._find(ctx, request), ctx.leader_id()))

    async def update(self, request: web.Request) -> web.Response:
        """POST /nodes/{id}/update."""
        ctx = self._get()
        node = self._find(ctx, request)
        spec = await body(request, NodeSpec)
        read = await at_version(ctx.store, NODE, node.id, version(request, "node"), "node")
        node = ctx.store.state.nodes[node.id]
        if problems := node_problems(spec):
            raise Invalid.of(problems)
        if node.spec.role is Role.MANAGER and spec.role is Role.WORKER:
            await self._before_demotion(ctx, node)
        if spec != node.spec:
            changed = msgspec.structs.replace(node, spec=spec, updated_at=ctx.clock())
            await transact_at(ctx.store, [Put(NODE, node.id, changed, read)], "node")
        return web.Response()

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /nodes/{id}."""
        ctx = self._get()
        reference, force = request.match_info["id"], flag(request, "force")

        def decide(state: State) -> tuple[list[Change], None]:
            node = find_node(state, reference, ctx.node_id)
            check_removal(state, node, force)
            return [Delete(NODE, node.id, state.version(NODE, node.id))], None

        await transact(ctx.store, decide, keeps_changing(f"node {reference}"))
        return web.Response()

    async def _before_demotion(self, ctx: ClusterContext, node: Node) -> None:
        """Check a demotion. A running manager leaves the store by itself; one that is down is removed here."""
        check_demotion(ctx.store.state, node)
        if node.id not in ctx.store.state.members:
            await ctx.remove_member(node.id)

    def _find(self, ctx: ClusterContext, request: web.Request) -> Node:
        return find_node(ctx.store.state, request.match_info["id"], ctx.node_id)


def check_removal(state: State, node: Node, force: bool) -> None:
    """Check that a node may be removed: it is no manager, and it is down or `force` is set. Raises Invalid."""
    if is_manager(state, node):
        raise Invalid(
            f"node {node.id} is a cluster manager and a member of its store."
            " It must be demoted to worker before removal"
        )
    if not force and state.node_state(node.id) is NodeState.READY:
        raise Invalid(f"node {node.id} is not down and can't be removed; stop it, or use --force")


def check_demotion(state: State, node: Node) -> None:
    """Check that the cluster keeps its quorum without this manager; the texts are swarmkit's. Raises Invalid."""
    others = {other.id for other in state.nodes.values() if other.spec.role is Role.MANAGER} - {node.id}
    if not others:
        raise Invalid("attempting to demote the last manager of the swarm")
    alive = len(others & state.members.keys())
    if alive <= len(others) // 2:
        raise Invalid(
            "can't remove member from the raft: this would result in a loss of quorum"
            f" ({alive} of the {len(others)} managers that remain are reachable)"
        )


def _passes(state: State, node: Node, chosen: dict[str, set[str]]) -> bool:
    description = state.descriptions.get(node.id)
    checks: dict[str, Callable[[set[str]], bool]] = {
        "id": lambda values: node.id.startswith(tuple(values)),
        "name": lambda values: any(
            name.startswith(tuple(values)) for name in (hostname(state, node.id), node.spec.name)
        ),
        "label": lambda values: label_match(description.engine.labels if description else {}, values),
        "node.label": lambda values: label_match(node.spec.labels, values),
        "membership": lambda values: "accepted" in values,
        "role": lambda values: node.spec.role.value in values,
    }
    return all(checks[name](values) for name, values in chosen.items())
