"""The host's place in a cluster: making one, joining one, leaving it, coming back after a restart, changing its role.

Answers the /swarm requests of the HTTP API (node_routes.py); sentences are dockerd's (moby daemon/cluster/errors.go).
One request at a time; whatever fails half-way leaves the host as it was, in no cluster.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from functools import partial
from typing import NoReturn

import msgspec
import structlog

from api.defaults import MANAGER_PORT
from api.errors import Forbidden, Invalid, Unavailable
from api.field_names import new_id
from api.objects.wanted import CLUSTER, DEFAULT_CLUSTER, INGRESS, NETWORK, NODE, Cluster, Network, Node
from api.service.host_address import join_host_port
from api.service.service_spec import NetworkSpec, NodeSpec
from api.states import Role
from api.wire.assignments import NetworkOrder
from api.wire.rpc import Credentials
from api.wire.session_messages import Assignments, JoinAnswer, JoinRequest, ManagerMessage, MemberAnswer, Part, Welcome
from kit.timing import Clock, backoff
from manager.etcd.bootstrap import has_database
from manager.http.cluster.join_port import read_availability, sign_for
from manager.main import Manager
from manager.security import ca, sealing
from manager.security.revocation import noted
from manager.store.interface import ABSENT, Put
from node.membership.address_change import Relocation, relocate
from node.membership.advertise_address import advertised, host_port, interfaces, listening, resolve
from node.membership.components import Parts
from node.membership.factory import NodeFactory
from node.membership.identity import Identity, IdentityFiles, Membership
from node.membership.join_client import ManagerClient
from node.membership.swarm_requests import InitRequest, JoinBody, new_cluster
from node.settings import Settings

log = structlog.get_logger(__name__)

MEMBER_TIMEOUT = 60.0
"""Seconds a joining manager waits for its turn to add an etcd member."""
IN_SWARM = 'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.'
NOT_IN_SWARM = "This node is not part of a swarm"
REFUSALS = 2
"""Times in a row that managers must say that they do not know this node, until it believes that it was removed."""
ADDRESS = "address"
ADDRESS_LOOK = 0.5
"""Seconds between two looks at the host's interfaces; what both see is so."""
LEAVING = "You are attempting to leave the swarm on a node that is participating as a manager. "


class HostSwarm:
    """Implements node/http/node_routes.py's `Swarm`."""

    def __init__(self, settings: Settings, factory: NodeFactory, clock: Clock, rng: random.Random) -> None:
        self._settings = settings
        self._files = IdentityFiles(settings.node_directory)
        self._factory = factory
        self._clock = clock
        self._rng = rng
        self._busy = asyncio.Lock()
        self._parts: Parts | None = None
        self.network_names: dict[str, str] = {}
        """Of the networks this host was told of, by id."""
        self.wanted_role: Role | None = None
        """As the managers last told."""
        self.nudged = asyncio.Event()
        """Set when the certificate may need renewal before its time."""
        self._refusals = 0
        self._removed = asyncio.Event()

    # ── as the HTTP handlers see it ──────────────────────────────────────────────────────────────────────────────

    @property
    def identity(self) -> Identity | None:
        """None outside of a cluster."""
        return self._parts.identity if self._parts is not None else None

    @property
    def address(self) -> str:
        """Where others reach this host."""
        return self._parts.identity.membership.address if self._parts is not None else ""

    @property
    def context(self) -> Manager | None:
        """The manager, once it serves."""
        return self._parts.serving_manager if self._parts is not None else None

    @property
    def parts(self) -> Parts | None:
        """What runs; None outside of a cluster."""
        return self._parts

    # ── coming and going ─────────────────────────────────────────────────────────────────────────────────────────

    async def resume(self) -> None:
        """Come back after a restart of argosyd, if the host is a node."""
        identity = self._files.load()
        if identity is None:
            return
        former = identity.membership
        found = self._relocate(former)
        if found.moves(former):
            log.warning("this host has another address now", former=former.address, address=found.membership.address)
        identity = Identity(found.membership, identity.credentials)
        self._files.save(identity)
        parts = self._make(identity)
        if found.moves(former):
            parts.agent.relocated(former.address, found.membership.address)
        await parts.start()
        self._parts = parts
        if identity.role is Role.MANAGER:
            parts.resume_manager(partial(self._member, identity))
        self.nudged.set()

    async def stop(self) -> None:
        """argosyd ends; containers go on."""
        if self._parts is not None:
            await self._parts.stop()

    async def init(self, request: InitRequest) -> str:
        """Make a cluster with this host as its first manager. Raises Invalid, Unavailable (already in one)."""
        async with self._busy:
            self._refuse_member()
            cluster = new_cluster(request, new_id(), self._clock())
            availability = read_availability(request.availability)
            listen, address = self._addresses(request.listen_addr, request.advertise_addr)
            authority, key = ca.new_authority(self._clock()), ca.new_key()
            node_id, seal_key = new_id(), sealing.new_key()
            csr = ca.signing_request(key, certificate_addresses(address))
            cluster = msgspec.structs.replace(
                cluster,
                seal_key=seal_key,
                wraps=sealing.wraps(seal_key, {node_id: ca.requested_key(csr)}),
                ca_certificate=authority.certificate.decode(),
                ca_key=authority.key.decode(),
                worker_secret=ca.new_secret(),
                manager_secret=ca.new_secret(),
            )
            membership = Membership(
                node_id=node_id,
                cluster_id=cluster.id,
                listen_addr=listen,
                address=address,
                advertise_addr=request.advertise_addr,
                data_path_addr=self._data_path(request.data_path_addr),
                data_path_port=cluster.data_path_port,
                managers=[join_host_port(address, self._settings.host_port)],
                apis=[join_host_port(address, host_port(listen, MANAGER_PORT)[1])],
            )
            certificate = sign_for(cluster, csr, membership.node_id, Role.MANAGER, self._clock())
            identity = Identity(membership, Credentials(certificate, key, authority.certificate))
            spec = NodeSpec(role=Role.MANAGER, availability=availability)
            node = Node(membership.node_id, self._clock(), self._clock(), spec, ca.requested_key(csr))
            await self._enter(identity, first=(*first_objects(cluster, node), noted(node.id, certificate)))
            log.info("cluster made", cluster=cluster.id, node=node.id)
            return node.id

    async def join(self, request: JoinBody) -> None:
        """Become a node of the cluster at `RemoteAddrs`. Raises Invalid, Forbidden, Unavailable."""
        async with self._busy:
            self._refuse_member()
            if not request.remote_addrs:
                raise Invalid("at least 1 RemoteAddr is required to join")
            ca.token_digest(request.join_token)
            read_availability(request.availability)
            listen, address = self._addresses(request.listen_addr, request.advertise_addr)
            key = ca.new_key()
            csr = ca.signing_request(key, certificate_addresses(address))
            wish = JoinRequest(request.join_token.strip(), csr.decode(), request.availability)
            answer = await ManagerClient(request.remote_addrs).join(wish)
            membership = Membership(
                node_id=answer.node_id,
                cluster_id=answer.cluster_id,
                listen_addr=listen,
                address=address,
                advertise_addr=request.advertise_addr,
                data_path_addr=self._data_path(request.data_path_addr),
                data_path_port=answer.data_path_port,
                managers=answer.managers,
                apis=answer.apis or request.remote_addrs,
            )
            await self._enter(_identity(membership, answer, key))
            log.info("cluster joined", cluster=answer.cluster_id, node=answer.node_id)

    async def leave(self, *, force: bool) -> None:
        """Be no node any more: containers are stopped, networks removed, everything of the cluster forgotten."""
        async with self._busy:
            parts = self._parts
            if parts is None:
                raise Unavailable(NOT_IN_SWARM)
            if not force and parts.identity.role is Role.MANAGER:
                raise Unavailable(leave_warning(parts.serving_manager))
            await self._depart(parts)

    async def renewed(self, identity: Identity) -> None:
        """The certificate is a new one, of the same role or of another."""
        async with self._busy:
            parts = self._parts
            if parts is None or parts.identity.node_id != identity.node_id:
                return
            former = parts.identity.role
            if identity.role is former:
                self._files.save(identity)
                await parts.renew(identity)
                return
            log.info("this node's role changes", role=identity.role.value)
            await parts.stop_manager()
            await parts.stop()
            if identity.role is Role.WORKER:  # also of a manager that did not come up any more
                shutil.rmtree(self._settings.etcd_directory, ignore_errors=True)
            self._files.save(identity)
            # containers are not touched: the new agent takes them over
            parts = self._parts = self._make(identity)
            await parts.start()
            if identity.role is Role.MANAGER:
                parts.resume_manager(partial(self._member, identity))

    def heard(self, message: ManagerMessage) -> None:
        """What a manager told the agent."""
        if isinstance(message, Assignments | Part):
            self.network_names.update(
                {order.id: order.name for order in message.put if isinstance(order, NetworkOrder)}
            )
        elif isinstance(message, Welcome):
            self._welcomed(message)

    def refused(self) -> None:
        """A manager said that this node is not part of the cluster any more."""
        self._refusals += 1
        if self._refusals >= REFUSALS:
            self._removed.set()

    async def depart_when_removed(self) -> NoReturn:
        """For ever: when the node was removed from the cluster (`node rm`), stop what runs and be in none."""
        while True:
            await self._removed.wait()
            async with self._busy:
                self._removed.clear()
                if self._parts is not None and self._refusals >= REFUSALS:
                    log.warning("this node was removed from the cluster; its containers are removed")
                    await self._depart(self._parts)

    async def follow_address(self) -> NoReturn:
        """For ever: when the host's address changes, take the new one, or say why that cannot be."""
        seen = ""
        while True:
            await asyncio.sleep(ADDRESS_LOOK)
            parts = self._parts
            if parts is None or self._busy.locked():
                continue
            former = parts.identity.membership
            found = self._relocate(former)
            if found.trouble:
                if self._factory.troubles.now.get(ADDRESS) != found.trouble:
                    self._factory.troubles.say(ADDRESS, found.trouble)
            else:
                self._factory.troubles.well(ADDRESS)
            if found.moves(former) and found.membership.address == seen:
                await self._move(parts)
            elif found.membership != former and not found.moves(former):
                parts.identity = Identity(found.membership, parts.identity.credentials)
                self._files.save(parts.identity)
            seen = found.membership.address

    async def _move(self, parts: Parts) -> None:
        """Begin anew under the host's new address; containers are not touched."""
        async with self._busy:
            former = parts.identity.membership
            found = self._relocate(former)
            if self._parts is not parts or not found.moves(former):
                return
            log.warning("this host has another address now", former=former.address, address=found.membership.address)
            await parts.stop(hurry=True)
            identity = Identity(found.membership, parts.identity.credentials)
            self._files.save(identity)
            parts = self._parts = self._make(identity)
            parts.agent.relocated(former.address, found.membership.address)
            await parts.start()
            if identity.role is Role.MANAGER:
                parts.resume_manager(partial(self._member, identity))
            self.nudged.set()

    def _welcomed(self, welcome: Welcome) -> None:
        self._refusals = 0
        if self._parts is None:
            return
        identity = self._parts.identity
        self.wanted_role = welcome.role
        if welcome.role not in (None, identity.role):
            self.nudged.set()
        if welcome.apis and welcome.apis != identity.membership.apis:
            membership = msgspec.structs.replace(
                identity.membership, apis=welcome.apis, managers=welcome.managers or identity.membership.managers
            )
            self._parts.identity = Identity(membership, identity.credentials)
            self._files.save(self._parts.identity)

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _enter(self, identity: Identity, first: tuple[Put, ...] = ()) -> None:
        """Become the node of that identity; or be none, and say why."""
        parts = self._make(identity)
        self.wanted_role = None
        shutil.rmtree(self._settings.etcd_directory, ignore_errors=True)
        self._files.save(identity)
        try:
            if first:
                await parts.start_manager(first)
            await parts.start()
            if not first and identity.role is Role.MANAGER:
                await parts.start_manager(joined=await self._member(identity))
        except BaseException:
            await self._depart(parts)
            raise
        self._parts = parts
        self.nudged.set()

    async def _depart(self, parts: Parts) -> None:
        self._parts, self._refusals = None, 0
        try:
            await parts.leave()
        finally:
            self._files.clear()
            shutil.rmtree(self._settings.etcd_directory, ignore_errors=True)
        log.info("this host is in no cluster any more")

    async def _member(self, identity: Identity) -> MemberAnswer | None:
        """Where a further manager's etcd member belongs; None when it has its place, or etcd is somebody else's."""
        settings = self._factory.etcd(identity)
        if self._settings.etcd_endpoints or has_database(settings):
            return None
        client = ManagerClient(identity.membership.apis, self._files)
        try:
            async with asyncio.timeout(MEMBER_TIMEOUT):
                for delay in backoff(self._rng, first=0.3, most=2.0):
                    try:
                        return await client.add_member(settings.peer_url)
                    except Unavailable as error:
                        # etcd takes one learner at a time
                        log.info("waiting to become a member of the store", reason=str(error))
                        await asyncio.sleep(delay)
        except TimeoutError:
            raise Unavailable(f"the store took no new member within {MEMBER_TIMEOUT:.0f} s; see the log") from None
        raise AssertionError("a backoff has no end")

    def _make(self, identity: Identity) -> Parts:
        return Parts(identity, self._factory, self._clock, self._rng)

    def _refuse_member(self) -> None:
        if self._parts is not None:
            raise Unavailable(IN_SWARM)

    def _addresses(self, listen: str, advertise: str) -> tuple[str, str]:
        """Listen address ("host:port") and advertised IP address. Raises Invalid."""
        present = interfaces()
        host, port = listening(listen or self._settings.listen_addr, MANAGER_PORT, present)
        address = advertised(advertise or self._settings.advertise_addr, host, present)
        return join_host_port(host, port), address

    def _data_path(self, given: str) -> str:
        return resolve(given, interfaces()) if given else ""

    def _relocate(self, membership: Membership) -> Relocation:
        """What the host's interfaces say of its address now."""
        preferred = membership.advertise_addr or self._settings.advertise_addr
        return relocate(membership, interfaces(), preferred, self._settings.host_port)


def first_objects(cluster: Cluster, node: Node) -> tuple[Put, ...]:
    """What a new cluster's store begins with: the cluster, its first node, and the routing mesh's network."""
    ingress = NetworkSpec(name=INGRESS, driver="overlay", scope="swarm", ingress=True)
    return (
        Put(CLUSTER, DEFAULT_CLUSTER, cluster, ABSENT),
        Put(NODE, node.id, node, ABSENT),
        Put(NETWORK, INGRESS, Network(INGRESS, cluster.created_at, ingress), ABSENT),
    )


def certificate_addresses(address: str) -> tuple[str, ...]:
    """The IP names a manager's certificate needs: etcd's members ask for the address they dialled."""
    return tuple(dict.fromkeys((address, "127.0.0.1")))


def leave_warning(manager: Manager | None) -> str:
    """Why a manager does not leave without force."""
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


def _identity(membership: Membership, answer: JoinAnswer, key: bytes) -> Identity:
    authority = answer.ca_certificate.encode()
    identity = Identity(membership, Credentials(answer.certificate.encode(), key, authority))
    if ca.subject_of(identity.credentials.certificate).node_id != answer.node_id:
        raise Forbidden("the manager answered with a certificate of another node")
    return identity
