"""The context of the host part of the HTTP API: what the host has, in a cluster or outside of one."""

from __future__ import annotations

import socket

from agent.http.host_network_answers import network_answers
from agent.http.system_info import engine_info
from agent.lifecycle.health import Health
from agent.runtime.images.image_store import ImageStore
from agent.runtime.oci_runtime import OciRuntime
from agent.runtime.volumes.local_volumes import Volumes
from api.engine.networks import NetworkAnswer
from api.engine.system import InfoAnswer
from kit.timing import Clock
from manager.http.networks.predefined_networks import predefined_networks
from node.membership.membership import HostMembership
from node.settings import Settings
from overlay.host_networks import HostNetworks
from overlay.interface import Networks


class NodeContext:
    """Implements agent/http/host_context.py's `HostContext`."""

    def __init__(self, settings: Settings, swarm: HostMembership, runtime: OciRuntime, clock: Clock) -> None:
        self._settings = settings
        self._swarm = swarm
        self._runtime = runtime
        self._clock = clock
        # never started: outside of a cluster there are no sandboxes
        self._no_networks = HostNetworks("127.0.0.1", settings.exec_root)

    @property
    def runtime(self) -> OciRuntime:
        """The container runtime."""
        return self._runtime

    @property
    def images(self) -> ImageStore:
        """The image store."""
        return self._runtime.image_store

    @property
    def volumes(self) -> Volumes:
        """The volumes on this host."""
        return self._runtime.volumes

    @property
    def networks(self) -> Networks:
        """The host's networks."""
        return self._swarm.components.networks if self._swarm.components is not None else self._no_networks

    @property
    def node_id(self) -> str:
        """ "" while the host is in no cluster."""
        return self._swarm.identity.node_id if self._swarm.identity is not None else ""

    @property
    def hostname(self) -> str:
        """The host's name."""
        return socket.gethostname()

    @property
    def data_root(self) -> str:
        """The directory with all persistent data."""
        return str(self._settings.data_root)

    @property
    def clock(self) -> Clock:
        """Unix seconds."""
        return self._clock

    async def info(self) -> InfoAnswer:
        """The host's part of GET /info."""
        labels = [f"{key}={value}" for key, value in self._settings.labels.items()]
        return await engine_info(self, labels)

    def health(self, task_id: str) -> Health:
        """The health of a task's container."""
        return self._swarm.components.agent.health(task_id) if self._swarm.components is not None else Health()

    def network_name(self, id: str) -> str:
        """A network's name; its id when the network is not assigned to this host."""
        return self._swarm.network_names.get(id, id)

    def network_answers(self) -> list[NetworkAnswer]:
        """The networks that this host takes part in. Used when no manager runs here: a manager knows all networks."""
        orders = self._swarm.components.agent.networks() if self._swarm.components is not None else []
        return [*predefined_networks(self.node_id), *network_answers(orders)]
