"""Makes the parts of a node from the settings: the one place that knows every constructor of manager and agent."""

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
from agent.session.grpc_connector import RpcLink
from api.defaults import MANAGER_PORT
from api.states import Role
from api.version import release
from api.wire import rpc
from api.wire.session_messages import ManagerMessage, Welcome
from kit.timing import Clock
from kit.troubles import Troubles
from manager.etcd.command_line import MemberSettings
from manager.main import Manager, ManagerOptions
from node.membership.advertise_address import host_port
from node.membership.grpc_server import HostServer
from node.membership.identity import Identity, IdentityFiles
from node.membership.session_tap import WelcomeLink
from node.settings import Settings
from overlay.host_networks import HostNetworks


class NodeFactory:
    """Implements node/membership/components.py's `Factory`."""

    def __init__(self, settings: Settings, runtime: OciRuntime, clock: Clock, rng: random.Random) -> None:
        self._settings = settings
        self._runtime = runtime
        self._files = IdentityFiles(settings.node_directory)
        self._clock = clock
        self._rng = rng
        self._managers: list[str] = []
        self.routes: list[web.RouteDef] = []
        """The HTTP API, for the managers' HTTPS port; set once it is put together."""
        self.heard: Callable[[ManagerMessage], None] = _ignore
        """Told what managers say to the agent."""
        self.troubles = Troubles()
        """Of all parts; the agent tells the managers."""
        self.refused: Callable[[], None] = lambda: None
        """Called when a manager says that the node is not part of the cluster."""

    def networks(self, identity: Identity) -> HostNetworks:
        """The host's networks."""
        membership = identity.membership
        return HostNetworks(
            host_address(identity),
            self._settings.exec_root,
            vxlan_port=membership.data_path_port,
            troubles=self.troubles,
        )

    def agent(self, identity: Identity, networks: HostNetworks, credentials: Callable[[], rpc.Credentials]) -> Agent:
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
        self._managers = membership.managers
        link = WelcomeLink(RpcLink(credentials), self._hear, lambda: self.refused())
        told = self._runtime.tell_health
        return Agent(config, self._runtime, networks, link, self._clock, self._rng, told, self.troubles)

    def manager(self, identity: Identity, credentials: Callable[[], rpc.Credentials]) -> Manager:
        """A manager, not started."""
        settings, membership = self._settings, identity.membership
        options = ManagerOptions(
            node_id=membership.node_id,
            address=membership.address,
            listen=host_port(membership.listen_addr, MANAGER_PORT),
            host_port=settings.host_port,
            certificate=self._files.certificate,
            key=self._files.key,
            etcd=self.etcd(identity),
            external=settings.etcd_endpoints,
            external_credentials=settings.etcd_credentials(),
            routes=self.routes,
        )
        return Manager(options, credentials, self._clock, self._rng)

    def etcd(self, identity: Identity) -> MemberSettings:
        """Where the etcd member of a manager lives."""
        return MemberSettings(
            node_id=identity.node_id,
            directory=self._settings.etcd_directory,
            address=identity.membership.address,
            client_port=self._settings.etcd_client_port,
            peer_port=self._settings.etcd_peer_port,
            quota=self._settings.etcd_quota,
            memory=self._settings.etcd_memory_limit,
        )

    def host_server(self, credentials: rpc.Credentials, dispatcher: Callable[[], Any], agent: Agent) -> HostServer:
        """The gRPC port, not started."""
        grants = ManagerGrants(lambda: credentials, lambda: self._managers)
        return HostServer(credentials, dispatcher, [handlers(self._runtime, agent.callers, grants, agent.find)])

    def _hear(self, message: ManagerMessage) -> None:
        if isinstance(message, Welcome) and message.managers:
            self._managers = message.managers
        self.heard(message)

    def listen(self) -> tuple[str, int]:
        """Where the gRPC port listens."""
        return self._settings.host_addr, self._settings.host_port


def host_address(identity: Identity) -> str:
    """Where the other hosts send this one's packets: the data path's address, if it has one of its own."""
    return identity.membership.data_path_addr or identity.membership.address


def _ignore(message: ManagerMessage) -> None:
    """Nobody listens yet."""
