"""Directories that only their owner may enter, whatever the umask and whoever made them."""

from __future__ import annotations

from pathlib import Path

PRIVATE = 0o700
OWNERS = 0o710
"""The owner's; the group may pass through it, as through dockerd's data root."""
PASSABLE = 0o711
"""Nobody else may list it, but everybody may reach what lies in it by its name."""


def make_directory(path: Path, mode: int = PRIVATE) -> Path:
    """Have a directory of exactly that mode, also where an earlier version made it with another. Raises OSError."""
    path.mkdir(mode=mode, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o7777 != mode:
        path.chmod(mode)
    return path
