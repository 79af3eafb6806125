"""Questions that argosyd has forwarded but not answered yet, in memory that survives argosyd.

argosyd writes a question to this memory before it takes it out of its socket, and removes it when the answer is sent.
When argosyd ends, the stand-in, which maps the same memory (standin.py), forwards the remaining questions. Imports
almost nothing, to keep the stand-in small.

A slot's length is written last, so a slot that was being written at a kill counts as empty.
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
"""Questions at a time. More are forwarded too, but are lost if argosyd is killed: their client repeats them."""
_LENGTH = struct.Struct("!H")
_FACTS = struct.Struct("!4sH64s")
_MOST = 512
"""Largest question, in bytes; larger ones are not stored."""
_SIZE = _LENGTH.size + _FACTS.size + _MOST


class PendingQuestions:
    """The shared memory in one process. `fd` was made by `memory`; the caller closes it."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, SLOTS * _SIZE)
        self._free = list(range(SLOTS - 1, -1, -1))

    def of(self, sandbox_id: str) -> SandboxQuestions:
        """The questions of one sandbox."""
        return SandboxQuestions(self, sandbox_id)

    def add(self, sandbox_id: str, data: bytes, client: tuple[str, int]) -> int | None:
        """Store a question; returns its slot, for `remove`. None when there is no space for it."""
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

    def remove(self, slot: int) -> None:
        """Remove a question that was answered, or whose sandbox is gone."""
        _LENGTH.pack_into(self._map, slot * _SIZE, 0)
        self._free.append(slot)

    def left(self) -> Iterator[tuple[str, bytes, tuple[str, int]]]:
        """The stored questions: sandbox id, question, client."""
        for at in range(0, SLOTS * _SIZE, _SIZE):
            (length,) = _LENGTH.unpack_from(self._map, at)
            if 0 < length <= _MOST:
                address, port, id = _FACTS.unpack_from(self._map, at + _LENGTH.size)
                start = at + _LENGTH.size + _FACTS.size
                data = self._map[start : start + length]
                yield id.rstrip(b"\0").decode(), data, (socket.inet_ntoa(address), port)

    def close(self) -> None:
        """Unmap the memory; the other process keeps its mapping."""
        self._map.close()


class SandboxQuestions:
    """One sandbox's questions that are being forwarded."""

    def __init__(self, all: PendingQuestions, sandbox_id: str) -> None:
        self._all = all
        self._sandbox_id = sandbox_id
        self._slots: set[int] = set()

    def add(self, data: bytes, client: tuple[str, int]) -> int | None:
        """Store a question; returns its slot, for `remove`. None when there is no space for it."""
        slot = self._all.add(self._sandbox_id, data, client)
        if slot is not None:
            self._slots.add(slot)
        return slot

    def remove(self, slot: int | None) -> None:
        """Remove a question that was answered."""
        if slot in self._slots:
            self._slots.discard(slot)
            self._all.remove(slot)

    def remove_all(self) -> None:
        """Remove all questions of a removed sandbox."""
        for slot in list(self._slots):
            self.remove(slot)


def memory() -> int:
    """Make the memory; returns its file descriptor, to be shared with the stand-in."""
    fd = os.memfd_create("argosy-questions")
    os.ftruncate(fd, SLOTS * _SIZE)
    return fd
