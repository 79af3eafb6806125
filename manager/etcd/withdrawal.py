"""Takes etcd away from those who are managers no more: their certificates, their open connections, their members.

Runs on every manager, for its own etcd. Whoever is no manager itself any more does nothing here: it stops what it does
with the store, says so by taking its liveness key back, and waits until the others have taken its member out.
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
from manager.security.revocation import withdrawn
from manager.security.rights import leads, watch
from manager.store.state import State

log = structlog.get_logger(__name__)

GRACE = 5.0
"""Seconds that a former manager has to stop in order; so long again until not only the leader takes its member out."""


class Withdrawals:
    """One manager's part in it."""

    def __init__(self, member: EtcdProcess, store: EtcdStore, node_id: str) -> None:
        self._member = member
        self._store = store
        self._node_id = node_id
        self._moved = asyncio.Event()
        self._seen: dict[str, float] = {}
        """Former managers whose members are still in etcd: since when, by the loop's time."""
        watch(store.state, (NODE, CERTIFICATE, MEMBER, LEADERSHIP), self._moved.set)

    async def run(self) -> NoReturn:
        """For ever."""
        while True:
            self._moved.clear()
            await self._look()
            try:
                async with asyncio.timeout(GRACE if self._seen else None):
                    await self._moved.wait()
            except TimeoutError:
                pass

    async def _look(self) -> None:
        state = self._store.state
        if not state.is_manager(self._node_id):
            return
        former = withdrawn(state)
        if self._member.revoke(serial for serials in former.values() for serial in serials):
            log.info("etcd takes no certificate of a former manager any more", nodes=sorted(former))
            await self._member.hang_up(manager_hosts(state), hosts_of(state, former))
        try:
            await self._expel(former.keys())
        except ArgosyError as error:
            log.warning("a former manager may still be a member of etcd", reason=str(error))

    async def _expel(self, former: Iterable[str]) -> None:
        """Ask nothing of the members of former managers, and take them out when their time is up."""
        now = asyncio.get_running_loop().time()
        former = set(former)
        members = EtcdMembers(self._store.connection)
        listed = [member for member in await members.list() if member.name in former] if former else []
        self._seen = {member.name: self._seen.get(member.name, now) for member in listed}
        for member in listed:
            self._store.connection.drop([url.rpartition("/")[2] for url in member.client_urls])
            if now - self._seen[member.name] >= self._patience(member.name):
                log.info("a former manager's member is taken out of etcd", node=member.name)
                await members.remove(member.id)

    def _patience(self, node_id: str) -> float:
        """How long a former manager's member stays: no longer than that manager says that it is alive."""
        state = self._store.state
        if state.is_manager(node_id):
            return math.inf
        return (0.0 if leads(state, self._node_id) else GRACE) + (GRACE if node_id in state.members else 0.0)


def manager_hosts(state: State) -> set[str]:
    """IP addresses of the managers that are alive."""
    alive = (member for node_id, member in state.members.items() if state.is_manager(node_id))
    return {member.address.rpartition(":")[0].strip("[]") for member in alive}


def hosts_of(state: State, node_ids: Iterable[str]) -> set[str]:
    """IP addresses of nodes, as far as they are known."""
    described = (state.descriptions.get(node_id) for node_id in node_ids)
    return {description.address for description in described if description is not None}
