"""A host as a whole: the bodies of /info, /version, /events, /system/df and /build/prune."""

from __future__ import annotations

from msgspec import UNSET, UnsetType, field

from api.engine.common import FullAnswer
from api.engine.containers import ContainerSummaryAnswer
from api.engine.images import ImageSummaryAnswer
from api.engine.volumes import VolumeAnswer


class EngineDetails(FullAnswer, frozen=True):
    """Of the engine among the components of GET /version; Docker has all of them as texts."""

    api_version: str = field(name="ApiVersion", default="")
    min_api_version: str = field(name="MinAPIVersion", default="")
    arch: str = ""
    os: str = field(name="Os", default="")
    kernel_version: str = ""
    git_commit: str = ""
    go_version: str = ""
    build_time: str = ""
    experimental: str = ""


class Component(FullAnswer, frozen=True):
    """A part of the daemon."""

    name: str = ""
    version: str = ""
    details: EngineDetails = EngineDetails()


class VersionPlatform(FullAnswer, frozen=True):
    """The product's name."""

    name: str = ""


class VersionAnswer(FullAnswer, frozen=True):
    """GET /version."""

    platform: VersionPlatform = VersionPlatform()
    components: list[Component] = []
    version: str = ""
    api_version: str = field(name="ApiVersion", default="")
    min_api_version: str = field(name="MinAPIVersion", default="")
    git_commit: str = ""
    go_version: str = ""
    os: str = field(name="Os", default="")
    arch: str = ""
    kernel_version: str = ""
    build_time: str = ""


class DiskUsageAnswer(FullAnswer, frozen=True):
    """GET /system/df: as far as it was asked for. `layers_size` is in bytes."""

    layers_size: int | UnsetType = UNSET
    images: list[ImageSummaryAnswer] | UnsetType = UNSET
    containers: list[ContainerSummaryAnswer] | UnsetType = UNSET
    volumes: list[VolumeAnswer] | UnsetType = UNSET
    build_cache: list[str] | UnsetType = UNSET


class BuildPruneAnswer(FullAnswer, frozen=True):
    """POST /build/prune. `space_reclaimed` is in bytes."""

    caches_deleted: list[str] | None = None
    space_reclaimed: int = 0
