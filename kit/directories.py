"""Directories with an exact mode, regardless of the umask and of who created them."""

from __future__ import annotations

from pathlib import Path

PRIVATE = 0o700
OWNERS = 0o710
"""Full access for the owner; the group may traverse it, as with dockerd's data root."""
PASSABLE = 0o711
"""Full access for the owner; everybody else may traverse it but not list it."""


def make_directory(path: Path, mode: int = PRIVATE) -> Path:
    """Create a directory if needed and set its mode, also if it existed with another. Returns it. Raises OSError."""
    path.mkdir(mode=mode, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o7777 != mode:
        path.chmod(mode)
    return path
