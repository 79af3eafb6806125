"""Keeps the guard of the containers' ports in the kernel. Blocking; used by the one thread that makes namespaces."""

from __future__ import annotations

from collections.abc import Mapping

from overlay import guard
from overlay.base import NetworkFailure
from overlay.guard import Plug
from overlay.nft import Nft


class PortGuard:
    """The table of `guard`, by the sandboxes whose ports stand in it."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._plugs: dict[str, tuple[Plug, ...]] = {}
        self._tunnels: frozenset[str] = frozenset()
        self._nft: Nft | None = None

    def take_over(self, plugs: Mapping[str, tuple[Plug, ...]]) -> None:
        """The sandboxes that a former agent left. Raises NetworkFailure."""
        self._plugs = dict(plugs)
        self._write()

    def admit(self, id: str, plugs: tuple[Plug, ...]) -> None:
        """Before the ports of a sandbox are made. Raises NetworkFailure."""
        self._plugs[id] = plugs
        try:
            self._run(guard.admit(self._table, plugs))
        except NetworkFailure:
            # somebody took the table away
            self._write()

    def forget(self, id: str) -> None:
        """A sandbox is gone. Its entries go at the next `renew`: no port is ever called like a former one."""
        self._plugs.pop(id, None)

    def renew(self, tunnels: frozenset[str]) -> None:
        """The whole table, whatever became of it, with these VXLAN devices. Raises NetworkFailure."""
        self._tunnels = tunnels
        self._write()

    def remove(self) -> None:
        """Take it out of the kernel. Raises NetworkFailure."""
        self._run(guard.remove(self._table))

    def close(self) -> None:
        """Give the nftables context back; the table stays."""
        if self._nft:
            self._nft.close()
            self._nft = None

    def _write(self) -> None:
        plugs = [plug for plugs in self._plugs.values() for plug in plugs]
        self._run(guard.full(self._table, plugs, self._tunnels))

    def _run(self, commands: str) -> None:
        # made here, so that it belongs to the network namespace of the thread that uses it
        self._nft = self._nft or Nft()
        self._nft.run(commands)
