"""etcd's own membership: how managers come into the store's quorum and leave it.

A newcomer is a learner first: it does not count for the quorum until it has caught up, so a join that fails half-way
cannot cost the cluster its majority.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from aetcd import rpc

from api.errors import Conflict, Unavailable
from api.wire.join_messages import MemberAnswer
from manager.etcd.etcd_client import EtcdConnection, EtcdError, NotProcessed

PROMOTE_PAUSE = 0.3
"""Seconds between attempts to promote a learner."""
HEALTH_TIMEOUT = 15.0
"""Seconds to wait for etcd to think its members healthy: it does only 5 s after they have connected."""


@dataclass(frozen=True, slots=True)
class EtcdMember:
    """A member as etcd lists it. `name` (the node id) is empty until it has started once."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    learner: bool


@dataclass(frozen=True, slots=True)
class EtcdStatus:
    """What one endpoint says of itself."""

    version: str
    member_id: int
    leader: int
    """Member id; 0 while it knows none."""
    learner: bool


class EtcdMembers:
    """Membership calls over a connection to any member."""

    def __init__(self, connection: EtcdConnection) -> None:
        self._connection = connection

    async def list(self) -> list[EtcdMember]:
        """All members. Raises Unavailable."""
        answer = await self._connection.ask("cluster", "MemberList", rpc.MemberListRequest())
        return [_member(member) for member in answer.members]

    async def status(self) -> EtcdStatus:
        """Of the current endpoint. Raises Unavailable."""
        answer = await self._connection.ask("maintenance", "Status", rpc.StatusRequest())
        return EtcdStatus(answer.version, answer.header.member_id, answer.leader, answer.isLearner)

    async def add(self, peer_url: str) -> MemberAnswer:
        """Add a learner; a member left over at the same URL from an earlier life is removed first.

        Raises Unavailable, also while another learner has not caught up yet.
        """
        for member in await self.list():
            if peer_url in member.peer_urls:
                await self.remove(member.id)
        request = rpc.MemberAddRequest(peerURLs=[peer_url], isLearner=True)
        try:
            answer = await self._when_healthy("MemberAdd", request)
        except EtcdError as error:
            if error.code is grpc.StatusCode.FAILED_PRECONDITION:  # one learner at a time; unhealthy cluster
                raise Unavailable(f"the cluster's store takes no new member now ({error.details})") from None
            raise
        return _answer(answer.member.ID, [_member(member) for member in answer.members])

    async def promote(self, member_id: int) -> bool:
        """Make a learner a voter; False when it has not caught up yet. Nothing happens when it is a voter already."""
        try:
            await self._connection.call("cluster", "MemberPromote", rpc.MemberPromoteRequest(ID=member_id))
        except EtcdError as error:
            if "in sync" in error.details:
                return False
            if "not a learner" not in error.details and "can only promote a learner" not in error.details:
                raise
        return True

    async def promote_when_ready(self, member_id: int, timeout: float = 60.0) -> None:
        """Wait until a learner has caught up and promote it. Raises Unavailable when that takes too long."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    if await self._promoted(member_id):
                        return
                    await asyncio.sleep(PROMOTE_PAUSE)
        except TimeoutError:
            raise Unavailable(f"the new member of the cluster's store has not caught up in {timeout:.0f} s") from None

    async def wait_voting(self, timeout: float = 30.0) -> None:
        """Until the member asked knows that it is no learner any more: the others decide that, it hears of it later.

        Raises Unavailable when that takes too long.
        """
        try:
            async with asyncio.timeout(timeout):
                while True:
                    if not (await self.status()).learner:
                        return
                    await asyncio.sleep(PROMOTE_PAUSE)
        except TimeoutError:
            raise Unavailable(f"the cluster's store has not made this member a voter in {timeout:.0f} s") from None

    async def remove(self, member_id: int) -> None:
        """Take a member out; nothing happens when it is none. Raises Conflict when that would cost the quorum."""
        try:
            await self._when_healthy("MemberRemove", rpc.MemberRemoveRequest(ID=member_id))
        except EtcdError as error:
            if error.code is grpc.StatusCode.FAILED_PRECONDITION:
                raise Conflict(f"the cluster's store would lose its quorum ({error.details})") from None
            if error.code is not grpc.StatusCode.NOT_FOUND:
                raise

    async def remove_named(self, node_id: str) -> None:
        """Take a node's members out, if there are any."""
        for member in await self.list():
            if member.name == node_id:
                await self.remove(member.id)

    async def move(self, member_id: int, peer_url: str) -> None:
        """Tell the others where a member is now."""
        request = rpc.MemberUpdateRequest(ID=member_id, peerURLs=[peer_url])
        await self._connection.call("cluster", "MemberUpdate", request)

    async def _when_healthy(self, method: str, request: Any) -> Any:
        deadline = asyncio.get_running_loop().time() + HEALTH_TIMEOUT
        while True:
            try:
                return await self._connection.call("cluster", method, request)
            except NotProcessed:
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(PROMOTE_PAUSE)

    async def _promoted(self, member_id: int) -> bool:
        try:
            return await self.promote(member_id)
        except Unavailable:
            return False


def _member(member: Any) -> EtcdMember:
    return EtcdMember(member.ID, member.name, tuple(member.peerURLs), tuple(member.clientURLs), member.isLearner)


def _answer(member_id: int, members: Sequence[EtcdMember]) -> MemberAnswer:
    others = [member for member in members if member.id != member_id]
    return MemberAnswer(
        member_id=f"{member_id:x}",
        # etcd checks the URLs; a member that has not started yet has no name to give
        initial_cluster=",".join(f"{m.name or f'member-{m.id:x}'}={url}" for m in others for url in m.peer_urls),
        endpoints=[url.rpartition("/")[2] for m in others if not m.learner for url in m.client_urls],
    )
