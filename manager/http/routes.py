"""All routes of the cluster part of the HTTP API, one class per resource."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from api.events import Source
from manager.http.configs import Configs
from manager.http.context import ClusterContext
from manager.http.distribution import Ask, Distribution
from manager.http.events import Events
from manager.http.insight import Insight
from manager.http.logs import Logs
from manager.http.networks import Host as HostNetworks
from manager.http.networks import Networks
from manager.http.nodes import Nodes
from manager.http.registry import ask_registry
from manager.http.secrets import Secrets
from manager.http.services import Services
from manager.http.swarm import Swarm
from manager.http.tasks import Tasks


def routes(
    get: Callable[[], ClusterContext],
    ask: Ask = ask_registry,
    host_events: Source | None = None,
    host_networks: HostNetworks | None = None,
) -> list[web.RouteDef]:
    """For api.http.make_app. `get` gives the running manager or raises NotManager; `ask` asks registries.

    `host_events` tells of what happens on this host, and `host_networks` shows what a host that is no manager is on.
    """
    distribution = Distribution(get, ask)
    parts = (
        Swarm(get),
        Nodes(get),
        Logs(get),
        Services(get, distribution),
        Insight(get),
        Tasks(get),
        Networks(get, host_networks),
        Secrets(get),
        Configs(get),
        distribution,
        Events(get, host_events),
    )
    return [route for part in parts for route in part.routes()]
