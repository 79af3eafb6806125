"""The managers that an agent knows, stored on disk, and the order in which to try them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import structlog

log = structlog.get_logger(__name__)


class KnownManagers:
    """Addresses ("address:host_port") of managers: from the last SessionInfo, then those given at the start."""

    def __init__(self, path: Path, given: Sequence[str], rng: random.Random) -> None:
        self._path = path
        self._given = list(given)
        self._rng = rng
        self._ids: dict[str, str] = {}
        self._known: list[str] = self._load()
        self._round: list[str] = []
        self._last = ""

    def next(self) -> str:
        """The next address to try, "" if none is known. Each manager comes once per round, in random order.

        The address tried last and those only given at the start come at the end, as they are most likely dead. Once a
        manager has sent node ids, the addresses given at the start are not tried: they may not be managers any more.
        """
        if not self._round:
            order = self._rng.sample(self._known, len(self._known))
            given = [] if self._ids else self._given
            order += self._rng.sample(given, len(given))
            order.sort(key=lambda address: (address not in self._known, address == self._last))
            self._round = list(dict.fromkeys(order))
        self._last = self._round.pop(0) if self._round else ""
        return self._last

    def node_id(self, address: str) -> str:
        """The node id of the manager at an address; "" if unknown. Its certificate must have this id."""
        return self._ids.get(address, "")

    def update(self, addresses: Sequence[str], ids: Mapping[str, str]) -> None:
        """SessionInfo's list of managers. An empty list changes nothing."""
        if not addresses or (list(addresses) == self._known and ids == self._ids):
            return
        self._known, self._ids, self._round = list(addresses), dict(ids), []
        fresh = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.write_bytes(msgspec.json.encode([f"{ids.get(address, '')}@{address}" for address in self._known]))
            fresh.replace(self._path)
        except OSError as error:
            log.error("cannot remember the managers", file=str(self._path), error=str(error))

    def relocate(self, old: str, new: str) -> None:
        """Replace one host address by another, keeping the ports."""
        port = {known: known.rpartition(":")[2] for known in self._known if known.rpartition(":")[0] == old}
        moved = {known: f"{new}:{number}" for known, number in port.items()}
        ids = {moved.get(address, address): node_id for address, node_id in self._ids.items()}
        self.update([moved.get(known, known) for known in self._known], ids)

    def erase(self) -> None:
        """Forget all managers, in memory and on disk."""
        self._known, self._ids = [], {}
        self._path.unlink(missing_ok=True)

    def _load(self) -> list[str]:
        try:
            rows = [row.rpartition("@") for row in msgspec.json.decode(self._path.read_bytes(), type=list[str])]
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError) as error:
            log.warning("the list of managers is not readable", file=str(self._path), error=str(error))
            return []
        self._ids = {address: node_id for node_id, _, address in rows if node_id}
        return [address for _node_id, _, address in rows]
