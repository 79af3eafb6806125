"""The place of a further manager's etcd member in the cluster's store, requested from the existing managers."""

from __future__ import annotations

import asyncio
import random

import structlog

from api.errors import Unavailable
from api.wire.join_messages import MemberAnswer
from kit.timing import backoff
from manager.etcd.bootstrap import has_database
from manager.etcd.command_line import EtcdSettings
from node.membership.identity import Identity, IdentityFiles
from node.membership.join_client import ManagerClient
from node.settings import Settings

log = structlog.get_logger(__name__)

MEMBER_TIMEOUT = 60.0
"""Seconds that a joining manager waits until its etcd member can be added."""


class StorePlace:
    """Requests this host's place in the cluster's store."""

    def __init__(self, settings: Settings, files: IdentityFiles, rng: random.Random) -> None:
        self._settings = settings
        self._files = files
        self._rng = rng

    async def of(self, identity: Identity) -> MemberAnswer | None:
        """The member that the managers have added for this node; None if it is one already, or etcd is external.

        Raises Unavailable when the store takes no new member in time.
        """
        member = member_settings(self._settings, identity)
        if self._settings.etcd_endpoints or has_database(member):
            return None
        client = ManagerClient(identity.membership.apis, self._files)
        try:
            async with asyncio.timeout(MEMBER_TIMEOUT):
                for delay in backoff(self._rng, first=0.3, most=2.0):
                    try:
                        return await client.add_member(member.peer_url)
                    except Unavailable as error:
                        # etcd takes one learner at a time
                        log.info("waiting to become a member of the store", reason=str(error))
                        await asyncio.sleep(delay)
        except TimeoutError:
            raise Unavailable(f"the store took no new member within {MEMBER_TIMEOUT:.0f} s; see the log") from None
        raise AssertionError("a backoff has no end")


def member_settings(settings: Settings, identity: Identity) -> EtcdSettings:
    """The directory, addresses and limits of a manager's etcd member."""
    return EtcdSettings(
        node_id=identity.node_id,
        directory=settings.etcd_directory,
        address=identity.membership.address,
        client_port=settings.etcd_client_port,
        peer_port=settings.etcd_peer_port,
        quota=settings.etcd_quota,
        memory=settings.etcd_memory_limit,
    )
