"""The factory of a node's components: the one place that knows every constructor of manager and agent."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from typing import Any

from aiohttp import web

from agent.main import Agent
from agent.options import AgentConfig
from agent.runtime.oci_runtime import OciRuntime
from agent.serving.host_service import handlers
from agent.serving.image_grants import ManagerGrants
from agent.session.grpc_connector import GrpcConnector
from api.defaults import MANAGER_PORT
from api.states import Role
from api.version import release
from kit.timing import Clock
from kit.troubles import Troubles
from manager.main import Manager, ManagerOptions
from node.membership.advertise_address import host_port
from node.membership.components import Credentialed, Listener
from node.membership.grpc_server import HostServer
from node.membership.identity import Identity, IdentityFiles
from node.membership.session_tap import SessionTap
from node.membership.store_place import member_settings
from node.settings import Settings
from overlay.host_networks import HostNetworks


class NodeFactory:
    """Implements node/membership/components.py's `Factory`."""

    def __init__(
        self,
        settings: Settings,
        runtime: OciRuntime,
        clock: Clock,
        rng: random.Random,
        troubles: Troubles,
        routes: Callable[[], list[web.RouteDef]],
    ) -> None:
        """`routes`: the whole HTTP API, for managers' HTTPS port. `troubles`: what the agent reports to managers."""
        self._settings = settings
        self._runtime = runtime
        self._files = IdentityFiles(settings.node_directory)
        self._clock = clock
        self._rng = rng
        self._troubles = troubles
        self._routes = routes

    def networks(self, identity: Identity) -> HostNetworks:
        """The host's networks."""
        membership = identity.membership
        return HostNetworks(
            host_address(identity),
            self._settings.exec_root,
            vxlan_port=membership.data_path_port,
            troubles=self._troubles,
        )

    def agent(self, identity: Identity, networks: HostNetworks, own: Credentialed, listener: Listener) -> Agent:
        """The agent."""
        settings, membership = self._settings, identity.membership
        manager_port = host_port(membership.listen_addr, MANAGER_PORT)[1]
        config = AgentConfig(
            node_id=membership.node_id,
            hostname=socket.gethostname(),
            directory=settings.data_root / "agent",
            address=host_address(identity),
            host_port=settings.host_port,
            manager_port=manager_port if identity.role is Role.MANAGER else 0,
            managers=tuple(membership.managers),
            labels=settings.labels,
            engine_version=release(),
            generic_resources=settings.generic_resources,
        )
        connector = SessionTap(GrpcConnector(own), listener.heard, listener.refused)
        on_health_change = self._runtime.publish_health
        return Agent(
            config, self._runtime, networks, connector, self._clock, self._rng, on_health_change, self._troubles
        )

    def manager(self, identity: Identity, own: Credentialed) -> Manager:
        """A manager, not started."""
        settings, membership = self._settings, identity.membership
        options = ManagerOptions(
            node_id=membership.node_id,
            address=membership.address,
            listen=host_port(membership.listen_addr, MANAGER_PORT),
            host_port=settings.host_port,
            certificate=self._files.certificate,
            key=self._files.key,
            etcd=member_settings(settings, identity),
            external=settings.etcd_endpoints,
            external_credentials=settings.etcd_credentials(),
            routes=self._routes(),
        )
        return Manager(options, own, self._clock, self._rng)

    def host_server(self, identity: Callable[[], Identity], dispatcher: Callable[[], Any], agent: Agent) -> HostServer:
        """The gRPC port, not started."""
        credentials = identity().credentials
        grants = ManagerGrants(lambda: credentials, lambda: identity().membership.managers)
        return HostServer(credentials, dispatcher, [handlers(self._runtime, agent.callers, grants, agent.find)])

    def listen(self) -> tuple[str, int]:
        """Where the gRPC port listens."""
        return self._settings.host_addr, self._settings.host_port


def host_address(identity: Identity) -> str:
    """The address for other hosts' packets to this one: the data path address if set, else the advertised one."""
    return identity.membership.data_path_addr or identity.membership.address
