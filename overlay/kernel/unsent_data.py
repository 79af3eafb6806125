"""What a container's TCP still owes when its processes have ended: answers that were not acknowledged yet.

The kernel goes on sending them, as long as the namespace is there.
"""

from __future__ import annotations

import struct

from overlay.kernel import netlink_messages
from overlay.kernel.netlink_socket import NetlinkSocket

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
TCP = 6
FIN_WAIT1, LAST_ACK, CLOSING = 4, 9, 11
OWING = 1 << FIN_WAIT1 | 1 << LAST_ACK | 1 << CLOSING
AF_INET6 = 10
# struct inet_diag_req_v2: family, protocol, extensions, states, and a socket's id that is not asked for
REQUEST = struct.Struct("=BBBxI48x")


def owes() -> bool:
    """Whether the calling thread's network namespace has answers under way. Raises Refused, OSError."""
    diagnosis = NetlinkSocket(NETLINK_SOCK_DIAG)
    try:
        return any(
            next(diagnosis.dump(SOCK_DIAG_BY_FAMILY, REQUEST.pack(family, TCP, 0, OWING)), None) is not None
            for family in (netlink_messages.AF_INET, AF_INET6)
        )
    finally:
        diagnosis.close()
