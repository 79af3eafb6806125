"""Manager: its etcd member, its store, and everything that uses it: leader, dispatcher, join port, liveness key.

The node starts and stops it (node/membership/components.py), also at run time, when the node is promoted or demoted. It
implements ClusterContext for the HTTP handlers.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import structlog
from aiohttp import web

from api.defaults import HEARTBEAT, SESSION_LEASE
from api.errors import ArgosyError, Conflict, Unavailable
from api.http.listening import REMOTE, GuardedSite, runner_of, tcp_listener
from api.objects.kinds import MEMBER, NODE
from api.objects.observed import LiveManager
from api.wire import rpc
from api.wire.join_messages import MemberAnswer
from api.wire.session_messages import MANAGER_NAME
from kit.background import Background
from kit.ip import join_host_port
from kit.supervisor import persist
from kit.timing import Clock, backoff
from manager.dispatch.dispatcher import Dispatcher
from manager.dispatch.manager_announcer import ManagerAnnouncer
from manager.etcd.bootstrap import other_endpoints, others_file, remember, start_member
from manager.etcd.command_line import EtcdSettings, check_version, parse_version
from manager.etcd.etcd_members import EtcdMembers
from manager.etcd.etcd_process import EtcdProcess
from manager.etcd.etcd_store import EtcdStore, KeyHolder
from manager.etcd.withdrawal import Withdrawals
from manager.hosts.host_client import HostClient
from manager.hosts.host_detector import HostDetector, probe
from manager.http.cluster.join_port import JoinPort, server_context
from manager.leader.election import Election
from manager.leader.key_renewal import KeyRenewal
from manager.leader.leader import Leader
from manager.leader.planners import planners
from manager.security.revocation import is_recorded, public_key_of, record_of
from manager.status.event_log import EventLog
from manager.store.batches import EXTERNAL
from manager.store.held_key import HeldKey
from manager.store.interface import Change, Put

REMOVAL_TIMEOUT = 20.0
"""Seconds a demoted manager waits until the others have taken its etcd member out."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ManagerOptions:
    """The addresses, ports and files of a manager."""

    node_id: str
    address: str
    """Address at which others reach this host."""
    listen: tuple[str, int]
    """Host and port of the HTTPS port."""
    host_port: int
    certificate: Path
    key: Path
    etcd: EtcdSettings
    external: tuple[str, ...] = ()
    """Endpoints of an external etcd; then the manager has no member of its own."""
    external_credentials: rpc.Credentials | None = None
    routes: list[web.RouteDef] = field(default_factory=list)
    """Routes of the HTTP API, which is open to the certificates of managers."""


class Manager:
    """One manager. `credentials` is called whenever credentials are needed, because they are renewed."""

    def __init__(
        self, options: ManagerOptions, credentials: Callable[[], rpc.Credentials], clock: Clock, rng: random.Random
    ) -> None:
        self._options = options
        self._credentials = credentials
        self._clock = clock
        self._rng = rng
        self._member = None if options.external else EtcdProcess(options.etcd, credentials())
        self._background = Background()
        self._tls: ssl.SSLContext | None = None
        self._runner: web.AppRunner | None = None
        self._store: EtcdStore | None = None
        self._hosts: HostClient | None = None
        self._leader: Leader | None = None
        self._events: EventLog | None = None
        self._listing: HeldKey | None = None
        self.dispatcher: Dispatcher | None = None
        """Set once the manager serves."""

    # ── as the HTTP handlers see it ──────────────────────────────────────────────────────────────────────────────

    @property
    def node_id(self) -> str:
        """Id of the node on which this manager runs."""
        return self._options.node_id

    @property
    def store(self) -> EtcdStore:
        """The store, once the manager serves."""
        assert self._store is not None, "the manager has not started"
        return self._store

    @property
    def hosts(self) -> HostClient:
        """The client for the services of the hosts."""
        assert self._hosts is not None, "the manager has not started"
        return self._hosts

    @property
    def events(self) -> EventLog:
        """The cluster's events since this manager was started."""
        assert self._events is not None, "the manager has not started"
        return self._events

    @property
    def clock(self) -> Clock:
        """The clock, in Unix seconds."""
        return self._clock

    async def remove_member(self, node_id: str) -> None:
        """Remove another manager's etcd member, if it has one. Raises Conflict or Unavailable."""
        if self._member is not None:
            await EtcdMembers(self.store.connection).remove_named(node_id)

    def leader_id(self) -> str:
        """Node id of the leader; "" when there is none."""
        return self._leader.leader_id() if self._leader else ""

    @property
    def serving(self) -> bool:
        """Whether the manager serves."""
        return self.dispatcher is not None

    # ── start and stop ───────────────────────────────────────────────────────────────────────────────────────────

    async def start(self, first: Sequence[Put] = (), joined: MemberAnswer | None = None) -> None:
        """Start: as the first manager (`first` is written to the empty store), as another one (`joined` says where its
        etcd member belongs), or again.

        Raises Unavailable when etcd has no majority in time, Conflict when there is `first` but the external etcd
        already holds a cluster, Invalid when etcd has an unsafe version.
        """
        endpoints, credentials = await self._start_etcd(joined)
        store = self._store = self._open_store(endpoints, credentials)
        if self._member is None:
            check_version(parse_version((await EtcdMembers(store.connection).status()).version))
        await store.start()
        if self._member is not None:
            store.keep_room(endpoints[0], credentials, self._options.etcd.quota)
        if first:
            if store.state.cluster is not None:
                raise Conflict(f"etcd at {', '.join(endpoints)} holds a cluster already; join it, or empty it")
            await store.commit(list(first))
        await self._serve(store)

    async def stop(self, *, hurry: bool = False) -> None:
        """Stop everything, including etcd. Agents continue on other managers; their leases are not ended.

        `hurry`: do not give etcd time to hand over its leadership, because it may not reach the others.
        """
        self.dispatcher = None
        await self._background.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._hosts is not None:
            await self._hosts.close()
        if self._store is not None:
            await self._store.close()
        if self._member is not None:
            await self._member.stop(hurry=hurry)

    async def leave(self) -> None:
        """Remove this manager's etcd member, if others remain; then stop and delete its database.

        The users of the store are stopped first, while it can still be written: so another manager leads at once, and
        this manager is not listed any more.
        """
        self.dispatcher = None
        await self._background.stop()
        await self._unlist()
        if self._member is not None and self._store is not None:
            try:
                await self._remove_member(EtcdMembers(self._store.connection))
            except ArgosyError as error:
                # often only the answer is lost, because the member stops as soon as it is removed
                log.warning("it is not sure that this manager's etcd member was removed", reason=str(error))
        await self.stop()
        if self._member is not None:
            self._member.wipe()

    async def renew(self) -> None:
        """Use the renewed certificate."""
        credentials = self._credentials()
        if self._tls is not None:
            self._tls.load_cert_chain(self._options.certificate, self._options.key)
        if self._member is not None:
            self._member.renew(credentials)
            if self._store is not None:
                await self._store.renew(credentials)

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _start_etcd(self, joined: MemberAnswer | None) -> tuple[list[str], rpc.Credentials | None]:
        """Returns the endpoints for the store, our own member first, and the credentials for them."""
        if self._member is None:
            return list(self._options.external), self._options.external_credentials
        credentials = self._credentials()
        return await start_member(self._member, credentials, joined), credentials

    def _open_store(self, endpoints: list[str], credentials: rpc.Credentials | None) -> EtcdStore:
        holder = KeyHolder(self._options.node_id, self._credentials().key)
        if self._options.external:
            return EtcdStore(endpoints, credentials, EXTERNAL, None, holder)
        return EtcdStore(endpoints, credentials, server_name=MANAGER_NAME, holder=holder)

    async def _remove_member(self, members: EtcdMembers) -> None:
        """Remove the member of a manager that leaves. For a demoted manager the others do that
        (manager/etcd/withdrawal.py); it must not stop before, because that could cost the quorum.
        """
        demoted = not self.store.state.is_manager(self._options.node_id)
        if demoted and self._member is not None and await self._was_removed(members, self._member):
            return
        if len(await members.list()) > 1:
            await members.remove_named(self._options.node_id)

    async def _was_removed(self, members: EtcdMembers, member: EtcdProcess) -> bool:
        """Wait until the others have removed the member, which ends its etcd. Returns False when they do not in
        time."""
        pid = member.pid
        try:
            async with asyncio.timeout(REMOVAL_TIMEOUT):
                while member.pid == pid:
                    try:
                        if self._options.node_id not in {listed.name for listed in await members.list()}:
                            return True
                    except Unavailable:
                        pass  # its own etcd has no leader any more, and the others refuse it
                    await asyncio.sleep(0.1)
        except TimeoutError:
            return False
        return True

    async def _serve(self, store: EtcdStore) -> None:
        options = self._options
        self._events = EventLog(store.state, self._clock)
        self._hosts = HostClient(store.state, self._credentials)
        dispatcher = Dispatcher(store, options.node_id, self._clock, self._rng)
        detector = HostDetector(
            store, options.node_id, dispatcher.silent_for, probe, store.connection.avoid_host, dispatcher.doubt
        )
        election = Election(store, options.node_id, self._clock)
        self._leader = Leader(store, election, planners(), self._clock)
        await self._listen(JoinPort(store, self._own_key(), self._clock, self._add_member))
        if self._member is not None:
            self._begin("etcd's members", self._follow_members)
            self._begin("withdrawals", Withdrawals(self._member, store, options.node_id).run)
        for name, work in (
            ("dispatcher", dispatcher.run),
            ("failure detector", detector.run),
            ("leader", self._leader.run),
            ("announcements", ManagerAnnouncer(store, options.node_id, self._hosts, lambda: dispatcher.connected).run),
            ("manager's liveness", self._stay_listed),
            ("own certificate", self._note_identity),
            ("cluster's keys", KeyRenewal(store, options.node_id, self._clock).run),
        ):
            self._begin(name, work)
        self.dispatcher = dispatcher
        log.info("manager serves", node=options.node_id, address=options.address, port=options.listen[1])

    def _begin(self, name: str, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Have the work done until this manager stops."""
        self._background.start(persist(work, name, backoff(self._rng)), name)

    async def _listen(self, service: JoinPort) -> None:
        options = self._options
        self._tls = server_context(options.certificate, options.key, self._credentials().ca)
        self._runner = runner_of(service.app(options.routes))
        await self._runner.setup()
        host, port = options.listen
        try:
            listener = tcp_listener(host, port)
            await GuardedSite(self._runner, listener, REMOTE, self._tls, service.known).start()
        except OSError as error:
            raise Unavailable(f"cannot listen on {join_host_port(host, port)}: {error.strerror or error}") from None

    async def _add_member(self, peer_url: str) -> MemberAnswer:
        if self._member is None:
            raise Conflict("this cluster keeps its state in an etcd of its own: start argosyd with --etcd-endpoints")
        return await EtcdMembers(self.store.connection).add(peer_url)

    async def _stay_listed(self) -> None:
        """Keep this manager's liveness key; never returns."""
        key, node_id = self._own_key(), self._options.node_id
        self._listing = HeldKey(self.store, MEMBER, node_id, lambda: key, SESSION_LEASE, self._rng)
        await self._listing.open()
        while True:
            await asyncio.sleep(HEARTBEAT)
            await self._listing.refresh()

    async def _follow_members(self) -> NoReturn:
        """Follow the addresses of the other managers' etcd members; never returns."""
        store, own = self.store, self._options.etcd.endpoint
        seen: dict[str, float] = {}
        while True:
            revision, now = store.state.revision, {id: one.started_at for id, one in store.state.members.items()}
            if now != seen:
                others = await other_endpoints(EtcdMembers(store.connection), self._options.node_id)
                remember(others_file(self._options.etcd), others)
                await store.connection.follow([own, *others], self._credentials())
                seen = now
            await store.wait_newer(revision)

    async def _note_identity(self) -> NoReturn:
        """Store this manager's certificate and key, if it joined under a version that did not. Raises Unavailable."""
        state, node_id, certificate = self.store.state, self._options.node_id, self._credentials().certificate
        node = state.nodes.get(node_id)
        changes: list[Change] = []
        if not is_recorded(state, certificate) and state.is_manager(node_id):
            changes.append(record_of(node_id, certificate))
        if node is not None and not node.public_key:
            keyed = msgspec.structs.replace(node, public_key=public_key_of(certificate))
            changes.append(Put(NODE, node_id, keyed, state.version(NODE, node_id)))
        if changes:
            await self.store.commit(changes)
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    def _own_key(self) -> LiveManager:
        """The value of this manager's liveness key: its addresses."""
        options = self._options
        return LiveManager(
            address=join_host_port(options.address, options.listen[1]),
            started_at=self._clock(),
            host_address=join_host_port(options.address, options.host_port),
        )

    async def _unlist(self) -> None:
        """Delete this manager's liveness key."""
        listing, self._listing = self._listing, None
        try:
            if listing is not None:
                await listing.end()
        except ArgosyError as error:
            log.warning("this manager is listed for some seconds more", reason=str(error))
