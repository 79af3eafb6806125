"""Room in our own etcd: history is compacted and files are defragmented before the quota is reached, and after.

etcd refuses every write for good once its file has reached the quota ("NOSPACE"), until somebody compacts, defragments
and disarms the alarm. That is done here, by each manager for its own member. What users keep may take four fifths of
the quota; the rest is for what the leader and the agents have to write, so that a store full of configs still runs.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from enum import Enum
from typing import NoReturn

import structlog
from aetcd import rpc

from api.errors import ArgosyError
from manager.etcd.etcd_client import EtcdConnection

LOOK = 3.0
"""Seconds between looks."""
COMPACT_AT = 0.5
"""Part of the quota in use, history included, at which history goes before its time."""
GROWN_BY = 0.05
"""Part of the quota by which it must have grown since the last compaction for another one."""
DEFRAGMENT_AT = 0.7
"""Part of the quota that the file has, at which free pages in it are given back."""
FREE = 0.2
"""Part of the quota that must be free pages for that: a defragmentation stops the member meanwhile."""
FULL_AT = 0.8
"""Part of the quota in use after compaction, from which on users can only make things smaller."""
DISARM_BELOW = 0.95
SETTLED = 0.2
"""Seconds in which etcd writes to its file what it has taken."""
TURN = 10.0
"""Seconds between the members' defragmentations, so that they do not all stop at once."""
SLOW = 120.0
"""Seconds that a compaction or defragmentation may take."""

_NOSPACE = rpc.AlarmType.Value("NOSPACE")

log = structlog.get_logger(__name__)


class SpaceAction(Enum):
    """What helps."""

    COMPACT = "compact"
    DEFRAGMENT = "defragment"
    DISARM = "disarm"


@dataclass(frozen=True, slots=True)
class SpaceUsage:
    """How one member's file is filled, in bytes."""

    quota: int
    size: int
    """Of the file: what etcd holds against its quota."""
    in_use: int
    """Of the pages that hold something, history included."""
    revision: int
    """Up to which history can be compacted now."""
    alarm: bool = False
    """Whether the cluster refuses writes."""


@dataclass(frozen=True, slots=True)
class LastCompaction:
    """The last compaction."""

    revision: int = 0
    in_use: int = 0
    """Bytes afterwards. The pages it freed count as free only once something has been written again."""
    defragmented: bool = False
    """Whether the file has been defragmented since."""


def next_action(space: SpaceUsage, last: LastCompaction) -> SpaceAction | None:
    """What to do now; None when all is well, or nothing helps. After each, look again."""
    grown = space.in_use - last.in_use > GROWN_BY * space.quota
    if space.revision > last.revision and (
        space.alarm or space.in_use > FULL_AT * space.quota or (grown and space.in_use > COMPACT_AT * space.quota)
    ):
        return SpaceAction.COMPACT
    much = space.size > DEFRAGMENT_AT * space.quota and space.size - space.in_use > FREE * space.quota
    if much or (space.alarm and not last.defragmented):
        return SpaceAction.DEFRAGMENT
    return SpaceAction.DISARM if space.alarm and space.size < DISARM_BELOW * space.quota else None


class SpaceKeeper:
    """Looks after one member's room. `connection` leads to that member alone."""

    def __init__(self, connection: EtcdConnection, quota: int, pause: float = LOOK) -> None:
        self.connection = connection
        self._quota = quota
        self.pause = pause
        self._last = LastCompaction()
        self._before = 0
        self.full = False
        """Whether users may only make things smaller."""

    async def run(self) -> NoReturn:
        """For ever."""
        while True:
            try:
                await self.look()
            except ArgosyError as error:
                log.info("the room in etcd is not known now", reason=str(error))
            await asyncio.sleep(self.pause)

    async def look(self) -> None:
        """Look once, and do what helps. Raises Unavailable or EtcdError."""
        for _ in range(len(SpaceAction) + 1):
            space, newest = await self._space()
            act = next_action(space, self._last)
            if act is None:
                break
            await self._do(act, space)
        self._before = newest
        self._tell(space)

    def _tell(self, space: SpaceUsage) -> None:
        full = space.in_use > FULL_AT * space.quota
        if full and not self.full:
            log.error("the cluster's store is nearly full", in_use=space.in_use, quota=space.quota)
        elif self.full and not full:
            log.info("the cluster's store has room again", in_use=space.in_use, quota=space.quota)
        self.full = full

    async def _do(self, act: SpaceAction, space: SpaceUsage) -> None:
        log.warning(f"etcd: {act.value}", size=space.size, in_use=space.in_use, quota=space.quota, alarm=space.alarm)
        if act is SpaceAction.COMPACT:
            request = rpc.CompactionRequest(revision=space.revision, physical=True)
            await self._ask("kv", "Compact", request, "compacted")
            await self._settle(space)
            self._last = LastCompaction(space.revision, (await self._space())[0].in_use)
        elif act is SpaceAction.DEFRAGMENT:
            await self._wait_turn(space)
            await self._ask("maintenance", "Defragment", rpc.DefragmentRequest())
            self._last = replace(self._last, defragmented=True)
        else:
            await self._disarm()

    async def _settle(self, space: SpaceUsage) -> None:
        """Have the pages that a compaction freed count as free: that takes two further writes, of leases here."""
        for _ in range(0 if space.alarm else 2):
            answer = await self.connection.ask("lease", "LeaseGrant", rpc.LeaseGrantRequest(TTL=10))
            await self.connection.ask("lease", "LeaseRevoke", rpc.LeaseRevokeRequest(ID=answer.ID))
            await asyncio.sleep(SETTLED)

    async def _disarm(self) -> None:
        """Every member's alarm; one that is still over its quota raises it again with the next write."""
        for one in (await self.connection.ask("maintenance", "Alarm", rpc.AlarmRequest())).alarms:
            request = rpc.AlarmRequest(action=rpc.AlarmRequest.DEACTIVATE, memberID=one.memberID, alarm=one.alarm)
            if one.alarm == _NOSPACE:
                await self._ask("maintenance", "Alarm", request)

    async def _ask(self, service: str, method: str, request: object, fine: str = "") -> None:
        try:
            await self.connection.ask(service, method, request, SLOW)
        except ArgosyError as error:
            if not fine or fine not in str(error):  # another manager was quicker
                raise

    async def _wait_turn(self, space: SpaceUsage) -> None:
        if space.alarm:
            return
        answer = await self.connection.ask("cluster", "MemberList", rpc.MemberListRequest())
        ids = sorted(member.ID for member in answer.members)
        await asyncio.sleep(ids.index(answer.header.member_id) * TURN if answer.header.member_id in ids else 0)

    async def _space(self) -> tuple[SpaceUsage, int]:
        """The member's room, and the newest revision.

        Unless writes are refused, history is kept from the last look on: watchers are never so far behind.
        """
        status = await self.connection.ask("maintenance", "Status", rpc.StatusRequest())
        alarms = await self.connection.ask("maintenance", "Alarm", rpc.AlarmRequest())
        raised = any(one.alarm == _NOSPACE for one in alarms.alarms)
        newest = int(status.header.revision)
        revision = newest if raised else self._before
        return SpaceUsage(self._quota, status.dbSize, status.dbSizeInUse, revision, raised), newest
