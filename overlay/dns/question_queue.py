"""Questions in a UDP socket that two processes may read: one is taken out only when it has been dealt with.

So a process that is killed with a question in its hands leaves it in the socket, and who reads next answers it. One
that is killed between its answer and the taking answers twice, which no client minds. Imports next to nothing, for the
stand-in's sake (standin.py).
"""

from __future__ import annotations

import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST = 4096
"""Bytes of a question over UDP, with EDNS."""
AT_A_WAKE = 64
"""Questions dealt with before others get their turn."""


def serve(udp: socket.socket, respond: Callable[[bytes, tuple[str, int]], None]) -> None:
    """Deal with what has come. `respond` answers, or records that it has yet to be answered; it does not wait."""
    for _ in range(AT_A_WAKE):
        try:
            asked = udp.recvfrom(LARGEST, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            continue  # an earlier answer could not be delivered
        try:
            respond(*asked)
        finally:
            taken = _take(udp)
        if taken is not None and taken != asked:
            # the other process read at the same time, and took the first one out
            respond(*taken)


def first(udp: socket.socket) -> tuple[bytes, tuple[str, int]] | None:
    """The question that has waited longest; it stays. None when there is none."""
    try:
        data, client = udp.recvfrom(LARGEST, socket.MSG_PEEK)
    except OSError:
        return None
    return data, client


def _take(udp: socket.socket) -> tuple[bytes, tuple[str, int]] | None:
    try:
        data, client = udp.recvfrom(LARGEST)
    except OSError:
        return None
    return data, client
