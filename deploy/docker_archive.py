"""Writer of docker-archives: an image from directories, without a builder, a daemon or a registry."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def write_archive(
    target: Path, name: str, layers: Sequence[Path], config: Mapping[str, Any], created: datetime | None = None
) -> None:
    """Write image `name` to `target`, atomically, with one layer per directory, lowest first.

    `config`: Docker's image config (Entrypoint, Cmd, Env, WorkingDir, User, Healthcheck, …). Without `created` the
    image has no date, so that the same files give the same image id.
    """
    part = target.with_suffix(".part")
    dated = {"created": created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")} if created else {}
    with tarfile.open(part, "w") as archive:
        digests = [_add_layer(archive, directory) for directory in layers]
        document = {
            "architecture": "amd64",
            "os": "linux",
            "config": dict(config),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
            "history": [{"created_by": directory.name, **dated} for directory in layers],
            **dated,
        }
        data = json.dumps(document, sort_keys=True).encode()
        config_name = f"{hashlib.sha256(data).hexdigest()}.json"
        _add_bytes(archive, config_name, data)
        manifest = [{"Config": config_name, "RepoTags": [name], "Layers": [f"{d}/layer.tar" for d in digests]}]
        _add_bytes(archive, "manifest.json", json.dumps(manifest).encode())
    part.rename(target)


def _add_layer(archive: tarfile.TarFile, directory: Path) -> str:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for path in sorted(directory.rglob("*")):
            layer.add(path, str(path.relative_to(directory)), recursive=False, filter=_owned_by_root)
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    _add_bytes(archive, f"{digest}/layer.tar", data)
    return digest


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    # Equal files give an equal layer, regardless of user and time.
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mtime = 0
    return entry


def _add_bytes(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))
