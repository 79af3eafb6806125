"""All routes of the cluster part of the HTTP API, one class per resource."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from api.http.event_stream import Source
from manager.http.cluster.node_handlers import Nodes
from manager.http.cluster.swarm_handlers import Swarm
from manager.http.cluster_context import ClusterContext
from manager.http.config_handlers import Configs
from manager.http.distribution_handlers import Ask, Distribution
from manager.http.event_handlers import Events
from manager.http.log_handlers import Logs
from manager.http.networks.network_handlers import HostNetworks, Networks
from manager.http.secret_handlers import Secrets
from manager.http.services.insight_handlers import Insight
from manager.http.services.service_handlers import Services
from manager.http.services.task_handlers import Tasks
from manager.http.services.verdict_handlers import Verdicts
from manager.images.registry import ask_registry


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
        Verdicts(get),
        Tasks(get),
        Networks(get, host_networks),
        Secrets(get),
        Configs(get),
        distribution,
        Events(get, host_events),
    )
    return [route for part in parts for route in part.routes()]
