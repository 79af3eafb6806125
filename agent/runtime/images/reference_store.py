"""The reference store: which image a name or digest refers to, in one small JSON file with a mirror copy.

`names` are references with a tag ("docker.io/library/demo:1"); they may come to mean another image. `digests` are
registries' references ("docker.io/library/demo@sha256:…"), and are fixed.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import msgspec
import structlog

from kit import mirrored_file

log = structlog.get_logger(__name__)


class ReferenceStore:
    """Maps names and digests to image ids ("sha256:…")."""

    class Content(msgspec.Struct):
        """The content of the file."""

        names: dict[str, str] = {}
        digests: dict[str, str] = {}

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._content = mirrored_file.load(path, msgspec.json.Decoder(ReferenceStore.Content).decode)
        except FileNotFoundError:
            self._content = ReferenceStore.Content()
        except mirrored_file.Damaged as error:
            log.error("the names of this host's images are lost; they are known by id", why=str(error))
            self._content = ReferenceStore.Content()

    def named(self, reference: str) -> str:
        """The id of the image with a full name or digest; "" if there is none."""
        return self._content.names.get(reference) or self._content.digests.get(reference) or ""

    def names_of(self, id: str) -> tuple[str, ...]:
        """All names of an image."""
        return tuple(sorted(name for name, owner in self._content.names.items() if owner == id))

    def digests_of(self, id: str) -> tuple[str, ...]:
        """All registry digests of an image."""
        return tuple(sorted(name for name, owner in self._content.digests.items() if owner == id))

    def registry_digests(self) -> list[str]:
        """The digests of all registry references: "sha256:…"."""
        return [name.partition("@")[2] for name in self._content.digests]

    def add(self, id: str, names: Collection[str] = (), digests: Collection[str] = ()) -> None:
        """Point names and digests at an image. A name that pointed at another image moves."""
        self._content.names.update(dict.fromkeys(names, id))
        self._content.digests.update(dict.fromkeys(digests, id))
        self._save()

    def drop(self, names: Collection[str]) -> None:
        """Delete names or digests."""
        for name in names:
            self._content.names.pop(name, None)
            self._content.digests.pop(name, None)
        self._save()

    def _save(self) -> None:
        mirrored_file.save(self._path, msgspec.json.encode(self._content))
