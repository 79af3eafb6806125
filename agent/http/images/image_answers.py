"""Images in the shapes that the Engine API gives them. Pure."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from agent.runtime.images.image_config import ImageConfig
from agent.runtime.interface import Image
from api.codec import plain
from api.engine.common import timestamp
from api.image_reference import familiar, parse


def summary(image: Image, containers: int) -> dict[str, Any]:
    """An item of GET /images/json."""
    return {
        "Id": image.id,
        "ParentId": "",
        "RepoTags": [familiar(name) for name in image.names],
        "RepoDigests": _repo_digests(image),
        "Created": int(image.created),
        "Size": image.size,
        "SharedSize": -1,
        "Labels": image.labels,
        "Containers": containers,
    }


def _repo_digests(image: Image) -> list[str]:
    """What registries call it; a loaded image has none."""
    return [familiar(digest) for digest in image.digests]


def inspection(image: Image, config: ImageConfig) -> dict[str, Any]:
    """The body of GET /images/{name}/json."""
    return {
        "Id": image.id,
        "RepoTags": [familiar(name) for name in image.names],
        "RepoDigests": _repo_digests(image),
        "Parent": "",
        "Comment": "",
        "Created": config.created or timestamp(0),
        "Author": config.author,
        "Architecture": config.architecture,
        "Variant": config.variant,
        "Os": config.os,
        "Size": image.size,
        "GraphDriver": {"Name": "overlay2", "Data": {}},
        "RootFS": {"Type": "layers", "Layers": list(image.layers)},
        "Metadata": {"LastTagTime": timestamp(0)},
        "Config": {
            "User": image.user,
            "Env": list(image.env),
            "Cmd": list(image.command) or None,
            "Entrypoint": list(image.entrypoint) or None,
            "WorkingDir": image.directory,
            "Labels": image.labels or None,
            "Volumes": {path: {} for path in image.volumes} or None,
            "ExposedPorts": {port: {} for port in image.exposed_ports} or None,
            "StopSignal": image.stop_signal,
            "Healthcheck": plain(image.healthcheck) if image.healthcheck else None,
        },
    }


def history(image: Image, config: ImageConfig, sizes: list[int], seconds: list[float]) -> list[dict[str, Any]]:
    """The body of GET /images/{name}/history, newest first. `sizes` are the layers', oldest first."""
    left = list(sizes)
    steps = []
    for step, when in zip(config.history or [], seconds, strict=True):
        size = 0 if step.empty_layer or not left else left.pop(0)
        steps.append(
            {
                "Id": "<missing>",
                "Created": int(when),
                "CreatedBy": step.created_by,
                "Tags": None,
                "Size": size,
                "Comment": step.comment,
            }
        )
    steps.reverse()
    if steps:
        steps[0] |= {"Id": image.id, "Tags": [familiar(name) for name in image.names] or None}
    return steps


def matches_reference(image: Image, pattern: str) -> bool:
    """Docker's `reference` filter, without globs beyond a bare name: "demo", "demo:1", "shop/*"."""
    names = {text for name in image.names for text in (familiar(name), parse(name).familiar_name, name)}
    return any(fnmatchcase(text, pattern) for text in names)
