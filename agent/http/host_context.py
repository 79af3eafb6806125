"""What the HTTP handlers need of the host they serve."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from agent.lifecycle.health import Health
from agent.runtime.containers.container_record import Record
from agent.runtime.execs.execs import Execs
from agent.runtime.host_features import CgroupMode
from agent.runtime.images.image_store import ImageStore
from agent.runtime.interface import Runtime
from agent.runtime.oci.container_defaults import ContainerDefaults
from agent.runtime.runtime_events import RuntimeEvents
from agent.runtime.volumes.local_volumes import Volumes
from api.wire.host_messages import LogLine
from kit.timing import Clock
from overlay.interface import Networks


class HostRuntime(Runtime, Protocol):
    """The runtime, and what only people ask of it. OciRuntime is one."""

    @property
    def name(self) -> str:
        """The OCI runtime: crun or runc."""
        ...

    @property
    def cgroup_mode(self) -> CgroupMode:
        """How control groups are mounted."""
        ...

    @property
    def usual(self) -> ContainerDefaults:
        """What a container gets whose spec does not say."""
        ...

    @property
    def execs(self) -> Execs:
        """Commands that people run in containers."""
        ...

    @property
    def journal(self) -> RuntimeEvents:
        """What has happened to containers, images and volumes."""
        ...

    def kill(self, id: str, signal: str) -> None:
        """Send a container a signal ("" for SIGKILL). Raises NotFound, Conflict, RuntimeFailure."""
        ...

    def inspect(self, id: str) -> Record:
        """All that is kept of a container. Raises NotFound."""
        ...

    def logs(
        self,
        id: str,
        *,
        follow: bool,
        since: float,
        tail: int,
        stdout: bool,
        stderr: bool,
        until: float = 0.0,
        to_exit: bool = False,
    ) -> AsyncIterator[list[LogLine]]:
        """As in Runtime; with `to_exit` following ends when the container does."""
        ...


class HostContext(Protocol):
    """A running agent, as its HTTP handlers see it."""

    @property
    def runtime(self) -> HostRuntime:
        """Containers."""
        ...

    @property
    def images(self) -> ImageStore:
        """Images (OciRuntime.image_store)."""
        ...

    @property
    def volumes(self) -> Volumes:
        """Volumes (OciRuntime.volumes)."""
        ...

    @property
    def networks(self) -> Networks:
        """The host's networks."""
        ...

    @property
    def node_id(self) -> str:
        """ "" while the host is in no cluster."""
        ...

    @property
    def hostname(self) -> str:
        """The host's name."""
        ...

    @property
    def data_root(self) -> str:
        """Where everything is kept."""
        ...

    @property
    def clock(self) -> Clock:
        """Unix seconds."""
        ...

    def health(self, task_id: str) -> Health:
        """How healthy a task's container is; NONE without a check, and out of a cluster."""
        ...

    def network_name(self, id: str) -> str:
        """A network's name; its id when the host was not told of it."""
        ...


Get = Callable[[], HostContext]
"""Gives the context that serves now; it changes when the host joins or leaves a cluster. May raise Unavailable."""
