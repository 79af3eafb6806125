"""Withdrawal of etcd access from former managers: their certificates, open connections and etcd members.

Runs on every manager, for its own etcd. A former manager does nothing here: it stops using the store, deletes its
liveness key to show that, and waits until the others have removed its member.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from typing import NoReturn

import structlog

from api.errors import ArgosyError
from api.objects.kinds import CERTIFICATE, LEADERSHIP, MEMBER, NODE
from manager.etcd.etcd_members import EtcdMembers
from manager.etcd.etcd_process import EtcdProcess
from manager.etcd.etcd_store import EtcdStore
from manager.security.revocation import revoked_by_node
from manager.security.rights import leads, watch
from manager.store.state import State

log = structlog.get_logger(__name__)

GRACE = 5.0
"""Seconds that a former manager has to stop by itself; after as many again, others than the leader may remove it."""


class Withdrawals:
    """The withdrawals that one manager carries out."""

    def __init__(self, member: EtcdProcess, store: EtcdStore, node_id: str) -> None:
        self._member = member
        self._store = store
        self._node_id = node_id
        self._moved = asyncio.Event()
        self._former_since: dict[str, float] = {}
        """Former managers with members in etcd, and since when that is known, by the event loop's clock."""
        watch(store.state, (NODE, CERTIFICATE, MEMBER, LEADERSHIP), self._moved.set)

    async def run(self) -> NoReturn:
        """Withdraw access whenever managers change; never returns."""
        while True:
            self._moved.clear()
            await self._withdraw()
            try:
                async with asyncio.timeout(GRACE if self._former_since else None):
                    await self._moved.wait()
            except TimeoutError:
                pass

    async def _withdraw(self) -> None:
        state = self._store.state
        if not state.is_manager(self._node_id):
            return
        former = revoked_by_node(state)
        if self._member.revoke(serial for serials in former.values() for serial in serials):
            log.info("etcd takes no certificate of a former manager any more", nodes=sorted(former))
            await self._member.end_connections(manager_hosts(state), hosts_of(state, former))
        try:
            await self._remove_members(former.keys())
        except ArgosyError as error:
            log.warning("a former manager may still be a member of etcd", reason=str(error))

    async def _remove_members(self, former: Iterable[str]) -> None:
        """Stop using the members of former managers, and remove them when their time is up."""
        now = asyncio.get_running_loop().time()
        former = set(former)
        members = EtcdMembers(self._store.connection)
        listed = [member for member in await members.list() if member.name in former] if former else []
        self._former_since = {member.name: self._former_since.get(member.name, now) for member in listed}
        for member in listed:
            self._store.connection.drop([url.rpartition("/")[2] for url in member.client_urls])
            if now - self._former_since[member.name] >= self._patience(member.name):
                log.info("a former manager's member is taken out of etcd", node=member.name)
                await members.remove(member.id)

    def _patience(self, node_id: str) -> float:
        """Seconds that a former manager's member may stay; longer while the manager's liveness key exists."""
        state = self._store.state
        if state.is_manager(node_id):
            return math.inf
        return (0.0 if leads(state, self._node_id) else GRACE) + (GRACE if node_id in state.members else 0.0)


def manager_hosts(state: State) -> set[str]:
    """IP addresses of the living managers."""
    alive = (member for node_id, member in state.members.items() if state.is_manager(node_id))
    return {member.address.rpartition(":")[0].strip("[]") for member in alive}


def hosts_of(state: State, node_ids: Iterable[str]) -> set[str]:
    """The known IP addresses of nodes."""
    described = (state.descriptions.get(node_id) for node_id in node_ids)
    return {description.address for description in described if description is not None}
