"""The table that lets containers send from their own addresses only (plan/port_guard_rules.py), in the kernel.

Blocking; used by the one thread that makes namespaces.
"""

from __future__ import annotations

from collections.abc import Mapping

from overlay.interface import NetworkFailure
from overlay.kernel.nft_elements import SetElements
from overlay.kernel.nftables import NftContext
from overlay.plan import port_guard_rules
from overlay.plan.port_guard_rules import GuardedPort


class PortGuard:
    """The guard table, and the ports in it by sandbox."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._ports: dict[str, tuple[GuardedPort, ...]] = {}
        self._tunnels: frozenset[str] = frozenset()
        self._frame = ""
        """The printed table without its elements, as it was loaded."""
        self._nft: NftContext | None = None
        self._elements: SetElements | None = None

    def take_over(self, ports: Mapping[str, tuple[GuardedPort, ...]]) -> None:
        """Guard the sandboxes that a former agent left. Raises NetworkFailure."""
        self._ports = dict(ports)
        self._write()

    def admit(self, id: str, ports: tuple[GuardedPort, ...]) -> None:
        """Add a sandbox's ports, before they are made. Raises NetworkFailure."""
        self._ports[id] = ports
        if not ports:
            return
        self._elements = self._elements or SetElements(self._table)
        try:
            self._elements.add(port_guard_rules.keys(ports))
        except NetworkFailure:
            # something else removed the table
            self._write()

    def forget(self, id: str) -> None:
        """Forget a removed sandbox. Its elements stay until the next `renew`: port names are never reused."""
        self._ports.pop(id, None)

    def renew(self, tunnels: frozenset[str]) -> None:
        """Restore the table, with these VXLAN devices, whatever its state. Raises NetworkFailure."""
        self._tunnels = tunnels
        self._write()

    def remove(self) -> None:
        """Remove the table from the kernel. Raises NetworkFailure."""
        self._frame = ""
        self._run(port_guard_rules.remove(self._table))

    def close(self) -> None:
        """Close the nftables context and socket; the table stays."""
        if self._nft:
            self._nft.close()
            self._nft = None
        if self._elements:
            self._elements.close()
            self._elements = None

    def _write(self) -> None:
        """Write the elements; replace the table only if something else changed it: meanwhile packets pass unchecked."""
        ports = [port for of_sandbox in self._ports.values() for port in of_sandbox]
        wanted = port_guard_rules.wanted(ports, self._tunnels)
        frame, there = port_guard_rules.read(self._listing())
        if not self._frame or frame != self._frame:
            self._run(port_guard_rules.full(self._table, wanted))
            self._frame = port_guard_rules.read(self._listing())[0]
        elif text := port_guard_rules.delta(self._table, there, wanted):
            self._run(text)

    def _listing(self) -> str:
        try:
            return self._run(f"list table bridge {self._table}")
        except NetworkFailure:
            return ""

    def _run(self, commands: str) -> str:
        # made by the thread that uses it, so that it belongs to its network namespace
        self._nft = self._nft or NftContext()
        return self._nft.run(commands)
