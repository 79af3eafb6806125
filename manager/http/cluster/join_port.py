"""The join port, the managers' HTTPS port (2377): joining, certificate renewal, and the whole API for other managers.

TLS asks for a client certificate of the cluster's CA. A connection without one is accepted, a foreign certificate fails
the handshake. The caller's certificate and the store decide what it may do (manager/security/rights.py): without a
certificate, join with a token; as a worker, renew; as a manager, anything. A stream ends with its caller's right.
Messages: api/wire/join_messages.py. The client: node/membership/join_client.py.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import msgspec
import structlog
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from api.errors import Forbidden, Invalid, TooLarge, Unauthorized, Unavailable
from api.http.app import Handler, answer, body, make_app
from api.ids import new_id
from api.node_spec import NodeSpec
from api.objects.kinds import NODE
from api.objects.observed import LiveManager
from api.objects.wanted import Cluster, Node
from api.states import Availability, Role
from api.wire.join_messages import JoinAnswer, JoinRequest, MemberAnswer, MemberRequest, RenewRequest
from api.wire.rpc import Caller, caller_of, key_digest
from kit.timing import Clock
from manager.http.cluster.join_attempts import JoinAttempts
from manager.security import ca, rights
from manager.security.revocation import expired_records, record_of
from manager.security.rights import Rights
from manager.security.sealing import is_open
from manager.store.interface import ABSENT, Change, Put, Store
from manager.store.naming import api_addresses, manager_addresses

PREFIX = "/argosy/v1"
OPEN = frozenset({f"{PREFIX}/join", f"{PREFIX}/ca"})
"""Paths that need no certificate."""
WORKERS = OPEN | {f"{PREFIX}/renew"}
"""Paths that a worker may use."""

MOST_JOIN = 16 * 1024
"""Bytes of a request to join, to renew, or to become a member: a token and a CSR."""
JOIN_TIME = 10.0
"""Seconds in which such a request must arrive."""

AddMember = Callable[[str], Awaitable[MemberAnswer]]
"""Adds an etcd member by its peer URL, as a learner."""

log = structlog.get_logger(__name__)


def server_context(certificate: Path, key: Path, authority: bytes) -> ssl.SSLContext:
    """The TLS context described above. After a renewal call `load_cert_chain` on it again: new connections use it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(cadata=authority.decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


class JoinPort:
    """Joining, renewal and membership at one manager; `own` is how it is reached."""

    def __init__(self, store: Store, own: LiveManager, clock: Clock, add_member: AddMember) -> None:
        self._store = store
        self._own = own
        self._clock = clock
        self._add_member = add_member
        self._rights = Rights(store)
        self._attempts = JoinAttempts()

    def app(self, routes: list[web.RouteDef]) -> web.Application:
        """The application for the port: these paths, and `routes` for managers."""
        own = [
            web.get(f"{PREFIX}/ca", self.get_ca),
            web.post(f"{PREFIX}/join", self.post_join),
            web.post(f"{PREFIX}/renew", self.post_renew),
            web.post(f"{PREFIX}/members", self.post_members),
        ]
        app = make_app([*own, *routes])
        app.middlewares.append(self._admit)
        return app

    def known(self, transport: asyncio.BaseTransport) -> str:
        """The id of the node whose certificate a connection has; "" without one, and for a node that was removed."""
        try:
            caller = caller_of_connection(transport)
        except Forbidden:
            return ""
        return caller.node_id if caller is not None and caller.node_id in self._store.state.nodes else ""

    # ── authorization ─────────────────────────────────────────────────────────────────────────────────────────────

    @web.middleware
    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        caller = caller_by_certificate(request)
        if caller is None:
            if request.path not in OPEN:
                raise Unauthorized(f"{request.path} needs a client certificate of a manager of this cluster")
            return await handler(request)
        await self._rights.known(caller.node_id)
        with self._rights.held(partial(self._check, caller, request.path), partial(_hang_up, request)):
            return await handler(request)

    def _check(self, caller: Caller, path: str) -> None:
        """Whether the caller may use the path now. Raises Forbidden, Unavailable."""
        state = self._store.state
        if path in WORKERS:
            rights.member(state, caller)
        else:
            rights.manager(state, caller, path)

    # ── handlers ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def get_ca(self, request: web.Request) -> web.Response:
        """The CA's certificate; a joining host checks it against the digest in its token."""
        return web.Response(text=self._cluster().ca_certificate, content_type="application/x-pem-file")

    async def post_join(self, request: web.Request) -> web.Response:
        """Answers a token and a CSR with a node id and a certificate."""
        address = request.remote or ""
        self._attempts.check(address, self._clock())
        try:
            return await self._join(request)
        except (Invalid, Forbidden, TooLarge) as error:
            log.warning("a host was refused to join", address=address, reason=str(error)[:200])
            await asyncio.sleep(self._attempts.failed(address, self._clock()))
            raise

    async def _join(self, request: web.Request) -> web.Response:
        wish = await body(request, JoinRequest, MOST_JOIN, JOIN_TIME)
        cluster = self._keys()
        role = ca.token_role(wish.token, cluster.ca_certificate.encode(), cluster.worker_secret, cluster.manager_secret)
        availability = read_availability(wish.availability)
        node_id, now = new_id(), self._clock()
        certificate = self._sign(cluster, wish.csr, node_id, role)
        spec = NodeSpec(role=role, availability=availability)
        node = Node(node_id, now, now, spec, ca.requested_key(wish.csr.encode()))
        await self._store.commit([Put(NODE, node_id, node, ABSENT), *self._notes(node, certificate)])
        log.info("node joined", node=node_id, role=role.value, address=request.remote)
        return answer(self._joined(cluster, node_id, certificate))

    async def post_renew(self, request: web.Request) -> web.Response:
        """A new certificate for a node of the cluster, with the role of its present spec."""
        wish = await body(request, RenewRequest, MOST_JOIN, JOIN_TIME)
        caller = caller_by_certificate(request)
        if caller is None:
            raise Unauthorized("renewal needs the node's present certificate")
        self._attempts.check_renewal(caller.node_id, self._clock())
        cluster = self._keys()
        node = await self._with_key(caller, ca.requested_key(wish.csr.encode()))
        certificate = self._sign(cluster, wish.csr, node.id, node.spec.role)
        await self._store.commit(self._notes(node, certificate))
        log.info("certificate renewed", node=node.id, role=node.spec.role.value)
        return answer(self._joined(cluster, node.id, certificate))

    async def post_members(self, request: web.Request) -> web.Response:
        """Add the caller's etcd member as a learner."""
        wish = await body(request, MemberRequest, MOST_JOIN, JOIN_TIME)
        if not wish.peer_url.startswith("https://"):
            raise Invalid(f"PeerURL: {wish.peer_url!r} does not begin with https://")
        return answer(await self._add_member(wish.peer_url))

    async def _with_key(self, caller: Caller, key: bytes) -> Node:
        """The caller's node; stores its key if it joined before keys were stored. Raises Forbidden for another key."""
        if caller.key != key_digest(key):
            raise Forbidden("a certificate is renewed for the key of the present one only")
        node = self._store.state.nodes[caller.node_id]
        if not node.public_key:
            node = msgspec.structs.replace(node, public_key=key)
            version = self._store.state.version(NODE, node.id)
            await self._store.commit([Put(NODE, node.id, node, version)])
        return node

    def _notes(self, node: Node, certificate: bytes) -> list[Change]:
        """Records of a new certificate, committed before it is sent: otherwise it could not be revoked."""
        if node.spec.role is not Role.MANAGER:
            return []
        return [record_of(node.id, certificate), *expired_records(self._store.state, self._clock())]

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _cluster(self) -> Cluster:
        if (cluster := self._store.state.cluster) is None:
            raise Unavailable("this manager does not know its cluster yet; try again")
        return cluster

    def _keys(self) -> Cluster:
        """The cluster, once this manager can sign."""
        if not is_open(cluster := self._cluster()):
            raise Unavailable("this manager has not been given the cluster's keys yet; try again")
        return cluster

    def _sign(self, cluster: Cluster, csr: str, node_id: str, role: Role) -> bytes:
        return sign_for(cluster, csr.encode(), node_id, role, self._clock())

    def _joined(self, cluster: Cluster, node_id: str, certificate: bytes) -> JoinAnswer:
        """The answer to a join or renewal. It names this manager too, which may not be in the state yet."""
        state = self._store.state
        return JoinAnswer(
            node_id=node_id,
            certificate=certificate.decode(),
            ca_certificate=cluster.ca_certificate,
            cluster_id=cluster.id,
            managers=sorted({self._own.host_address, *manager_addresses(state)}),
            apis=sorted({self._own.address, *api_addresses(state)}),
            data_path_port=cluster.data_path_port,
        )


def sign_for(cluster: Cluster, csr: bytes, node_id: str, role: Role, now: float) -> bytes:
    """A node's certificate. A manager gets the IP addresses it asks for: etcd's members check them. Raises Invalid."""
    asked = ca.requested_addresses(csr)
    subject = ca.Subject(node_id, role, cluster.id, asked if role is Role.MANAGER else ())
    authority = ca.CertificateAuthority(cluster.ca_certificate.encode(), cluster.ca_key.encode())
    return ca.sign(authority, csr, subject, now, cluster.cert_seconds)


def _hang_up(request: web.Request) -> None:
    """Close the connection of a request: its response may have started, so no error can be sent."""
    if request.transport is not None:
        request.transport.abort()


def caller_by_certificate(request: web.Request) -> Caller | None:
    """The caller, by the certificate that TLS has verified; None without one. Raises Forbidden for a foreign form."""
    return caller_of_connection(request.transport) if request.transport else None


def caller_of_connection(transport: asyncio.BaseTransport) -> Caller | None:
    """The caller of a connection; see caller_by_certificate."""
    connection = transport.get_extra_info("ssl_object")
    der = connection.getpeercert(binary_form=True) if connection else None
    return caller_of(load_der_x509_certificate(der).public_bytes(Encoding.PEM)) if der else None


def read_availability(text: str) -> Availability:
    """The availability of that name; "" means active. Raises Invalid."""
    try:
        return Availability(text.lower()) if text else Availability.ACTIVE
    except ValueError:
        raise Invalid(f"Availability: {text!r} is none of active, pause, drain") from None
