"""Volumes of a host: the bodies of the /volumes paths."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from api.engine.common import FullAnswer, Request


class VolumeCreateRequest(Request, frozen=True):
    """POST /volumes/create."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class VolumeUsage(FullAnswer, frozen=True, kw_only=True):
    """A volume's use of the disk. `size` is in bytes, -1 when it cannot be measured."""

    ref_count: int = 0
    """Number of containers that mount it."""
    size: int = -1


class VolumeAnswer(FullAnswer, frozen=True, kw_only=True):
    """GET /volumes/{name}, and what POST /volumes/create answers."""

    created_at: str = ""
    driver: str = ""
    labels: dict[str, str] | None = None
    mountpoint: str = ""
    name: str = ""
    options: dict[str, str] | None = None
    scope: str = ""
    usage_data: VolumeUsage | UnsetType = UNSET
    """In GET /system/df only."""


class VolumesAnswer(FullAnswer, frozen=True):
    """GET /volumes."""

    volumes: list[VolumeAnswer] | None = None
    warnings: list[str] | None = None


class VolumesPruneAnswer(FullAnswer, frozen=True):
    """POST /volumes/prune."""

    volumes_deleted: list[str] | None = None
    space_reclaimed: int = 0
