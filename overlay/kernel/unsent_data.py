"""What a container's TCP still owes when its processes have ended: answers that were not acknowledged yet.

The kernel goes on sending them, as long as the namespace is there.
"""

from __future__ import annotations

from overlay.kernel import netlink_messages
from overlay.kernel.netlink_socket import NETLINK_SOCK_DIAG, NetlinkSocket


def owes() -> bool:
    """Whether the calling thread's network namespace has answers under way. Raises Refused, OSError."""
    diagnosis = NetlinkSocket(NETLINK_SOCK_DIAG)
    try:
        return any(
            next(diagnosis.dump(netlink_messages.GET_SOCKET, question), None) is not None
            for question in netlink_messages.unsent_tcp_sockets()
        )
    finally:
        diagnosis.close()
