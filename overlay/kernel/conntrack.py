"""Flows that the kernel remembers (conntrack): those that no longer follow the rules are deleted.

A connection that was begun towards a backend that has left is one of them as long as nobody answered it: each further
SYN from that port would meet the same backend, for two minutes, be it a repetition or another connection.

By netlink, with the kernel's own filter: a change costs one look through the kernel's table for each door or address it
concerns, and one message for each flow that goes. Blocking; called in one thread at a time.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Set
from functools import cache

from overlay.kernel import netfilter_messages
from overlay.kernel.netfilter_messages import FlowSieve
from overlay.kernel.netlink_socket import ABSENT, NETLINK_NETFILTER, NetlinkSocket, Request
from overlay.plan.datagram_routes import Door, Doors, is_stale

FEW = 8
"""So many looks with a filter are cheaper than one at everything without."""


class Conntrack:
    """The flows of the network namespace it was made in."""

    def __init__(self) -> None:
        self._socket = NetlinkSocket(NETLINK_NETFILTER)

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def forget(self, doors: Doors, changed: Set[Door], gone: Set[str]) -> int:
        """Delete the UDP flows through doors that `changed` which do not follow them, and every flow that one of
        `gone` answers. Returns how many. Raises Refused, OSError."""
        local = cache(is_local)
        may_go = FlowSieve(gone, ((door.address, door.port) for door in changed))

        def goes(body: bytes) -> bool:
            if not may_go(body):
                return False
            flow = netfilter_messages.read_flow(body)
            return flow.answers[0] in gone or is_stale(doors, flow, local)

        return self._delete(_questions(changed, gone), goes)

    def forget_unanswered(self, backends: Set[str]) -> int:
        """Delete the TCP connections that one of `backends` was to answer and has not. Returns how many. Raises
        Refused, OSError."""
        may_go = FlowSieve(backends, ())

        def goes(body: bytes) -> bool:
            if not may_go(body) or not netfilter_messages.is_unanswered_tcp(body):
                return False
            return netfilter_messages.read_flow(body).answers[0] in backends

        return self._delete([netfilter_messages.unanswered_tcp_flows()], goes)

    def _delete(self, questions: Iterable[bytes], goes: Callable[[bytes], bool]) -> int:
        """Delete what goes of the flows that the kernel answers the questions with. Returns how many."""
        found: dict[bytes, None] = {}
        for question in questions:
            for body in self._socket.dump(netfilter_messages.GET_FLOW, question, goes):
                found[netfilter_messages.flow_to_delete(body)] = None
        # one that has ended meanwhile is gone just as well
        self._socket.apply(
            [Request(netfilter_messages.DELETE_FLOW, 0, body, "forget a connection", ABSENT) for body in found]
        )
        return len(found)


def is_local(address: str) -> bool:
    """Whether it is an address of this network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _questions(changed: Set[Door], gone: Set[str]) -> Iterator[bytes]:
    """Filters that together find all that may have to go; kernels before 5.8 do not know them and give everything."""
    if len(changed) + len(gone) > FEW:
        yield netfilter_messages.all_flows() if gone else netfilter_messages.udp_flows()
        return
    for door in changed:
        yield (
            netfilter_messages.udp_flows(to_port=door.port)
            if door.port
            else netfilter_messages.udp_flows(to=door.address)
        )
    for address in gone:
        yield netfilter_messages.flows_answered_by(address)
