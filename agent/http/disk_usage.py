"""GET /system/df and the /…/prune paths: what takes room on this host, and giving back what nobody uses."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

from aiohttp import web
from msgspec import UNSET
from msgspec.structs import replace

from agent.http.containers import container_answers
from agent.http.containers.container_handlers import networks
from agent.http.host_context import HostContext
from agent.http.images import image_answers
from agent.http.volume_handlers import volume_answer
from agent.runtime.interface import Container, Image
from agent.runtime.volumes.local_volumes import Volume
from api.engine.containers import ContainersPruneAnswer, ContainerSummaryAnswer
from api.engine.images import ImageDeletedAnswer, ImagesPruneAnswer
from api.engine.system import BuildPruneAnswer, DiskUsageAnswer
from api.engine.volumes import VolumeAnswer, VolumesPruneAnswer, VolumeUsage
from api.errors import Conflict, Invalid, NotFound
from api.http.app import answer
from api.http.query import filters, label_match, read_moment

_IMAGE_FILTERS = frozenset(["dangling", "until", "label", "label!"])
_VOLUME_FILTERS = frozenset(["all", "label", "label!"])
_CONTAINER_FILTERS = frozenset(["until", "label", "label!"])
_UNITS = {"s": 1, "m": 60, "h": 3600}
_AGO = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?[smh])+")
_PART = re.compile(r"([0-9.]+)([smh])")


async def usage(request: web.Request, context: HostContext) -> web.StreamResponse:
    """GET /system/df?type=."""
    wanted = set(request.query.getall("type", [])) or {"container", "image", "volume", "build-cache"}
    containers = await context.runtime.containers()
    found = DiskUsageAnswer(build_cache=[] if "build-cache" in wanted else UNSET)
    if "image" in wanted:
        used = Counter(container.image_id for container in containers)
        shares = Shares(context.images.all(), context)
        images = [
            image_answers.summary(image, used[image.id], shares.shared(image.id)) for image in context.images.all()
        ]
        found = replace(found, layers_size=shares.total, images=images)
    if "container" in wanted:
        found = replace(found, containers=[await _container(container, context) for container in containers])
    if "volume" in wanted:
        found = replace(found, volumes=[await _volume(volume, context) for volume in context.volumes.all()])
    return answer(found)


async def prune_images(request: web.Request, context: HostContext) -> web.StreamResponse:
    """POST /images/prune: images without a name and a digest, or with dangling=false all that no container uses."""
    wanted = filters(request, _IMAGE_FILTERS)
    unnamed = not wanted.get("dangling", set()) & {"false", "0"}
    bounds = [_before(text, context.clock()) for text in wanted.get("until", ())]
    before = Shares(context.images.all(), context).total
    deleted: list[ImageDeletedAnswer] = []
    for image in context.images.all():
        if (
            (unnamed and (image.names or image.digests))
            or not _labelled(image.labels, wanted)
            or any(image.created >= bound for bound in bounds)
        ):
            continue
        try:
            removal = await context.images.remove(image.id, force=True)
        except Conflict:
            continue  # a container is made from it
        deleted += image_answers.removed(removal.untagged, removal.deleted)
    after = Shares(context.images.all(), context).total
    return answer(ImagesPruneAnswer(deleted or None, max(before - after, 0)))


async def prune_volumes(request: web.Request, context: HostContext) -> web.StreamResponse:
    """POST /volumes/prune: anonymous volumes that no container has, or with all=true any such."""
    wanted = filters(request, _VOLUME_FILTERS)
    everything = bool(wanted.get("all", set()) & {"true", "1"})
    removed, room = [], 0
    for volume in context.volumes.all():
        if not (everything or volume.anonymous) or not _labelled(volume.labels, wanted):
            continue
        if context.volumes.in_use(volume.name):
            continue
        size = max(await _size(context.volumes.data(volume.name), context), 0)
        try:
            await context.volumes.remove(volume.name)
        except (Conflict, NotFound):
            continue  # somebody has taken it into use meanwhile, or removed it
        removed.append(volume.name)
        room += size
    return answer(VolumesPruneAnswer(removed or None, room))


async def prune_containers(request: web.Request, context: HostContext) -> web.StreamResponse:
    """POST /containers/prune: none, for every container here belongs to a task, and goes with it."""
    filters(request, _CONTAINER_FILTERS)
    return answer(ContainersPruneAnswer())


async def prune_builds(request: web.Request, context: HostContext) -> web.StreamResponse:
    """POST /build/prune: nothing is built here, so nothing is kept of it; `docker system prune` asks each time."""
    return answer(BuildPruneAnswer())


class Shares:
    """Which image has which layers, and how large they are."""

    def __init__(self, images: list[Image], context: HostContext) -> None:
        self._sizes: dict[Path, int] = {}
        self._users: Counter[Path] = Counter()
        self._layers: dict[str, list[Path]] = {}
        for image in images:
            try:
                layers, sizes = context.images.layers(image.id), context.images.layer_sizes(image.id)
            except (KeyError, OSError):
                continue  # it was removed meanwhile
            self._layers[image.id] = layers
            self._sizes |= dict(zip(reversed(layers), sizes, strict=False))
            self._users.update(set(layers))
        self.total = sum(self._sizes.values())
        """Bytes of all layers, each counted once."""

    def shared(self, id: str) -> int:
        """Bytes of an image's layers that other images have too."""
        return sum(self._sizes.get(layer, 0) for layer in self._layers.get(id, []) if self._users[layer] > 1)


def size_of(path: Path) -> int:
    """Bytes that a directory takes on the disk, without what is mounted or linked in it; blocking."""
    total = 0
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(directory, name)).st_blocks * 512
            except OSError:
                continue  # gone meanwhile
    return total


async def _container(container: Container, context: HostContext) -> ContainerSummaryAnswer:
    record = context.runtime.inspect(container.id)
    ports = context.networks.host_ports(container.id)
    view = container_answers.summary(container, record, networks(container, context), ports, context.clock())
    written = Path(context.data_root, "containers", container.id, "upper")
    image = context.images.find(container.image_id)
    size = await _size(written, context)
    return replace(view, size_rw=size, size_root_fs=size + (image.size if image else 0))


async def _volume(volume: Volume, context: HostContext) -> VolumeAnswer:
    size = await _size(context.volumes.data(volume.name), context)
    users = len(context.volumes.in_use(volume.name))
    return volume_answer(volume, context, VolumeUsage(size=size, ref_count=users))


async def _size(path: Path, context: HostContext) -> int:
    """What `size_of` says; -1, as Docker has it, when that hangs (a volume of a server that is gone)."""
    try:
        return await context.volumes.workers.run("measuring", size_of, path)
    except TimeoutError:
        return -1


def _labelled(labels: dict[str, str], wanted: dict[str, set[str]]) -> bool:
    unwanted = any(label_match(labels, {item}) for item in wanted.get("label!", set()))
    return label_match(labels, wanted.get("label", set())) and not unwanted


def _before(text: str, now: float) -> float:
    """A point in time: Unix seconds, RFC 3339, or so long ago ("24h", "1h30m"). Raises Invalid."""
    if (found := read_moment(text)) is not None:
        return found
    if _AGO.fullmatch(text):
        return now - sum(float(count) * _UNITS[unit] for count, unit in _PART.findall(text))
    raise Invalid(f"until: {text!r} is no time; write 24h, 1h30m, or 2024-01-31T12:00:00Z")
