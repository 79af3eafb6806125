"""Questions in a UDP socket that two processes may read: a question is taken out only after it has been handled.

So if a process is killed while it handles a question, the question is still in the socket for the other process. A kill
between the answer and the removal causes a second answer, which clients ignore. Imports almost nothing, to keep the
stand-in (standin.py) small.
"""

from __future__ import annotations

import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST = 4096
"""Largest question over UDP with EDNS, in bytes."""
AT_A_WAKE = 64
"""Questions handled before other sockets get their turn."""


def serve(udp: socket.socket, respond: Callable[[bytes, tuple[str, int]], None]) -> None:
    """Handle the waiting questions. `respond` answers, or stores the question as pending; it does not block."""
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
            # the other process read at the same time and took out the first question
            respond(*taken)


def first(udp: socket.socket) -> tuple[bytes, tuple[str, int]] | None:
    """The oldest waiting question, left in the socket; None when there is none."""
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
