"""The user of a container's process: `name|uid[:group|gid]`, resolved by the image's passwd and group files. Pure.

The rules are Docker's (moby/sys, user.GetExecUser and GetAdditionalGroups): digits are always a number, never a name;
the first matching entry counts; fields missing in a line are empty or 0; a number without an entry is valid. The
user's memberships count only if no group is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.runtime.interface import RuntimeFailure

_NUMBER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_MOST_ID = 2**31 - 1
_MOST_DIGITS = 19


@dataclass(frozen=True, slots=True)
class User:
    """The numeric ids of a user, and the home directory for $HOME."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of the passwd file."""

    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class _Group:
    """A line of the group file."""

    name: str
    gid: int
    members: tuple[str, ...]


def resolve(text: str, passwd: str, group: str, extra: Sequence[str] = ()) -> User:
    """The user named by `text`, with the additional groups `extra` (names or numbers). Raises RuntimeFailure."""
    name, _, group_name = text.partition(":")
    entry = _user(name, passwd)
    uid, gid = (entry.uid, entry.gid) if entry else (_number(name) or 0, 0)
    member_of: list[int] = []
    if group_name:
        gid = _gid(group_name, group)
    elif entry and entry.name:
        member_of = [one.gid for one in _groups(group) if entry.name in one.members]
    added = [_gid(item, group) for item in extra]
    groups = tuple(sorted({gid, *member_of, *added}))
    for number in (uid, *groups):
        if not 0 <= number <= _MOST_ID:
            raise RuntimeFailure(f"uids and gids must be in range 0-{_MOST_ID}")
    return User(uid, gid, groups, (entry.home if entry else "") or "/")


def _user(name: str, passwd: str) -> _Entry | None:
    """The user's entry; None for a number without one. Raises RuntimeFailure for an unknown name."""
    number = _number(name) if name else 0
    for entry in _entries(passwd):
        if entry.uid == number if number is not None else entry.name == name:
            return entry
    if number is None:
        raise RuntimeFailure(f"unable to find user {name}: no matching entries in passwd file")
    return None


def _gid(name: str, group: str) -> int:
    """A group's number. Raises RuntimeFailure for an unknown name."""
    number = _number(name)
    for one in _groups(group):
        if one.gid == number if number is not None else one.name == name:
            return one.gid
    if number is None:
        raise RuntimeFailure(f"unable to find group {name}: no matching entries in group file")
    return number


def _entries(passwd: str) -> Iterator[_Entry]:
    for line in filter(None, map(str.strip, passwd.split("\n"))):
        name, _, uid, gid, _, home, *_ = [*line.split(":"), *[""] * 6]
        yield _Entry(name, _number(uid) or 0, _number(gid) or 0, home)


def _groups(group: str) -> Iterator[_Group]:
    for line in filter(None, map(str.strip, group.split("\n"))):
        if line.startswith("#"):
            continue
        name, _, gid, members, *_ = [*line.split(":"), *[""] * 4]
        yield _Group(name, _number(gid) or 0, tuple(members.split(",")) if members else ())


def _number(text: str) -> int | None:
    """The number as Go's strconv.Atoi reads it; 2**63 for one with too many digits; None for other text."""
    if not _NUMBER.fullmatch(text):
        return None
    return int(text) if len(text) <= _MOST_DIGITS else 2**63
