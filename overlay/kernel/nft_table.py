"""Argosy's nftables table in the kernel: brought to the wanted rules, and restored when something else changed it.

The table remembers which rules are in force, apart from those that are wanted, so a failed change is made later. The
whole table is loaded again only when necessary: while it is replaced, packets meet rules whose sets are already empty.
Blocking; used by one thread at a time.
"""

from __future__ import annotations

import ctypes
import threading
from contextlib import suppress

from overlay.interface import NetworkFailure
from overlay.kernel import netfilter_messages
from overlay.kernel.netlink_socket import NETLINK_NETFILTER, KernelRefused, NetlinkSocket
from overlay.kernel.nftables import NftContext
from overlay.plan import nft_rules
from overlay.plan.nft_rules import NftFragment

CLONE_NEWNET = 0x40000000


class NftTable:
    """One table, in the network namespace it was made in."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._nft = NftContext()
        self._socket = NetlinkSocket(NETLINK_NETFILTER)
        self._in_force: NftFragment | None = None
        self._generation = 0
        self._listing = ""

    def close(self) -> None:
        """Close the context and the socket; the table stays."""
        self._nft.close()
        self._socket.close()

    def bring(self, fragment: NftFragment, port: int, check: bool) -> None:
        """Bring the table to `fragment`; `port` is VXLAN's. `check`: also undo changes that others made to it.

        Raises NetworkFailure, and the table is unchanged.
        """
        if self._in_force is not None and (text := nft_rules.delta(self._table, self._in_force, fragment)):
            self._run(text)
            self._listing = ""
        if self._in_force is None or (check and self._is_altered()):
            self._load(nft_rules.full(self._table, fragment, port))
        self._in_force = fragment

    def listing(self) -> str:
        """The table as nftables prints it; "" when there is none."""
        try:
            return self._nft.run(f"list table ip {self._table}")
        except NetworkFailure:
            return ""

    def would_take(self, fragment: NftFragment, port: int) -> bool:
        """Whether nftables would accept a fragment as the whole table."""
        return self._nft.would_take(nft_rules.full(self._table, fragment, port))

    def clear(self) -> None:
        """Remove the table."""
        self._in_force = None
        self._nft.run(f"add table ip {self._table}\ndelete table ip {self._table}")

    def _load(self, text: str) -> None:
        """Load the whole table, unless the same one exists: a former agent's table stays without a gap."""
        generation, found = self._now(), self.listing()
        if found and entries(found) == entries(printed(text, self._table)):
            self._generation = generation
        else:
            self._run(text)
            found = self.listing()
        self._listing = found

    def _run(self, text: str) -> None:
        before = self._now()
        try:
            self._nft.run(text)
        except NetworkFailure:
            # perhaps the table is not what we believe it to be
            self._in_force = None
            raise
        # 0: another transaction came beside ours, so the next check compares the table
        self._generation = before + 1 if before == self._generation or not self._in_force else 0

    def _is_altered(self) -> bool:
        """Whether the table differs from what was loaded: there was a transaction since, and it prints differently."""
        now = self._now()
        if now != self._generation:
            if not self._listing or self.listing() != self._listing:
                return True
            self._generation = now
        self._listing = self._listing or self.listing()
        return False

    def _now(self) -> int:
        """The number of the last transaction in this namespace; 0 when the kernel does not send it."""
        try:
            answer = self._socket.ask(netfilter_messages.GET_GENERATION, netfilter_messages.generation())
        except KernelRefused:
            return 0
        return netfilter_messages.read_generation(answer)


def printed(text: str, table: str) -> str:
    """How nftables prints a table loaded from this text; "" when it rejects the text.

    Loaded in a temporary network namespace, which ends with the thread that made it.
    """
    found = [""]

    def work() -> None:
        if ctypes.CDLL(None).unshare(CLONE_NEWNET):
            return
        nft = NftContext()
        with suppress(NetworkFailure):
            nft.run(text)
            found[0] = nft.run(f"list table ip {table}")
        nft.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found[0]


def entries(listing: str) -> dict[str, list[str]]:
    """A printed table's contents by heading: elements sorted, a chain's rules in their order."""
    found = {}
    for entry in listing.partition("{\n")[2].removesuffix("}\n").split("\n\n"):
        heading, _, rest = entry.strip().partition("\n")
        is_chain = heading.startswith("chain ")
        found[heading] = rest.splitlines() if is_chain else sorted(rest.replace(",", " ").split())
    return found
