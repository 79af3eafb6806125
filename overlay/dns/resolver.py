"""The resolver of one sandbox: answers from its networks' names, without IO, with a cache of encoded answers.

The cache's key is the query without its id, so that the common case is a dictionary lookup; it is cleared when a
network's names change. Imports almost nothing, to keep the stand-in (standin.py) small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from api.defaults import NAME_TTL
from overlay.dns import dns_message
from overlay.dns.dns_message import Query
from overlay.plan import dns_zone
from overlay.plan.dns_zone import NetworkNames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from overlay.plan.dns_zone import Caller

CACHED = 4096
"""Cached queries (letter case and EDNS make variants)."""


class _RoundRobin:
    """Answers that differ in the order of addresses, returned in turn."""

    __slots__ = ("_answers", "_next")

    def __init__(self, answers: Sequence[bytes]) -> None:
        self._answers = answers
        self._next = 0

    def take(self) -> bytes:
        """The next answer."""
        self._next = (self._next + 1) % len(self._answers)
        return self._answers[self._next]


class Resolver:
    """Answers one sandbox's questions."""

    def __init__(self, sandbox: Caller, own: Mapping[str, str], internal: bool) -> None:
        self.sandbox = sandbox
        self._own = own
        self._internal = internal
        self._networks: tuple[NetworkNames, ...] = ()
        self._cache: dict[bytes, _RoundRobin] = {}

    def use_names(self, names: Mapping[str, NetworkNames]) -> None:
        """Use these names, by network: those of the sandbox's networks, in the order of its interfaces."""
        networks = tuple(names[id] for id in self._own if id in names)
        if len(networks) != len(self._networks) or any(
            a is not b for a, b in zip(networks, self._networks, strict=True)
        ):
            self._networks = networks
            self._cache.clear()

    def cached(self, data: bytes) -> bytes | None:
        """The cached answer over UDP; None if there is none."""
        turns = self._cache.get(data[2:])
        return data[:2] + turns.take() if turns else None

    def answer(self, query: Query) -> Sequence[bytes]:
        """Answers to give in turn; empty when the question is to be forwarded. Not truncated."""
        if query.flags & dns_message.OPCODE:
            return [dns_message.response(query, dns_message.NOTIMP)]
        if query.kind == dns_message.PTR and (address := dns_message.reverse_address(query.name)):
            if name := dns_zone.pointer(address, self._networks, self.sandbox, self._own):
                return [dns_message.response(query, dns_message.NOERROR, pointer=name, ttl=NAME_TTL)]
        else:
            addresses = dns_zone.lookup(query.name, self._networks, self.sandbox, self._own)
            if addresses is not None:
                return _rotations(query, addresses if query.kind in (dns_message.A, dns_message.ANY) else ())
        return [dns_message.response(query, dns_message.NXDOMAIN)] if self._internal else []

    def remember(self, data: bytes, answers: Sequence[bytes]) -> None:
        """Cache these answers."""
        if len(self._cache) >= CACHED:
            self._cache.clear()
        self._cache[data[2:]] = _RoundRobin([answer[2:] for answer in answers])


def _rotations(query: Query, addresses: Sequence[str]) -> list[bytes]:
    turns = range(min(len(addresses), 16)) or range(1)
    # with many addresses the start moves in larger steps
    step = max(1, len(addresses) // len(turns))
    orders = [[*addresses[i * step :], *addresses[: i * step]] for i in turns]
    return [dns_message.response(query, dns_message.NOERROR, order, ttl=NAME_TTL) for order in orders]
