"""Conntrack entries of this host: deletes the flows that no longer follow the rules.

A TCP connection to a backend that has left is one of them until the backend answers: each further SYN from that client
port, a retransmission or a new connection, would be sent to the same backend for two minutes.

Uses netlink with the kernel's own filter: a change costs one pass over the kernel's table for each frontend or address
concerned, and one message for each flow that is deleted. Blocking; called by one thread at a time.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Set
from functools import cache

from overlay.kernel import netfilter_messages
from overlay.kernel.netfilter_messages import FlowFilter
from overlay.kernel.netlink_socket import ABSENT, NETLINK_NETFILTER, NetlinkSocket, Request
from overlay.plan.datagram_routes import Frontend, Frontends, is_stale

FEW = 8
"""Up to this many filtered dumps are cheaper than one dump of everything."""


class Conntrack:
    """The flows of the network namespace it was made in."""

    def __init__(self) -> None:
        self._socket = NetlinkSocket(NETLINK_NETFILTER)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def forget(self, frontends: Frontends, changed: Set[Frontend], gone: Set[str]) -> int:
        """Delete UDP flows through `changed` frontends that do not lead to a present target, and every flow answered
        by an address in `gone`. Returns the number deleted. Raises KernelRefused, OSError."""
        local = cache(is_local)
        may_go = FlowFilter(gone, ((frontend.address, frontend.port) for frontend in changed))

        def goes(body: bytes) -> bool:
            if not may_go(body):
                return False
            flow = netfilter_messages.read_flow(body)
            return flow.answers[0] in gone or is_stale(frontends, flow, local)

        return self._delete(_questions(changed, gone), goes)

    def forget_unanswered(self, backends: Set[str]) -> int:
        """Delete the TCP connections to `backends` that have not been answered. Returns the number deleted. Raises
        KernelRefused, OSError."""
        may_go = FlowFilter(backends, ())

        def goes(body: bytes) -> bool:
            if not may_go(body) or not netfilter_messages.is_unanswered_tcp(body):
                return False
            return netfilter_messages.read_flow(body).answers[0] in backends

        return self._delete([netfilter_messages.unanswered_tcp_flows()], goes)

    def _delete(self, questions: Iterable[bytes], goes: Callable[[bytes], bool]) -> int:
        """Delete the flows in the answers to `questions` for which `goes` is true. Returns the number deleted."""
        found: dict[bytes, None] = {}
        for question in questions:
            for body in self._socket.dump(netfilter_messages.GET_FLOW, question, goes):
                found[netfilter_messages.flow_to_delete(body)] = None
        # a flow that has ended meanwhile needs no deletion
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


def _questions(changed: Set[Frontend], gone: Set[str]) -> Iterator[bytes]:
    """Filters that together match every flow to delete; kernels before 5.8 ignore them and send everything."""
    if len(changed) + len(gone) > FEW:
        yield netfilter_messages.all_flows() if gone else netfilter_messages.udp_flows()
        return
    for frontend in changed:
        yield (
            netfilter_messages.udp_flows(to_port=frontend.port)
            if frontend.port
            else netfilter_messages.udp_flows(to=frontend.address)
        )
    for address in gone:
        yield netfilter_messages.flows_answered_by(address)
