"""/networks: the cluster's overlay networks, and this host's predefined ones."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

import msgspec
from aiohttp import web

from api.engine.networks import NetworkAnswer, NetworkCreatedAnswer, NetworkCreateRequest, NetworksPrunedAnswer
from api.errors import Conflict, Forbidden, Invalid, NotFound, NotManager, Unimplemented
from api.http.app import answer, body
from api.http.query import filters, flag, label_match
from api.ids import new_id
from api.network.network_spec import INGRESS, NetworkSpec
from api.network.network_validation import network_problems, network_refusals
from api.objects.kinds import NETWORK
from api.objects.wanted import Network
from api.reasons.reason import Code, reason
from api.reasons.reason_text import refusal
from manager.hosts.occupied_prefixes import in_use
from manager.http.cluster_context import ClusterContext
from manager.http.networks import ingress_network
from manager.http.networks.network_answers import network_answer
from manager.http.networks.predefined_networks import DRIVERS, predefined_name, predefined_networks, predefined_of_swarm
from manager.store.claims import claim, is_taken, release
from manager.store.interface import ABSENT, Change, Put
from manager.store.lookup import find_network
from manager.store.state import State
from manager.store.transact import keeps_changing, transact

FILTERS = frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})
PRUNE_FILTERS = frozenset({"label", "label!"})
_VALUES = {
    "type": {"builtin", "custom"},
    "scope": {"global", "local", "swarm"},
    "dangling": {"0", "1", "false", "true"},
}


HostNetworks = Callable[[], list[NetworkAnswer]]
"""The networks that this host takes part in."""


class NetworkHandlers:
    """Handlers of /networks."""

    def __init__(self, get: Callable[[], ClusterContext], host: HostNetworks | None = None) -> None:
        """`host` is used while no manager runs on this host."""
        self._get = get
        self._host = host

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [
            web.get("/networks", self.list_all),
            web.get("/networks/", self.list_all),
            web.post("/networks/create", self.create),
            web.post("/networks/prune", self.prune),
            web.get("/networks/{id}", self.inspect),
            web.delete("/networks/{id}", self.delete),
            web.post("/networks/{id}/connect", self.connect),
            web.post("/networks/{id}/disconnect", self.connect),
        ]

    async def list_all(self, request: web.Request) -> web.Response:
        """GET /networks."""
        chosen = filters(request, FILTERS)
        for name, allowed in _VALUES.items():
            if wrong := sorted(chosen.get(name, set()) - allowed):
                raise Invalid(f"invalid filter '{name}={wrong[0]}'; {', '.join(sorted(allowed))} are possible")
        try:
            ctx = self._get()
        except NotManager:
            if self._host is None:
                raise
            return answer([one for one in self._host() if _passes(one, one.scope == "swarm", chosen)])
        state = ctx.store.state
        used = {id for id in state.networks if users_of(state, id)}
        own = [network_answer(state, network) for network in state.networks.values() if not network.removed]
        found = [*predefined_networks(ctx.node_id), *sorted(own, key=lambda network: network.name)]
        return answer([network for network in found if _passes(network, network.id in used, chosen)])

    async def inspect(self, request: web.Request) -> web.Response:
        """GET /networks/{id}."""
        try:
            ctx = self._get()
        except NotManager:
            if self._host is None:
                raise
            return answer(_of_host(self._host(), request.match_info["id"], request.query.get("scope", "")))
        reference, scope = request.match_info["id"], request.query.get("scope", "")
        if scope not in ("", "local", "swarm", "global"):
            raise Invalid(f"scope: {scope!r} is none of swarm, local, global")
        if scope == "swarm" and reference in DRIVERS:
            return answer(predefined_of_swarm(reference))
        if scope != "swarm" and (name := predefined_name(ctx.node_id, reference)):
            return answer(next(one for one in predefined_networks(ctx.node_id) if one.name == name))
        if scope in ("local", "global"):
            raise NotFound(f"network {reference} not found")
        state = ctx.store.state
        network = find_network(state, reference)
        return answer(network_answer(state, network, own_id=ctx.node_id, verbose=flag(request, "verbose")))

    async def create(self, request: web.Request) -> web.Response:
        """POST /networks/create."""
        ctx = self._get()
        spec = _admissible(await body(request, NetworkCreateRequest))
        if spec.ingress:
            _check_free(ctx.store.state, spec)
            await ingress_network.make_way(ctx.store, spec)

        def decide(state: State) -> tuple[list[Change], str]:
            _check_free(state, spec)
            id = INGRESS if spec.ingress else new_id()
            network = Network(id=id, created_at=ctx.clock(), spec=spec)
            return [claim(state, "network", spec.name, id), Put(NETWORK, id, network, ABSENT)], id

        id = await transact(ctx.store, decide, Conflict(f"network with name {spec.name} already exists"))
        return answer(NetworkCreatedAnswer(id), 201)

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /networks/{id}: hidden at once; the leader deletes it when the last task has left."""
        ctx = self._get()
        reference = request.match_info["id"]
        if name := predefined_name(ctx.node_id, reference):
            raise Forbidden(f"{name} is a pre-defined network and cannot be removed")

        def decide(state: State) -> tuple[list[Change], None]:
            network = find_network(state, reference)
            if network.spec.ingress:
                ingress_network.check_removable(state)
            if users := users_of(state, network.id):
                raise Conflict(f"network {network.spec.name} ({network.id}) is in use by service {', '.join(users)}")
            return removal(state, network), None

        await transact(ctx.store, decide, keeps_changing(f"network {reference}"))
        return web.Response(status=204)

    async def prune(self, request: web.Request) -> web.Response:
        """POST /networks/prune: remove networks without a service; a host that is no manager has none to remove."""
        chosen = filters(request, PRUNE_FILTERS)
        try:
            ctx = self._get()
        except NotManager:
            if self._host is None:
                raise
            return answer(NetworksPrunedAnswer())

        def decide(state: State) -> tuple[list[Change], list[str]]:
            unused = [network for network in state.networks.values() if _is_prunable(state, network, chosen)]
            changes = [change for network in unused for change in removal(state, network)]
            return changes, sorted(network.spec.name for network in unused)

        deleted = await transact(ctx.store, decide, keeps_changing("what is to be pruned"))
        return answer(NetworksPrunedAnswer(deleted))

    async def connect(self, request: web.Request) -> web.Response:
        """POST /networks/{id}/connect and /disconnect."""
        find_network(self._get().store.state, request.match_info["id"])
        raise Unimplemented(
            "containers cannot be connected to or disconnected from a network; change the networks of their service"
        )


def removal(state: State, network: Network) -> list[Change]:
    """The changes that mark a network as removed and free its name."""
    gone = msgspec.structs.replace(network, removed=True)
    return [
        Put(NETWORK, network.id, gone, state.version(NETWORK, network.id)),
        *release(state, "network", network.spec.name, network.id),
    ]


def _is_prunable(state: State, network: Network, chosen: dict[str, set[str]]) -> bool:
    """Whether a network has no services and matches the filters."""
    labels = network.spec.labels
    if network.removed or network.spec.ingress or users_of(state, network.id):
        return False
    if not label_match(labels, chosen.get("label", set())):
        return False
    return not any(label_match(labels, {label}) for label in chosen.get("label!", ()))


def users_of(state: State, network_id: str) -> list[str]:
    """Names of the services on a network; services that were removed do not count while their tasks stop."""
    return sorted(service.spec.name for service in state.services.values() if service.spec.is_on_network(network_id))


def _admissible(request: NetworkCreateRequest) -> NetworkSpec:
    spec = NetworkSpec(**{name: getattr(request, name) for name in NetworkSpec.__struct_fields__})
    if problems := network_problems(spec):
        raise Invalid.of(problems)
    refusals = network_refusals(spec)
    if not request.enable_ipv4:
        refusals.append("EnableIPv4: IPv4 cannot be disabled on a network of the cluster")
    if request.config_only or (request.config_from and request.config_from.network):
        refusals.append("ConfigOnly, ConfigFrom: configuration networks are not supported")
    if refusals:
        raise Unimplemented("; ".join(refusals))
    options = {name: value for name, value in spec.options.items() if name != "encrypted"}
    return msgspec.structs.replace(spec, driver="overlay", scope="swarm", options=options)


def _check_free(state: State, spec: NetworkSpec) -> None:
    if spec.name in DRIVERS:
        raise Forbidden(f"operation is not permitted on predefined {spec.name} network")
    if state.network_named(spec.name) or is_taken(state, "network", spec.name):
        raise Conflict(f"network with name {spec.name} already exists")
    for config in spec.ipam.config:
        if not config.subnet:
            continue
        wanted = ipaddress.IPv4Network(config.subnet)
        if user := in_use(state, wanted):
            raise _overlap(config.subnet, user, "host")
        for name, subnet in _subnets(state):
            if wanted.overlaps(ipaddress.ip_network(subnet)):
                raise _overlap(config.subnet, f"{subnet} of network {name}", "network")


def _overlap(subnet: str, user: str, kind: str) -> Conflict:
    facts = {"path": "IPAM.Config[0].Subnet", "subnet": subnet, "user": user, "kind": kind}
    return refusal(Conflict, reason(Code.SUBNET_REFUSED, **facts))


def _subnets(state: State) -> set[tuple[str, str]]:
    """(network, subnet) of all subnets that are allocated or asked for, also by networks that are being removed."""
    found = set()
    for network in state.networks.values():
        if decision := state.network_decisions.get(network.id):
            found.add((network.spec.name, decision.subnet))
        found.update((network.spec.name, config.subnet) for config in network.spec.ipam.config if config.subnet)
    return found


def _of_host(networks: list[NetworkAnswer], reference: str, scope: str) -> NetworkAnswer:
    """The network with that name, id or beginning of an id. Raises NotFound, Invalid."""
    networks = [network for network in networks if scope in ("", network.scope)]
    exact = [network for network in networks if reference in (network.name, network.id)]
    found = exact or [network for network in networks if network.id.startswith(reference)]
    if not found:
        raise NotFound(f"network {reference} not found on this host, which is no manager and knows only its own")
    if len(found) > 1:
        raise Invalid(f"network {reference} is ambiguous: {len(found)} ids begin so")
    return found[0]


def _passes(network: NetworkAnswer, used: bool, chosen: dict[str, set[str]]) -> bool:
    builtin = network.name in DRIVERS or network.ingress
    checks: dict[str, Callable[[set[str]], bool]] = {
        "driver": lambda values: network.driver in values,
        "scope": lambda values: network.scope in values,
        "id": lambda values: _matches(network.id, values),
        "name": lambda values: _matches(network.name, values),
        "label": lambda values: label_match(network.labels or {}, values),
        "type": lambda values: ("builtin" if builtin else "custom") in values,
        "dangling": lambda values: (not used and not builtin) == bool(values & {"1", "true"}),
    }
    return all(checks[name](values) for name, values in chosen.items())


def _matches(text: str, patterns: set[str]) -> bool:
    """Docker's match for networks: a regular expression found anywhere (moby daemon/network/filter.go)."""
    for pattern in patterns:
        try:
            if re.search(pattern, text):
                return True
        except re.error:
            if pattern in text:
                return True
    return False
