"""What a node says of itself: its size, its machine, and the images it can give to others."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.config import AgentConfig
from agent.runtime import cdi
from agent.runtime.base import Image
from api.objects import EngineDescription, NodeDescription
from api.specs import Reservations, Resources

CPU = 1_000_000_000
"""Nano-CPUs of one processor."""


def describe(
    config: AgentConfig, images: Iterable[Image], cpus: int, memory: int, machine: str, devices: Iterable[str] = ()
) -> NodeDescription:
    """The description of a node with so many processors and bytes of memory. Pure."""
    images = list(images)
    size = Reservations(nano_cpus=cpus * CPU, memory_bytes=memory, generic_resources=list(config.generic_resources))
    return NodeDescription(
        hostname=config.hostname,
        architecture=machine,
        resources=Resources(reservations=size),
        engine=EngineDescription(config.engine_version, dict(config.labels)),
        address=config.address,
        host_port=config.host_port,
        manager_port=config.manager_port,
        images=sorted({name for image in images for name in image_names(image)}),
        tags={name: meaning for image in images for name, meaning in tag_meanings(image)},
        devices=sorted(devices),
    )


def describe_host(config: AgentConfig, images: Iterable[Image]) -> NodeDescription:
    """The description of this machine (all of it: limits on the daemon's own cgroup are not its containers')."""
    devices = cdi.read().devices
    return describe(config, images, os.cpu_count() or 1, total_memory(), platform.machine(), devices)


def image_names(image: Image) -> Iterator[str]:
    """Every way a spec may name an image this host has: by name, by name and manifest digest, by name and image id."""
    yield from image.names
    yield from image.digests
    yield image.id
    for repository in {repository_of(name) for name in (*image.names, *image.digests)}:
        yield f"{repository}@{image.id}"


def tag_meanings(image: Image) -> Iterator[tuple[str, str]]:
    """What each name of an image stands for: its manifest's digest in that repository, if it has one, else its id."""
    digests = {repository_of(reference): reference.partition("@")[2] for reference in sorted(image.digests)}
    for name in image.names:
        yield name, digests.get(repository_of(name), image.id)


def repository_of(reference: str) -> str:
    """A reference without its digest and tag (a colon after the last slash; before it, it is a port)."""
    name = reference.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]


def total_memory(source: Path = Path("/proc/meminfo")) -> int:
    """Bytes of memory of the machine; 0 when the kernel does not say."""
    for line in source.read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0
