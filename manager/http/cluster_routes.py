"""All routes of the cluster part of the HTTP API, one class of handlers per resource."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from api.http.event_stream import EventSource
from manager.http.cluster.node_handlers import NodeHandlers
from manager.http.cluster.swarm_handlers import SwarmHandlers
from manager.http.cluster_context import ClusterContext
from manager.http.config_handlers import ConfigHandlers
from manager.http.distribution_handlers import Ask, DistributionHandlers
from manager.http.event_handlers import EventHandlers
from manager.http.log_handlers import LogHandlers
from manager.http.networks.network_handlers import HostNetworks, NetworkHandlers
from manager.http.secret_handlers import SecretHandlers
from manager.http.services.insight_handlers import InsightHandlers
from manager.http.services.service_handlers import ServiceHandlers
from manager.http.services.task_handlers import TaskHandlers
from manager.http.services.verdict_handlers import VerdictHandlers
from manager.images.registry import ask_registry


def routes(
    get: Callable[[], ClusterContext],
    ask: Ask = ask_registry,
    host_events: EventSource | None = None,
    host_networks: HostNetworks | None = None,
) -> list[web.RouteDef]:
    """For api.http.app.make_app. `get` returns the running manager or raises NotManager; `ask` asks a registry.

    `host_events` has this host's own events; `host_networks` are the networks of a host that is no manager.
    """
    distribution = DistributionHandlers(get, ask)
    parts = (
        SwarmHandlers(get),
        NodeHandlers(get),
        LogHandlers(get),
        ServiceHandlers(get, distribution),
        InsightHandlers(get),
        VerdictHandlers(get),
        TaskHandlers(get),
        NetworkHandlers(get, host_networks),
        SecretHandlers(get),
        ConfigHandlers(get),
        distribution,
        EventHandlers(get, host_events),
    )
    return [route for part in parts for route in part.routes()]
