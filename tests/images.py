"""Tiny images for tests, made from busybox: docker-archive and oci-archive files, without a registry or a builder.

A layer is a mapping of path to content: bytes are files, None is a directory, `Link` a symbolic link, `Special` the
rest; names that begin with `.wh.` are whiteouts, as everywhere.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUSYBOX = Path("/bin/busybox")
_APPLETS = """
    sh ash ls cat echo sleep true false id env mkdir touch hostname mount nc wget ps kill stat head seq
    httpd ip ping yes dd rm printf test tty grep awk cut date nslookup sync chown tail wc sort tr
"""
APPLETS = _APPLETS.split()


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True)
class Special:
    """A FIFO (tarfile.FIFOTYPE), a device (tarfile.CHRTYPE, BLKTYPE) or a hard link (tarfile.LNKTYPE)."""

    kind: bytes
    major: int = 0
    minor: int = 0
    target: str = ""


Layer = Mapping[str, bytes | Link | Special | None]


def busybox_layer() -> dict[str, bytes | Link | Special | None]:
    """A root filesystem of busybox, with users `root` and `app` (1000:1000, also in group `extra`, 2000)."""
    files: dict[str, bytes | Link | Special | None] = {
        "bin/": None,
        "etc/": None,
        "tmp/": None,
        "bin/busybox": BUSYBOX.read_bytes(),
        "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n",
        "etc/group": b"root:x:0:\napp:x:1000:\nextra:x:2000:app\n",
    }
    return files | {f"bin/{name}": Link("busybox") for name in APPLETS if name != "busybox"}


def layer_tar(layer: Layer) -> bytes:
    """The layer as an uncompressed tar; the same bytes each time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, content in layer.items():
            info = tarfile.TarInfo(path.rstrip("/"))
            info.mode = 0o755
            if content is None:
                info.type = tarfile.DIRTYPE
                info.mode = 0o1777 if path == "tmp/" else 0o755
                tar.addfile(info)
            elif isinstance(content, Link):
                info.type, info.linkname = tarfile.SYMTYPE, content.target
                tar.addfile(info)
            elif isinstance(content, Special):
                info.type, info.linkname = content.kind, content.target
                info.devmajor, info.devminor = content.major, content.minor
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def image_config(layers: Sequence[bytes], config: Mapping[str, Any]) -> bytes:
    """An image config in Docker's form for uncompressed layer tars; `config` is its `config` object."""
    return json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2024-01-02T03:04:05Z",
            "config": {"Env": ["PATH=/bin:/usr/bin"], "Cmd": ["/bin/sh"], **config},
            "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
            "history": [{"created": "2024-01-02T03:04:05Z", "created_by": f"layer {n}"} for n in range(len(layers))],
        }
    ).encode()


def sha256(data: bytes) -> str:
    """A digest as registries write them."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def image_id(layers: Sequence[Layer], config: Mapping[str, Any] | None = None) -> str:
    """The id an image of these parts has."""
    return sha256(image_config([layer_tar(layer) for layer in layers], config or {}))


def docker_archive(
    path: Path,
    names: Sequence[str],
    layers: Sequence[Layer] | None = None,
    config: Mapping[str, Any] | None = None,
    *,
    compressed: bool = False,
) -> str:
    """Write a `docker save` file; returns the image's id."""
    tars = [layer_tar(layer) for layer in layers or [busybox_layer()]]
    config_json = image_config(tars, config or {})
    digest = hashlib.sha256(config_json).hexdigest()
    files = {f"{digest}.json": config_json}
    files |= {f"{number}/layer.tar": tar for number, tar in enumerate(tars)}
    manifest = {
        "Config": f"{digest}.json",
        "RepoTags": list(names),
        "Layers": [f"{n}/layer.tar" for n in range(len(tars))],
    }
    files["manifest.json"] = json.dumps([manifest]).encode()
    _write(path, files, compressed)
    return f"sha256:{digest}"


def oci_archive(
    path: Path,
    name: str,
    layers: Sequence[Layer] | None = None,
    config: Mapping[str, Any] | None = None,
    *,
    compressed: bool = False,
) -> str:
    """Write an OCI layout as a tar, named by the `ref.name` annotation; returns the image's id."""
    tars = [layer_tar(layer) for layer in layers or [busybox_layer()]]
    blobs = [gzip.compress(tar, mtime=0) for tar in tars]
    config_json = image_config(tars, config or {})
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _descriptor("application/vnd.oci.image.config.v1+json", config_json),
        "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar+gzip", blob) for blob in blobs],
    }
    manifest_json = json.dumps(manifest).encode()
    entry = _descriptor(manifest["mediaType"], manifest_json)
    if name:
        entry["annotations"] = {"org.opencontainers.image.ref.name": name}
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    files |= {f"blobs/sha256/{sha256(blob)[7:]}": blob for blob in (*blobs, config_json, manifest_json)}
    _write(path, files, compressed)
    return sha256(config_json)


def _descriptor(media_type: Any, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": sha256(data), "size": len(data)}


def _write(path: Path, files: Mapping[str, bytes], compressed: bool) -> None:
    with tarfile.open(path, "w:gz" if compressed else "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
