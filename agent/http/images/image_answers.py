"""Images in the shapes that the Engine API gives them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from msgspec.structs import replace

from agent.runtime.images.image_config import ImageConfig
from agent.runtime.interface import Image
from api.engine.common import Empty, timestamp
from api.engine.images import (
    GraphDriver,
    ImageAnswer,
    ImageDeletedAnswer,
    ImageHistoryAnswer,
    ImageMetadata,
    ImageRunConfig,
    ImageSummaryAnswer,
    RootFS,
)
from api.image_reference import familiar, parse


def summary(image: Image, containers: int, shared_size: int = -1) -> ImageSummaryAnswer:
    """An item of GET /images/json. `shared_size` is the bytes it shares with others, -1 where that is not measured."""
    return ImageSummaryAnswer(
        id=image.id,
        repo_tags=_repo_tags(image),
        repo_digests=_repo_digests(image),
        created=int(image.created),
        size=image.size,
        shared_size=shared_size,
        labels=image.labels,
        containers=containers,
    )


def _repo_tags(image: Image) -> list[str]:
    return [familiar(name) for name in image.names]


def _repo_digests(image: Image) -> list[str]:
    """What registries call it; a loaded image has none."""
    return [familiar(digest) for digest in image.digests]


def inspection(image: Image, config: ImageConfig) -> ImageAnswer:
    """The body of GET /images/{name}/json."""
    return ImageAnswer(
        id=image.id,
        repo_tags=_repo_tags(image),
        repo_digests=_repo_digests(image),
        created=config.created or timestamp(0),
        author=config.author,
        architecture=config.architecture,
        variant=config.variant,
        os=config.os,
        size=image.size,
        graph_driver=GraphDriver("overlay2"),
        root_fs=RootFS(layers=list(image.layers)),
        metadata=ImageMetadata(last_tag_time=timestamp(0)),
        config=ImageRunConfig(
            user=image.user,
            env=list(image.env),
            cmd=list(image.command) or None,
            entrypoint=list(image.entrypoint) or None,
            working_dir=image.directory,
            labels=image.labels or None,
            volumes=dict.fromkeys(image.volumes, Empty()) or None,
            exposed_ports=dict.fromkeys(image.exposed_ports, Empty()) or None,
            stop_signal=image.stop_signal,
            healthcheck=image.healthcheck,
        ),
    )


def history(image: Image, config: ImageConfig, sizes: list[int], seconds: list[float]) -> list[ImageHistoryAnswer]:
    """The body of GET /images/{name}/history, newest first. `sizes` are the layers', oldest first."""
    left = list(sizes)
    steps = []
    for step, when in zip(config.history or [], seconds, strict=True):
        size = 0 if step.empty_layer or not left else left.pop(0)
        steps.append(
            ImageHistoryAnswer(
                id="<missing>", created=int(when), created_by=step.created_by, size=size, comment=step.comment
            )
        )
    steps.reverse()
    if steps:
        steps[0] = replace(steps[0], id=image.id, tags=_repo_tags(image) or None)
    return steps


def removed(untagged: Iterable[str], deleted: str) -> list[ImageDeletedAnswer]:
    """What was taken away: names, and the image itself unless `deleted` is ""."""
    names = [ImageDeletedAnswer(untagged=name) for name in untagged]
    return [*names, ImageDeletedAnswer(deleted=deleted)] if deleted else names


def matches_reference(image: Image, pattern: str) -> bool:
    """Docker's `reference` filter, without globs beyond a bare name: "demo", "demo:1", "shop/*"."""
    names = {text for name in image.names for text in (familiar(name), parse(name).familiar_name, name)}
    return any(fnmatchcase(text, pattern) for text in names)
