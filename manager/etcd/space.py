"""Space in our own etcd: compaction and defragmentation, before and after the quota is reached.

etcd refuses all writes once its file has reached the quota ("NOSPACE"), until somebody compacts, defragments and
disarms the alarm. Each manager does that here for its own member. Objects of users may take four fifths of the quota;
the rest is for the leader and the agents, so that the cluster works even when the store is full of configs.
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

CHECK_PAUSE = 3.0
"""Seconds between two checks."""
COMPACT_AT = 0.5
"""Part of the quota in use, history included, from which on history is compacted early."""
GROWN_BY = 0.05
"""Part of the quota by which the use must have grown since the last compaction for another one."""
DEFRAGMENT_AT = 0.7
"""Size of the file, as part of the quota, from which on it is defragmented."""
FREE = 0.2
"""Part of the quota that must be free pages for that, because the member stops during defragmentation."""
FULL_AT = 0.8
"""Part of the quota in use after compaction, from which on users may only shrink or delete objects."""
DISARM_BELOW = 0.95
"""Size of the file, as part of the quota, below which the alarm is disarmed."""
"""Size of the file, as part of the quota, below which the alarm is disarmed."""
SETTLED = 0.2
"""Seconds in which etcd writes accepted changes to its file."""
TURN = 10.0
"""Seconds between the defragmentations of two members, so that they do not all stop at once."""
SLOW = 120.0
"""Most seconds that a compaction or defragmentation may take."""

_NOSPACE = rpc.AlarmType.Value("NOSPACE")

log = structlog.get_logger(__name__)


class SpaceAction(Enum):
    """What can be done to get more space."""

    COMPACT = "compact"
    DEFRAGMENT = "defragment"
    DISARM = "disarm"


@dataclass(frozen=True, slots=True)
class SpaceUsage:
    """The space that one member uses, in bytes."""

    quota: int
    size: int
    """Size of the file, which etcd compares with its quota."""
    in_use: int
    """Size of the used pages, history included."""
    revision: int
    """The revision up to which history can be compacted now."""
    alarm: bool = False
    """Whether the cluster refuses writes."""


@dataclass(frozen=True, slots=True)
class LastCompaction:
    """The last compaction."""

    revision: int = 0
    in_use: int = 0
    """Bytes in use after it. Freed pages count as free only after the next writes."""
    defragmented: bool = False
    """Whether the file has been defragmented since."""


def next_action(space: SpaceUsage, last: LastCompaction) -> SpaceAction | None:
    """The next action; None when none is needed, or none helps. Check again after each action."""
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
    """Keeps space in one member. `connection` must lead to that member only."""

    def __init__(self, connection: EtcdConnection, quota: int, pause: float = CHECK_PAUSE) -> None:
        self.connection = connection
        self._quota = quota
        self.pause = pause
        self._last = LastCompaction()
        self._before = 0
        self.full = False
        """Whether users may only shrink or delete objects."""

    async def run(self) -> NoReturn:
        """Check and act, again and again; never returns."""
        while True:
            try:
                await self.check()
            except ArgosyError as error:
                log.info("the room in etcd is not known now", reason=str(error))
            await asyncio.sleep(self.pause)

    async def check(self) -> None:
        """Check once and do what is needed. Raises Unavailable or EtcdError."""
        for _ in range(len(SpaceAction) + 1):
            space, newest = await self._space()
            act = next_action(space, self._last)
            if act is None:
                break
            await self._do(act, space)
        self._before = newest
        self._update_full(space)

    def _update_full(self, space: SpaceUsage) -> None:
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
        """Make two writes (of leases), after which etcd counts the pages freed by a compaction as free."""
        for _ in range(0 if space.alarm else 2):
            answer = await self.connection.ask("lease", "LeaseGrant", rpc.LeaseGrantRequest(TTL=10))
            await self.connection.ask("lease", "LeaseRevoke", rpc.LeaseRevokeRequest(ID=answer.ID))
            await asyncio.sleep(SETTLED)

    async def _disarm(self) -> None:
        """Disarm the alarms of all members; a member that is still over its quota raises it again at the next write."""
        for one in (await self.connection.ask("maintenance", "Alarm", rpc.AlarmRequest())).alarms:
            request = rpc.AlarmRequest(action=rpc.AlarmRequest.DEACTIVATE, memberID=one.memberID, alarm=one.alarm)
            if one.alarm == _NOSPACE:
                await self._ask("maintenance", "Alarm", request)

    async def _ask(self, service: str, method: str, request: object, fine: str = "") -> None:
        try:
            await self.connection.ask(service, method, request, SLOW)
        except ArgosyError as error:
            if not fine or fine not in str(error):  # another manager has already done it
                raise

    async def _wait_turn(self, space: SpaceUsage) -> None:
        if space.alarm:
            return
        answer = await self.connection.ask("cluster", "MemberList", rpc.MemberListRequest())
        ids = sorted(member.ID for member in answer.members)
        await asyncio.sleep(ids.index(answer.header.member_id) * TURN if answer.header.member_id in ids else 0)

    async def _space(self) -> tuple[SpaceUsage, int]:
        """Returns the space that the member uses, and the newest revision.

        Unless etcd refuses writes, history since the previous check is not compacted: no watcher is further behind.
        """
        status = await self.connection.ask("maintenance", "Status", rpc.StatusRequest())
        alarms = await self.connection.ask("maintenance", "Alarm", rpc.AlarmRequest())
        raised = any(one.alarm == _NOSPACE for one in alarms.alarms)
        newest = int(status.header.revision)
        revision = newest if raised else self._before
        return SpaceUsage(self._quota, status.dbSize, status.dbSizeInUse, revision, raised), newest
