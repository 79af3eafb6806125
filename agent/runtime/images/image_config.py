"""An image's config (the JSON whose digest is the image's id), and the `Image` made from it. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from agent.runtime.interface import Image
from api.service.container import Healthcheck


class Execution(msgspec.Struct, rename="pascal"):
    """The `config` object. Docker writes null for empty values."""

    user: str | None = None
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None
    env: list[str] | None = None
    working_dir: str | None = None
    labels: dict[str, str] | None = None
    volumes: dict[str, Any] | None = None
    exposed_ports: dict[str, Any] | None = None
    stop_signal: str | None = None
    healthcheck: Healthcheck | None = None


class RootFs(msgspec.Struct):
    """The layers."""

    diff_ids: list[str] = []


class ImageHistoryEntry(msgspec.Struct):
    """One line of the history."""

    created: str = ""
    created_by: str = ""
    comment: str = ""
    empty_layer: bool = False


class ImageConfig(msgspec.Struct):
    """The fields that Argosy reads of a config, in Docker's or the OCI's form."""

    architecture: str = ""
    variant: str = ""
    os: str = ""
    created: str | None = None
    author: str = ""
    config: Execution | None = None
    rootfs: RootFs = msgspec.field(default_factory=RootFs)
    history: list[ImageHistoryEntry] | None = None


def read(data: bytes) -> ImageConfig:
    """Parse a config. Raises msgspec.MsgspecError for a broken one."""
    return msgspec.json.decode(data, type=ImageConfig)


def image(id: str, config: ImageConfig, size: int) -> Image:
    """The image, without names."""
    run = config.config or Execution()
    return Image(
        id=id,
        names=(),
        digests=(),
        size=size,
        created=seconds(config.created or ""),
        architecture=config.architecture,
        os=config.os,
        entrypoint=tuple(run.entrypoint or ()),
        command=tuple(run.cmd or ()),
        env=tuple(run.env or ()),
        user=run.user or "",
        directory=run.working_dir or "",
        stop_signal=run.stop_signal or "",
        healthcheck=run.healthcheck,
        labels=run.labels or {},
        volumes=tuple(sorted(run.volumes or ())),
        exposed_ports=tuple(sorted(run.exposed_ports or ())),
        layers=tuple(config.rootfs.diff_ids),
    )


def seconds(text: str) -> float:
    """Unix seconds of an RFC 3339 time; 0 for other text."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return 0.0
