"""etcd membership: how managers join and leave etcd's quorum.

A new member starts as a learner: it does not count for the quorum until it has caught up, so that a join that fails
half-way cannot cost the cluster its majority.
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
"""Seconds to wait until etcd regards its members as healthy, which takes 5 s after they have connected."""


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
    """The status of one endpoint."""

    version: str
    member_id: int
    leader: int
    """Member id of the leader; 0 while none is known."""
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
        """The status of the current endpoint. Raises Unavailable."""
        answer = await self._connection.ask("maintenance", "Status", rpc.StatusRequest())
        return EtcdStatus(answer.version, answer.header.member_id, answer.leader, answer.isLearner)

    async def add(self, peer_url: str) -> MemberAnswer:
        """Add a learner, after removing members with the same URL that an earlier join has left.

        Raises Unavailable, also while another learner has not caught up.
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
        """Make a learner a voter; nothing happens if it is one. Returns False when it has not caught up yet."""
        try:
            await self._connection.call("cluster", "MemberPromote", rpc.MemberPromoteRequest(ID=member_id))
        except EtcdError as error:
            if "in sync" in error.details:
                return False
            if "not a learner" not in error.details and "can only promote a learner" not in error.details:
                raise
        return True

    async def promote_when_ready(self, member_id: int, timeout: float = 60.0) -> None:
        """Wait until a learner has caught up, then promote it. Raises Unavailable after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    if await self._promoted(member_id):
                        return
                    await asyncio.sleep(PROMOTE_PAUSE)
        except TimeoutError:
            raise Unavailable(f"the new member of the cluster's store has not caught up in {timeout:.0f} s") from None

    async def wait_voting(self, timeout: float = 30.0) -> None:
        """Wait until the connected member knows that it is not a learner any more, which it learns after the others.

        Raises Unavailable after `timeout` seconds.
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
        """Remove a member; nothing happens if it is not one. Raises Conflict when the quorum would be lost."""
        try:
            await self._when_healthy("MemberRemove", rpc.MemberRemoveRequest(ID=member_id))
        except EtcdError as error:
            if error.code is grpc.StatusCode.FAILED_PRECONDITION:
                raise Conflict(f"the cluster's store would lose its quorum ({error.details})") from None
            if error.code is not grpc.StatusCode.NOT_FOUND:
                raise

    async def remove_named(self, node_id: str) -> None:
        """Remove the members of a node, if there are any."""
        for member in await self.list():
            if member.name == node_id:
                await self.remove(member.id)

    async def move(self, member_id: int, peer_url: str) -> None:
        """Set the peer URL of a member that has a new address."""
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
        # a member that has not started has no name; etcd checks only the URLs
        initial_cluster=",".join(f"{m.name or f'member-{m.id:x}'}={url}" for m in others for url in m.peer_urls),
        endpoints=[url.rpartition("/")[2] for m in others if not m.learner for url in m.client_urls],
    )
