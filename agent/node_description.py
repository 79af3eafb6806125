"""The node description: what a node reports about its resources, its machine and its images."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from pathlib import Path

import structlog

from agent.options import AgentConfig
from agent.runtime.bundle import cdi
from agent.runtime.interface import Image
from api.objects.observed import EngineDescription, NodeDescription
from api.service.resources import Reservations, Resources
from api.wire.host_bounds import MOST_IMAGES, MOST_IMAGES_BYTES, MOST_ITEMS, MOST_TROUBLES

log = structlog.get_logger(__name__)

CPU = 1_000_000_000
"""Nano-CPUs per processor."""


def describe(
    config: AgentConfig,
    images: Iterable[Image],
    cpus: int,
    memory: int,
    machine: str,
    devices: Iterable[str] = (),
    troubles: Iterable[str] = (),
    prefixes: Iterable[str] = (),
) -> NodeDescription:
    """The description of a node with `cpus` processors and `memory` bytes of memory. Pure."""
    images = fitting(images)
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
        devices=sorted(devices)[:MOST_ITEMS],
        troubles=[one_line(text) for text in troubles][:MOST_TROUBLES],
        prefixes=list(prefixes),
    )


def fitting(images: Iterable[Image], most: int = MOST_IMAGES_BYTES) -> list[Image]:
    """The images that fit into a description of `most` bytes. The others are not offered to other hosts, which fetch
    them from a registry.
    """
    kept, left, names = [], most, MOST_IMAGES
    for image in images:
        own = [*image_names(image)]
        left -= sum(len(name) + 4 for name in own) + sum(len(a) + len(b) + 8 for a, b in tag_meanings(image))
        names -= len(own)
        if left < 0 or names < 0:
            log.warning("too many images to tell the managers of all; other hosts cannot get the rest from here")
            break
        kept.append(image)
    return kept


def one_line(text: str, most: int = 300) -> str:
    """The text on one line of at most `most` characters, for a row of a table."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line if len(line) <= most else f"{line[:most]}…"


def describe_host(
    config: AgentConfig, images: Iterable[Image], troubles: Iterable[str] = (), prefixes: Iterable[str] = ()
) -> NodeDescription:
    """The description of this machine, with all its resources: limits of the daemon's cgroup do not apply to tasks."""
    devices = cdi.read().devices
    return describe(
        config, images, os.cpu_count() or 1, total_memory(), platform.machine(), devices, troubles, prefixes
    )


def image_names(image: Image) -> Iterator[str]:
    """All references by which specs may name the image: name, name and manifest digest, name and image id."""
    yield from image.names
    yield from image.digests
    yield image.id
    for repository in {repository_of(name) for name in (*image.names, *image.digests)}:
        yield f"{repository}@{image.id}"


def tag_meanings(image: Image) -> Iterator[tuple[str, str]]:
    """Each name of the image with the digest of its manifest in that repository or, if it has none, the image's id."""
    digests = {repository_of(reference): reference.partition("@")[2] for reference in sorted(image.digests)}
    for name in image.names:
        yield name, digests.get(repository_of(name), image.id)


def repository_of(reference: str) -> str:
    """The reference without digest and tag. A tag is a colon after the last slash; before it, a colon is a port's."""
    name = reference.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]


def total_memory(source: Path = Path("/proc/meminfo")) -> int:
    """Bytes of memory of the machine; 0 if /proc/meminfo does not say."""
    for line in source.read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0
