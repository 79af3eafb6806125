"""TCP data of a container that the other end has not acknowledged when the container's processes have ended.

The kernel goes on sending it as long as the network namespace exists.
"""

from __future__ import annotations

from overlay.kernel import netlink_messages
from overlay.kernel.netlink_socket import NETLINK_SOCK_DIAG, NetlinkSocket


def has_unsent_data() -> bool:
    """Whether the calling thread's network namespace has unacknowledged data. Raises KernelRefused, OSError."""
    diagnosis = NetlinkSocket(NETLINK_SOCK_DIAG)
    try:
        return any(
            next(diagnosis.dump(netlink_messages.GET_SOCKET, question), None) is not None
            for question in netlink_messages.unsent_tcp_sockets()
        )
    finally:
        diagnosis.close()
