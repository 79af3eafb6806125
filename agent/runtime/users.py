"""Who a container's process is: `name|uid[:group|gid]` looked up in the image's own passwd and group files. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.runtime.base import RuntimeFailure


@dataclass(frozen=True, slots=True)
class User:
    """Numbers, and the home directory for $HOME."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"


def resolve(text: str, passwd: str, group: str, extra: Sequence[str] = ()) -> User:
    """The user that `text` means; `extra` groups by name or number come on top. Raises RuntimeFailure."""
    name, colon, group_name = text.partition(":")
    name = name or "0"
    entry = _find_user(name, passwd)
    if entry is None and not name.isdigit():
        raise RuntimeFailure(f"unable to find user {name}: no matching entries in passwd file")
    uid, gid, login, home = entry or (int(name), 0, "", "/")
    groups = [number for _, number, members in _groups(group) if login and login in members]
    if colon and group_name:
        gid, groups = _group_id(group_name, group), []
    added = tuple(_group_id(item, group) for item in extra)
    return User(uid, gid, tuple(sorted({gid, *groups, *added})), home)


def _find_user(name: str, passwd: str) -> tuple[int, int, str, str] | None:
    for line in passwd.splitlines():
        parts = line.split(":")
        if len(parts) >= 6 and parts[2].isdigit() and parts[3].isdigit() and name in (parts[0], parts[2]):
            return int(parts[2]), int(parts[3]), parts[0], parts[5] or "/"
    return None


def _groups(group: str) -> Iterator[tuple[str, int, list[str]]]:
    for line in group.splitlines():
        parts = line.split(":")
        if len(parts) >= 3 and parts[2].isdigit():
            yield parts[0], int(parts[2]), parts[3].split(",") if len(parts) > 3 else []


def _group_id(name: str, group: str) -> int:
    for known, number, _ in _groups(group):
        if name == known:
            return number
    if name.isdigit():
        return int(name)
    raise RuntimeFailure(f"unable to find group {name}: no matching entries in group file")
