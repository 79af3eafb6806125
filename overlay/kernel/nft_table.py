"""The table as it is in the kernel: what of it is in force, brought to what is wanted, mended when somebody changed it.

What is in force is remembered apart from what is wanted: a change that failed is owed until it has been made. The whole
table is loaded anew only when it must be: while it is replaced, packets meet rules whose sets are empty already.
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
    """One table of the network namespace it was made in."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._nft = NftContext()
        self._socket = NetlinkSocket(NETLINK_NETFILTER)
        self._in_force: NftFragment | None = None
        self._generation = 0
        self._listing = ""

    def close(self) -> None:
        """Give back what it holds; the table stays."""
        self._nft.close()
        self._socket.close()

    def bring(self, fragment: NftFragment, port: int, check: bool) -> None:
        """Bring the table to `fragment`; `port` is VXLAN's. `check`: whoever changed it in between, too.

        Raises NetworkFailure: then the table is as it was.
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
        """Whether nftables would take a fragment as the whole table."""
        return self._nft.would_take(nft_rules.full(self._table, fragment, port))

    def clear(self) -> None:
        """Remove the table."""
        self._in_force = None
        self._nft.run(f"add table ip {self._table}\ndelete table ip {self._table}")

    def _load(self, text: str) -> None:
        """Load the whole table, unless it is there already: a former agent's serves on without a gap."""
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
            # perhaps because the table is not what it is taken for
            self._in_force = None
            raise
        # somebody else's transaction beside ours: looked at when it is time to check
        self._generation = before + 1 if before == self._generation or not self._in_force else 0

    def _is_altered(self) -> bool:
        """Whether the table may not be what was loaded: there was a transaction since, and it reads otherwise."""
        now = self._now()
        if now != self._generation:
            if not self._listing or self.listing() != self._listing:
                return True
            self._generation = now
        self._listing = self._listing or self.listing()
        return False

    def _now(self) -> int:
        """The number of the last transaction of this namespace; 0 when the kernel does not tell."""
        try:
            answer = self._socket.ask(netfilter_messages.GET_GENERATION, netfilter_messages.generation())
        except KernelRefused:
            return 0
        return netfilter_messages.read_generation(answer)


def printed(text: str, table: str) -> str:
    """How nftables prints a table that is loaded from this text; "" when it does not take it.

    Tried in a network namespace of its own, which ends with the thread that made it.
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
    """What a printed table has, by heading, whatever the order; a chain's rules in theirs."""
    found = {}
    for entry in listing.partition("{\n")[2].removesuffix("}\n").split("\n\n"):
        heading, _, rest = entry.strip().partition("\n")
        is_chain = heading.startswith("chain ")
        found[heading] = rest.splitlines() if is_chain else sorted(rest.replace(",", " ").split())
    return found
