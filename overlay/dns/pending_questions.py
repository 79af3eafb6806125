"""Questions that argosyd has forwarded and not answered yet, in memory that outlives it.

argosyd writes a question down before it takes it out of its socket, and strikes it out when the answer is sent. When
argosyd is gone the stand-in, which maps the same memory (standin.py), forwards what is left. Imports next to nothing.

A slot is filled before its length is written, so one that was being filled at a kill is empty.
"""

from __future__ import annotations

import mmap
import os
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SLOTS = 512
"""Questions at once; more are forwarded too, and only asked again by their client should argosyd be killed."""
_LENGTH = struct.Struct("!H")
_FACTS = struct.Struct("!4sH64s")
_MOST = 512
"""Bytes of a question; larger ones are not written down."""
_SIZE = _LENGTH.size + _FACTS.size + _MOST


class PendingQuestions:
    """The memory, in one process. `fd` is one that `memory` made; it stays the caller's."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, SLOTS * _SIZE)
        self._free = list(range(SLOTS - 1, -1, -1))

    def of(self, sandbox_id: str) -> SandboxQuestions:
        """One sandbox's."""
        return SandboxQuestions(self, sandbox_id)

    def add(self, sandbox_id: str, data: bytes, client: tuple[str, int]) -> int | None:
        """Write a question down; returns its slot, for `strike`. None when there is no room for it."""
        id = sandbox_id.encode()
        if not self._free or len(data) > _MOST or len(id) > 64:
            return None
        slot = self._free.pop()
        at = slot * _SIZE
        _FACTS.pack_into(self._map, at + _LENGTH.size, socket.inet_aton(client[0]), client[1], id)
        start = at + _LENGTH.size + _FACTS.size
        self._map[start : start + len(data)] = data
        _LENGTH.pack_into(self._map, at, len(data))
        return slot

    def strike(self, slot: int) -> None:
        """It has been answered, or nobody waits for it."""
        _LENGTH.pack_into(self._map, slot * _SIZE, 0)
        self._free.append(slot)

    def left(self) -> Iterator[tuple[str, bytes, tuple[str, int]]]:
        """What is written down: sandbox, question, client."""
        for at in range(0, SLOTS * _SIZE, _SIZE):
            (length,) = _LENGTH.unpack_from(self._map, at)
            if 0 < length <= _MOST:
                address, port, id = _FACTS.unpack_from(self._map, at + _LENGTH.size)
                start = at + _LENGTH.size + _FACTS.size
                data = self._map[start : start + length]
                yield id.rstrip(b"\0").decode(), data, (socket.inet_ntoa(address), port)

    def close(self) -> None:
        """Let go of it; the other process may have it still."""
        self._map.close()


class SandboxQuestions:
    """One sandbox's questions that are being forwarded."""

    def __init__(self, all: PendingQuestions, sandbox_id: str) -> None:
        self._all = all
        self._sandbox_id = sandbox_id
        self._slots: set[int] = set()

    def add(self, data: bytes, client: tuple[str, int]) -> int | None:
        """Write a question down; returns its slot, for `strike`. None when there is no room for it."""
        slot = self._all.add(self._sandbox_id, data, client)
        if slot is not None:
            self._slots.add(slot)
        return slot

    def strike(self, slot: int | None) -> None:
        """It has been answered."""
        if slot in self._slots:
            self._slots.discard(slot)
            self._all.strike(slot)

    def strike_all(self) -> None:
        """The sandbox is gone: nobody waits for an answer."""
        for slot in list(self._slots):
            self.strike(slot)


def memory() -> int:
    """A file descriptor of memory for them, to be shared with the stand-in."""
    fd = os.memfd_create("argosy-questions")
    os.ftruncate(fd, SLOTS * _SIZE)
    return fd
