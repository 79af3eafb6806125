"""The host's place in a cluster: making one, joining one, leaving it, coming back after a restart, changing its role.

Answers the /swarm requests of the HTTP API (node_routes.py); sentences are dockerd's (moby daemon/cluster/errors.go).
The wanted state is one value; requests, managers' messages and the host's interfaces only change that value, and
membership_step.py says what to do next. One change is carried out at a time; an entry that fails half-way leaves the
host as it was, in no cluster.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from typing import NoReturn

import msgspec
import structlog

from api.engine.swarm import SwarmInitRequest, SwarmJoinRequest
from api.errors import Unavailable
from api.states import Role
from api.wire.assignments import NetworkAssignment
from api.wire.session_messages import Assignments, ManagerMessage, Part, SessionInfo
from kit.timing import Clock
from kit.troubles import Troubles
from manager.main import Manager
from node.membership.address_change import Relocation, is_reached_elsewhere, relocate
from node.membership.advertise_address import interfaces
from node.membership.components import Factory, NodeComponents
from node.membership.entry import Entry, EntryDesk
from node.membership.identity import Identity, IdentityFiles, Membership
from node.membership.membership_step import Action, Running, Wanted, step
from node.membership.store_place import StorePlace
from node.settings import Settings

log = structlog.get_logger(__name__)

IN_SWARM = 'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.'
NOT_IN_SWARM = "This node is not part of a swarm"
REFUSALS = 2
"""Times in a row that managers must say that they do not know this node, until it believes that it was removed."""
ADDRESS = "address"
"""The name under which trouble with the host's address is reported."""
ADDRESS_INTERVAL = 0.5
"""Seconds between two readings of the host's interfaces; an address that two of them show is the host's."""
LEAVING = "You are attempting to leave the swarm on a node that is participating as a manager. "


class HostMembership:
    """Implements node/http/node_routes.py's `Swarm`, and receives what managers send to the agent."""

    def __init__(
        self, settings: Settings, factory: Factory, clock: Clock, rng: random.Random, troubles: Troubles
    ) -> None:
        self._settings = settings
        self._files = IdentityFiles(settings.node_directory)
        self._factory = factory
        self._desk = EntryDesk(settings, clock)
        self._place = StorePlace(settings, self._files, rng)
        self._rng = rng
        self._troubles = troubles
        self._busy = asyncio.Lock()
        self._wanted = Wanted()
        self._components: NodeComponents | None = None
        self._address = ""
        """The last advertised address."""
        self._seen_address = ""
        """The address at the last reading of the interfaces."""
        self._refusals = 0
        self._changed = asyncio.Event()
        """Set when something else is wanted."""
        self.network_names: dict[str, str] = {}
        """Names of the networks assigned to this host, by id."""
        self.wanted_role: Role | None = None
        """The role that the managers want this node to have, from their last message."""
        self.nudged = asyncio.Event()
        """Set when the certificate may need renewal before its time."""

    # ── as the HTTP handlers see it ──────────────────────────────────────────────────────────────────────────────

    @property
    def identity(self) -> Identity | None:
        """None outside of a cluster."""
        return self.components.identity if self.components is not None else None

    @property
    def address(self) -> str:
        """Where others reach this host; "" outside of a cluster."""
        return self.identity.membership.address if self.identity is not None else ""

    @property
    def context(self) -> Manager | None:
        """The manager, once it serves."""
        return self.components.serving_manager if self.components is not None else None

    @property
    def components(self) -> NodeComponents | None:
        """What runs; None outside of a cluster, also while the host is on its way in."""
        return None if self._wanted.is_entering else self._components

    # ── coming and going ─────────────────────────────────────────────────────────────────────────────────────────

    async def resume(self) -> None:
        """Come back after a restart of argosyd, if the host is a node. Raises Unavailable when its port is taken."""
        if (identity := self._files.load()) is None:
            return
        self._address = identity.membership.address
        found = self._relocation(identity)
        async with self._busy:
            self._wanted = Wanted(Identity(found.membership, identity.credentials))
            await self._settle()

    async def run(self) -> NoReturn:
        """Carry out what changes without a request: another address, news of the managers, removal from the cluster."""
        while True:
            try:
                async with asyncio.timeout(ADDRESS_INTERVAL):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            async with self._busy:
                if self._refusals >= REFUSALS and self._wanted.identity is not None:
                    log.warning("this node was removed from the cluster; its containers are removed")
                    self._wanted = Wanted()
                self._follow_address()
                await self._settle()

    async def stop(self) -> None:
        """argosyd ends; containers go on."""
        if self._components is not None:
            await self._components.stop()

    async def init(self, request: SwarmInitRequest) -> str:
        """Make a cluster with this host as its first manager. Raises Invalid, Unavailable (already in one)."""
        async with self._busy:
            self._refuse_member()
            entry = self._desk.found(request)
            await self._enter(entry)
            membership = entry.identity.membership
            log.info("cluster made", cluster=membership.cluster_id, node=membership.node_id)
            return membership.node_id

    async def join(self, request: SwarmJoinRequest) -> None:
        """Become a node of the cluster at `RemoteAddrs`. Raises Invalid, Forbidden, Unavailable."""
        async with self._busy:
            self._refuse_member()
            entry = await self._desk.join(request)
            await self._enter(entry)
            membership = entry.identity.membership
            log.info("cluster joined", cluster=membership.cluster_id, node=membership.node_id)

    async def leave(self, *, force: bool) -> None:
        """Leave the cluster: stop containers, remove networks, delete everything of the cluster."""
        async with self._busy:
            if self._components is None:
                raise Unavailable(NOT_IN_SWARM)
            if not force and self._components.identity.role is Role.MANAGER:
                raise Unavailable(leave_warning(self._components.serving_manager))
            self._wanted = Wanted()
            await self._settle()

    async def renewed(self, identity: Identity) -> None:
        """Take a renewed certificate, of the same role or of another."""
        async with self._busy:
            former = self._wanted.identity
            if former is None or former.node_id != identity.node_id:
                return
            if identity.role is not former.role:
                log.info("this node's role changes", role=identity.role.value)
            self._wanted = Wanted(Identity(former.membership, identity.credentials))
            await self._settle()

    # ── what managers send to the agent ─────────────────────────────────────────────────────────────────────────────

    def heard(self, message: ManagerMessage) -> None:
        """Take note of a message that a manager sent to the agent."""
        if isinstance(message, Assignments | Part):
            self.network_names.update(
                {order.id: order.name for order in message.put if isinstance(order, NetworkAssignment)}
            )
        elif isinstance(message, SessionInfo):
            self._welcomed(message)

    def refused(self) -> None:
        """Count a refusal: a manager said that this node is not part of the cluster."""
        self._refusals += 1
        self._changed.set()

    def _welcomed(self, welcome: SessionInfo) -> None:
        self._refusals = 0
        identity = self._wanted.identity
        if identity is None or self._wanted.is_entering:
            return
        self.wanted_role = welcome.role
        if welcome.role not in (None, identity.role):
            self.nudged.set()
        former = identity.membership
        self._want_membership(
            msgspec.structs.replace(
                former, apis=welcome.apis or former.apis, managers=welcome.managers or former.managers
            )
        )

    # ── the host's address ───────────────────────────────────────────────────────────────────────────────────────

    def _follow_address(self) -> None:
        """Want the address that the host has now, or report why it is unclear."""
        if (identity := self._wanted.identity) is None:
            return
        found = self._relocation(identity)
        if not found.trouble:
            self._troubles.resolve(ADDRESS)
        elif self._troubles.current.get(ADDRESS) != found.trouble:
            self._troubles.report(ADDRESS, found.trouble)
        if not found.moves(identity.membership) or found.membership.address == self._seen_address:
            self._want_membership(found.membership)
        self._seen_address = found.membership.address

    def _relocation(self, identity: Identity) -> Relocation:
        preferred = identity.membership.advertise_addr or self._settings.advertise_addr
        return relocate(identity.membership, interfaces(), preferred, self._settings.host_port)

    def _want_membership(self, membership: Membership) -> None:
        identity = self._wanted.identity
        if identity is not None and identity.membership != membership:
            self._wanted = Wanted(Identity(membership, identity.credentials))
            self._changed.set()

    # ── carrying it out ──────────────────────────────────────────────────────────────────────────────────────────

    def _refuse_member(self) -> None:
        if self._wanted.identity is not None:
            raise Unavailable(IN_SWARM)

    async def _enter(self, entry: Entry) -> None:
        """Become the node of that identity. On an error the host is in no cluster again; the error is raised."""
        self.wanted_role, self._address = None, ""
        shutil.rmtree(self._settings.etcd_directory, ignore_errors=True)
        self._wanted = Wanted(entry.identity, is_entering=True, first=entry.first)
        try:
            await self._settle()
        except BaseException:
            self._wanted = Wanted()
            await self._settle()
            raise
        self._wanted = Wanted(entry.identity)

    async def _settle(self) -> None:
        """Perform actions until the running state is the wanted one."""
        while (action := step(self._wanted, self._running())) is not Action.REST:
            await self._perform(action)

    def _running(self) -> Running:
        if (components := self._components) is None:
            return Running()
        return Running(components.identity, components.is_started, components.is_managing)

    async def _perform(self, action: Action) -> None:
        wanted = self._wanted.identity
        if wanted is None:
            return await self._leave()
        components = self._components or self._make(wanted)
        match action:
            case Action.FOUND:
                await components.start_manager(self._wanted.first)
            case Action.START:
                await self._start(components)
            case Action.MANAGE:
                await components.start_manager(joined=await self._place.of(wanted))
            case Action.RESUME:
                components.resume_manager(lambda: self._place.of(components.identity))
            case Action.RETIRE:
                await components.stop_manager()
            case Action.STOP:
                await self._stop(components, wanted)
            case Action.RENEW:
                self._files.save(wanted)
                await components.renew(wanted)
            case Action.NOTE:
                self._files.save(wanted)
                components.identity = wanted
        return None

    def _make(self, identity: Identity) -> NodeComponents:
        """The components of an identity, not started. From now on the host is that node, also after a restart."""
        self._files.save(identity)
        self._components = NodeComponents(identity, self._factory, self, self._rng, self._troubles)
        return self._components

    async def _start(self, components: NodeComponents) -> None:
        membership = components.identity.membership
        if components.identity.role is Role.WORKER:  # also when a demoted manager could not start any more
            shutil.rmtree(self._settings.etcd_directory, ignore_errors=True)
        if self._address not in ("", membership.address):
            log.warning("this host has another address now", former=self._address, address=membership.address)
            components.agent.relocated(self._address, membership.address)
        await components.start()
        self._address = membership.address
        self.nudged.set()

    async def _stop(self, components: NodeComponents, wanted: Identity) -> None:
        """Containers are not touched: the next components take them over."""
        await components.stop(hurry=is_reached_elsewhere(components.identity.membership, wanted.membership))
        self._components = None

    async def _leave(self) -> None:
        components, self._components, self._refusals = self._components, None, 0
        try:
            if components is not None:
                await components.leave()
        finally:
            self._files.clear()
            shutil.rmtree(self._settings.etcd_directory, ignore_errors=True)
        log.info("this host is in no cluster any more")


def leave_warning(manager: Manager | None) -> str:
    """Why a manager must not leave without `force`; dockerd's text."""
    managers = len(manager.store.state.members) if manager is not None else 0
    if managers <= 1:
        return LEAVING + (
            "Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. "
        )
    remaining = managers - 1
    return LEAVING + (
        f"Removing this node leaves {remaining} managers out of {managers}. "
        "The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. "
        "Use `--force` to suppress this message."
    )
