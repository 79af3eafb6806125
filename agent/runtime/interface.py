"""The runtime's interface: what the agent needs of images and containers. Implemented by OciRuntime, and by a fake.

A container's id is derived from its task's, so that creating is idempotent and a restarted agent finds its containers.
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
    """A container cannot be made or started. The task fails with this message, and may be replaced on another host."""


class ImageMissing(RuntimeFailure):
    """The image is neither here, nor at a peer, nor in a registry. The task is rejected."""


def container_id(task_id: str) -> str:
    """The container id of a task: 64 hex digits, as Docker's."""
    return hashlib.sha256(task_id.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Image:
    """An image of this host."""

    id: str
    """The digest of the image's config, "sha256:…"."""
    names: tuple[str, ...]
    """Full references: "docker.io/library/demo:1"."""
    digests: tuple[str, ...]
    """"docker.io/library/demo@sha256:…": references with digests of registries."""
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
    """The layers' diff_ids."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A secret or config in a container."""

    target: str
    """Absolute path in the container."""
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
    """Path of the container's network namespace; "" for the host's."""
    hosts: tuple[str, ...] = ()
    """Lines for /etc/hosts besides localhost."""
    env: tuple[str, ...] = ()
    """Environment variables, added after the spec's."""
    files: tuple[PlannedFile, ...] = ()
    """Secrets and configs. Never written to a disk."""


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of a container."""

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
    """The image reference that the container was made from."""
    image_id: str
    created: float
    started: float
    pid: int
    exit: Exit | None
    labels: dict[str, str]
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """The output and exit code of an exec."""

    code: int
    text: bytes


class Runtime(Protocol):
    """Containers and images of one host."""

    async def image(self, reference: str, peers: Sequence[str], policy: str = "", login: bytes = b"") -> Image:
        """Return the image; fetch it from a peer ("node_id@address:port") or a registry if it is not here.

        Policy "always" resolves a tag at its registry each time, "never" does not fetch. `login` is an auth.json for
        the registry. Raises ImageMissing with a message that says which sources failed.
        """
        ...

    async def create(self, plan: ContainerPlan) -> None:
        """Create the container without starting it: volumes, root filesystem, bundle, conmon. Idempotent.

        Raises RuntimeFailure.
        """
        ...

    async def start(self, id: str) -> int:
        """Start a container; returns its pid. Idempotent while it runs. Raises RuntimeFailure."""
        ...

    async def wait(self, id: str) -> Exit:
        """Return when the container has ended; at once if it has already."""
        ...

    async def stop(self, id: str, signal: str, grace: float) -> None:
        """Send a signal ("" for SIGTERM), and kill the container after `grace` seconds. Returns once it has ended."""
        ...

    async def remove(self, id: str) -> None:
        """Kill the container if it runs; unmount and delete all of it, also its log. No error if it is missing."""
        ...

    async def exec(self, id: str, command: Sequence[str], timeout: float, hook: Hook | None = None) -> Output:
        """Run a command in the container, with the container's user and environment, or with the hook's.

        Raises TimeoutError after killing the command.
        """
        ...

    def logs(
        self, id: str, *, follow: bool, since: float, tail: int, stdout: bool, stderr: bool
    ) -> AsyncIterator[list[LogLine]]:
        """The log in batches of lines, across rotations; with `follow` until the container is removed."""
        ...

    async def containers(self) -> list[Container]:
        """All containers on this host."""
        ...

    async def images(self) -> list[Image]:
        """All complete images on this host."""
        ...

    async def wait_images(self) -> None:
        """Return when the set of images or their names changes."""
        ...

    def export(self, reference: str) -> AsyncIterator[bytes]:
        """An image by digest, for another host (images/image_receiver.py). Raises NotFound; Invalid for a tag."""
        ...
