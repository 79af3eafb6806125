"""Start of this manager's etcd member: as a new cluster, as a learner that is promoted later, or with its old data.

A learner answers almost no requests, so the other members have to promote it. Their endpoints are stored next to the
database, so that a manager that was stopped while it was a learner finds them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from api.errors import ArgosyError
from api.wire.join_messages import MemberAnswer
from api.wire.rpc import Credentials
from manager.etcd.command_line import EtcdSettings
from manager.etcd.etcd_client import EtcdConnection
from manager.etcd.etcd_members import EtcdMembers
from manager.etcd.etcd_process import EtcdProcess

log = structlog.get_logger(__name__)


def has_database(settings: EtcdSettings) -> bool:
    """Whether a member was started there before; it is part of the cluster and starts again."""
    return (settings.data / "member").exists()


async def start_member(member: EtcdProcess, credentials: Credentials, joined: MemberAnswer | None) -> list[str]:
    """Start etcd. Returns the endpoints for the store, our own first. Raises Unavailable or Invalid."""
    own, path = member.settings.endpoint, others_file(member.settings)
    if joined is not None:
        remember(path, joined.endpoints)
    await member.start(joined.initial_cluster if joined is not None else "")
    connection = EtcdConnection([own], credentials)
    try:
        status = await EtcdMembers(connection).status()
        if status.learner:
            await _promote(recall(path), credentials, status.member_id)
            await EtcdMembers(connection).wait_voting()
        others = await _others(EtcdMembers(connection), status.member_id)
    finally:
        await connection.close()
    remember(path, others)
    return [own, *others]


async def _promote(others: Sequence[str], credentials: Credentials, member_id: int) -> None:
    connection = EtcdConnection(others, credentials)
    try:
        log.info("this manager's etcd is catching up", member=f"{member_id:x}")
        await EtcdMembers(connection).promote_when_ready(member_id)
    finally:
        await connection.close()


async def _others(members: EtcdMembers, own_id: int) -> list[str]:
    """The other members' client endpoints; empty when they cannot be listed now."""
    try:
        listed = await members.list()
    except ArgosyError as error:
        log.warning("the other etcd members are not known", reason=str(error))
        return []
    others = [member for member in listed if member.id != own_id and not member.learner]
    return [url.rpartition("/")[2] for member in others for url in member.client_urls]


def others_file(settings: EtcdSettings) -> Path:
    """The file with the other members' endpoints."""
    return settings.directory / "others.json"


async def other_endpoints(members: EtcdMembers, node_id: str) -> list[str]:
    """Client endpoints of the other managers' members, in a stable order. Raises Unavailable."""
    others = [one for one in await members.list() if one.name != node_id and not one.learner]
    return sorted(url.rpartition("/")[2] for one in others for url in one.client_urls)


def remember(path: Path, endpoints: Sequence[str]) -> None:
    """Write the endpoints to the file; an empty list changes nothing."""
    if endpoints:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(msgspec.json.encode(list(endpoints)))


def recall(path: Path) -> list[str]:
    """The endpoints in the file; empty when there is no file that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[str])
    except (FileNotFoundError, msgspec.DecodeError):
        return []
