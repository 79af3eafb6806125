"""Keys of objects in etcd: `/argosy/<kind>/<id>`. The name of a kind may contain a slash, an id never does."""

from __future__ import annotations

from typing import Any

from api.objects.kinds import KINDS, Kind

PREFIX = b"/argosy/"
PREFIX_END = b"/argosy0"
"""The first key after the prefix: the end of a range, as etcd defines it."""

_KINDS: dict[bytes, Kind[Any]] = {PREFIX + kind.name.encode(): kind for kind in KINDS}
_PATHS: dict[str, str] = {kind.name: f"{PREFIX.decode()}{kind.name}/" for kind in KINDS}


def path_of(kind: Kind[Any], id: str) -> str:
    """The key of an object, as text."""
    return _PATHS[kind.name] + id


def key_of(kind: Kind[Any], id: str) -> bytes:
    """The key of an object."""
    return (_PATHS[kind.name] + id).encode()


def parse(key: bytes) -> tuple[Kind[Any], str] | None:
    """The kind and id of the object at a key; None for an unknown key, for example of a newer version."""
    path, _, id = key.rpartition(b"/")
    kind = _KINDS.get(path)
    return (kind, id.decode()) if kind is not None else None
