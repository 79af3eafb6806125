"""Paths inside a container's root that cannot lead out of it."""

from __future__ import annotations

import os
from pathlib import Path

_MOST_LINKS = 40


def inside(root: Path, path: str) -> Path:
    """Where `path` of a container is on the host: links are followed as the container would, never out of `root`.

    For roots that nothing else writes to meanwhile. Raises OSError for too many links.
    """
    pending = [part for part in path.split("/") if part]
    done: list[str] = []
    links = 0
    while pending:
        part = pending.pop(0)
        if part == "..":
            done = done[:-1]
        elif part != ".":
            there = root.joinpath(*done, part)
            if not there.is_symlink():
                done.append(part)
                continue
            if (links := links + 1) > _MOST_LINKS:
                raise OSError(f"too many symbolic links in {path}")
            target = os.readlink(there)
            done = [] if target.startswith("/") else done
            pending = [p for p in target.split("/") if p] + pending
    return root.joinpath(*done)
