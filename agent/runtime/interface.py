"""The runtime's port: what the agent knows of images and containers. `oci` stands behind it, and a fake in tests.

A container's id is derived from its task's, so that creating is idempotent and a restarted agent finds its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from api.errors import ArgosyError
from api.service.container import Healthcheck
from api.service.host_config import Hook
from api.service.service_spec import TaskSpec
from api.wire.host_messages import LogLine


class RuntimeFailure(ArgosyError):
    """A container cannot be made or started. The task fails with this sentence (and may be retried elsewhere)."""


class ImageMissing(RuntimeFailure):
    """Neither here, nor at a peer, nor in a registry. The task is rejected."""


def container_id(task_id: str) -> str:
    """64 hex digits, as Docker's are."""
    return hashlib.sha256(task_id.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Image:
    """An image this host has."""

    id: str
    """sha256:… of its config."""
    names: tuple[str, ...]
    """Full references: "docker.io/library/demo:1"."""
    digests: tuple[str, ...]
    """"docker.io/library/demo@sha256:…": known from a registry."""
    size: int = 0
    created: float = 0.0
    architecture: str = ""
    os: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    user: str = ""
    directory: str = ""
    stop_signal: str = ""
    healthcheck: Healthcheck | None = None
    labels: dict[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    exposed_ports: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    """diff_ids."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A secret or config in a container."""

    target: str
    """Absolute."""
    data: bytes = field(repr=False)
    uid: int = 0
    gid: int = 0
    mode: int = 0o444


@dataclass(frozen=True, slots=True)
class ContainerPlan:
    """Everything needed to make one container."""

    id: str
    name: str
    task_id: str
    image: Image
    spec: TaskSpec
    labels: dict[str, str]
    """Container labels: the spec's, and com.docker.swarm.*."""
    hostname: str
    netns: str
    """Path of its network namespace; "" for the host's."""
    hosts: tuple[str, ...] = ()
    """Lines for /etc/hosts besides localhost."""
    env: tuple[str, ...] = ()
    """Added after the spec's."""
    files: tuple[PlannedFile, ...] = ()
    """Its secrets and configs. Never written to a disk."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a container ended."""

    code: int
    oom: bool
    time: float


@dataclass(frozen=True, slots=True)
class Container:
    """A container that exists on this host, running or ended."""

    id: str
    name: str
    task_id: str
    image: str
    """The reference it was made from."""
    image_id: str
    created: float
    started: float
    pid: int
    exit: Exit | None
    labels: dict[str, str]
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """What an exec wrote and how it ended."""

    code: int
    text: bytes


class Runtime(Protocol):
    """Containers and images of one host."""

    async def image(self, reference: str, peers: Sequence[str], policy: str = "", login: bytes = b"") -> Image:
        """The image, fetched first from a peer ("node_id@address:port") or a registry if it is not here.

        With the policy "always" a tag is asked of its registry each time, with "never" nobody is asked. `login` is an
        auth.json for the registry.
        Raises ImageMissing with a sentence that says where it was looked for.
        """
        ...

    async def create(self, plan: ContainerPlan) -> None:
        """Make the container, not started: volumes, root filesystem, bundle, conmon. Idempotent.

        Raises RuntimeFailure.
        """
        ...

    async def start(self, id: str) -> int:
        """Start it; returns its pid. Idempotent while it runs. Raises RuntimeFailure."""
        ...

    async def wait(self, id: str) -> Exit:
        """Until it has ended; at once if it has."""
        ...

    async def stop(self, id: str, signal: str, grace: float) -> None:
        """Signal it ("" for SIGTERM), and kill it after `grace` seconds. Returns once it has ended."""
        ...

    async def remove(self, id: str) -> None:
        """Kill it if it runs, unmount and delete all of it, its log too. Nothing happens when there is none."""
        ...

    async def exec(self, id: str, command: Sequence[str], timeout: float, hook: Hook | None = None) -> Output:
        """Run a command in it, as its user and with its environment, or as the hook says.

        Raises TimeoutError after killing the command.
        """
        ...

    def logs(
        self, id: str, *, follow: bool, since: float, tail: int, stdout: bool, stderr: bool
    ) -> AsyncIterator[list[LogLine]]:
        """Its log in batches of lines, across rotations; with `follow` until it is removed or the caller stops."""
        ...

    async def containers(self) -> list[Container]:
        """All that exist on this host."""
        ...

    async def images(self) -> list[Image]:
        """All that are complete on this host."""
        ...

    async def wait_images(self) -> None:
        """Until the set of images or their names changes."""
        ...

    def export(self, reference: str) -> AsyncIterator[bytes]:
        """The image of a digest for another host (image_receiver.py). Raises NotFound; Invalid for a tag."""
        ...
