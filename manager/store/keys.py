"""Where objects lie in etcd: `/argosy/<kind>/<id>`. A kind's name may hold a slash, an id never does."""

from __future__ import annotations

from typing import Any

from api.objects.kinds import KINDS, Kind

PREFIX = b"/argosy/"
PREFIX_END = b"/argosy0"
"""The first key after the prefix, as etcd wants the end of a range."""

_KINDS: dict[bytes, Kind[Any]] = {PREFIX + kind.name.encode(): kind for kind in KINDS}
_PATHS: dict[str, str] = {kind.name: f"{PREFIX.decode()}{kind.name}/" for kind in KINDS}


def path_of(kind: Kind[Any], id: str) -> str:
    """The key of an object, as text."""
    return _PATHS[kind.name] + id


def key_of(kind: Kind[Any], id: str) -> bytes:
    """The key of an object."""
    return (_PATHS[kind.name] + id).encode()


def parse(key: bytes) -> tuple[Kind[Any], str] | None:
    """Which object a key holds; None for a key of a newer version or somebody else's."""
    path, _, id = key.rpartition(b"/")
    kind = _KINDS.get(path)
    return (kind, id.decode()) if kind is not None else None
