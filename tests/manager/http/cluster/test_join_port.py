"""The managers' HTTPS port over real TLS: authorization, and the errors for invalid requests."""

from __future__ import annotations

import io
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from api.errors import Forbidden, Invalid, Unavailable
from api.http.app import answer
from api.node_spec import NodeSpec
from api.objects.kinds import CLUSTER, MEMBER, NODE
from api.objects.observed import LiveManager
from api.objects.wanted import Node
from api.states import Availability, Role
from api.wire.join_messages import JoinRequest, MemberAnswer
from api.wire.rpc import Credentials
from kit.timing import wall_clock
from manager.http.cluster.join_port import JoinPort, server_context
from manager.security import ca
from manager.store.in_memory import MemoryStore
from manager.store.interface import Delete, Put
from node.membership.identity import Identity, IdentityFiles, Membership
from node.membership.join_client import ManagerClient, client_context
from tests.manager.certificates import AUTHORITY, NOW, credentials, free_port
from tests.manager.certificates import CLUSTER as THE_CLUSTER

WORKER = ca.join_token(AUTHORITY.certificate, THE_CLUSTER.worker_secret)
MANAGER = ca.join_token(AUTHORITY.certificate, THE_CLUSTER.manager_secret)


class Port:
    """The HTTPS port of a manager m1, in a cluster with a worker n1."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = MemoryStore()
        self.number = free_port()
        self.added: list[str] = []

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.number}"

    @property
    def own(self) -> LiveManager:
        """How the manager is reached."""
        return LiveManager(self.address, 0.0, "127.0.0.1:7946")

    async def add_member(self, peer_url: str) -> MemberAnswer:
        """What etcd would do."""
        self.added.append(peer_url)
        return MemberAnswer("1f", "m1=https://127.0.0.1:2380", ["127.0.0.1:2379"])

    def files(self, name: str, creds: Credentials) -> IdentityFiles:
        """A host's identity on disk."""
        files = IdentityFiles(self.directory / name)
        files.save(Identity(Membership(name, "c1", "0.0.0.0:2377"), creds))
        return files

    def client(self, name: str, creds: Credentials) -> ManagerClient:
        """Calls with a certificate."""
        return ManagerClient([self.address], self.files(name, creds))

    async def raw(self, method: str, path: str, data: bytes = b"", creds: Credentials | None = None) -> tuple[int, Any]:
        """A request as anybody could make it; its code and its message or body."""
        context = client_context(AUTHORITY.certificate)
        if creds is not None:
            files = self.files("raw", creds)
            context.load_cert_chain(files.certificate, files.key)
        url, headers = f"https://{self.address}{path}", {"Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                method, url, data=io.BytesIO(data), headers=headers, ssl=context, server_hostname="swarm-manager"
            ) as r,
        ):
            text = await r.text()
            return r.status, json.loads(text).get("message", "") if text.startswith("{") else text


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[Port]:
    port = Port(tmp_path)
    await port.store.commit([
        Put(CLUSTER, "default", THE_CLUSTER),
        Put(NODE, "m1", Node("m1", spec=NodeSpec(role=Role.MANAGER))),
        Put(NODE, "n1", Node("n1")),
        Put(MEMBER, "m1", port.own),
    ])  # fmt: skip
    files = port.files("m1", credentials("m1", Role.MANAGER))

    async def nodes(request: web.Request) -> web.Response:
        return answer(["node"])

    app = JoinPort(port.store, port.own, wall_clock, port.add_member).app([web.get("/nodes", nodes)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    tls = server_context(files.certificate, files.key, AUTHORITY.certificate)
    await web.TCPSite(runner, "127.0.0.1", port.number, ssl_context=tls).start()
    yield port
    await runner.cleanup()


def wish(token: str, availability: str = "", addresses: tuple[str, ...] = ()) -> JoinRequest:
    """A join request with a fresh key."""
    return JoinRequest(token, ca.signing_request(ca.new_key(), addresses).decode(), availability)


@pytest.mark.parametrize(("token", "role"), [(WORKER, Role.WORKER), (MANAGER, Role.MANAGER)])
async def test_a_host_joins_in_the_role_of_its_token(port: Port, token: str, role: Role) -> None:
    joined = await ManagerClient([port.address]).join(wish(token, "drain", ("10.0.0.9",)))
    node = port.store.state.nodes[joined.node_id]
    assert (node.spec.role, node.spec.availability) == (role, Availability.DRAIN)
    subject = ca.subject_of(joined.certificate.encode())
    assert (subject.node_id, subject.role, subject.cluster_id) == (joined.node_id, role, "c1")
    # only managers are called by address (etcd); a worker could pose as one with it
    assert subject.addresses == (("10.0.0.9",) if role is Role.MANAGER else ())
    ca.verify(joined.certificate.encode(), AUTHORITY.certificate, NOW)
    assert (joined.managers, joined.apis) == (["127.0.0.1:7946"], [port.address])


async def test_who_joins_before_the_manager_is_listed_knows_that_manager(port: Port) -> None:
    await port.store.commit([Delete(MEMBER, "m1")])
    joined = await ManagerClient([port.address]).join(wish(WORKER))
    assert (joined.managers, joined.apis) == (["127.0.0.1:7946"], [port.address])


async def test_a_wrong_secret_is_refused_and_no_node_is_made(port: Port) -> None:
    with pytest.raises(Forbidden, match="valid join token is necessary"):
        await ManagerClient([port.address]).join(wish(ca.join_token(AUTHORITY.certificate, ca.new_secret())))
    assert set(port.store.state.nodes) == {"m1", "n1"}


async def test_a_rotated_token_is_refused(port: Port) -> None:
    await port.store.commit(
        [Put(CLUSTER, "default", msgspec.structs.replace(THE_CLUSTER, worker_secret=ca.new_secret()))]
    )
    with pytest.raises(Forbidden):
        await ManagerClient([port.address]).join(wish(WORKER))


async def test_a_joining_host_refuses_a_manager_of_another_ca(port: Port) -> None:
    other = ca.join_token(ca.new_authority(NOW).certificate, THE_CLUSTER.worker_secret)
    with pytest.raises(Forbidden, match="another CA than the join token names"):
        await ManagerClient([port.address]).join(wish(other))


async def test_the_next_address_is_tried_when_one_does_not_answer(port: Port) -> None:
    dead = f"127.0.0.1:{free_port()}"
    assert await ManagerClient([dead, port.address]).join(wish(WORKER))
    with pytest.raises(Unavailable, match=dead):
        await ManagerClient([dead]).join(wish(WORKER))


async def test_a_node_renews_in_the_role_it_is_wanted_in(port: Port) -> None:
    own = credentials("n1")
    client, csr = port.client("n1", own), ca.signing_request(own.key)
    assert ca.subject_of((await client.renew(csr)).certificate.encode()).role is Role.WORKER
    await port.store.commit([Put(NODE, "n1", Node("n1", spec=NodeSpec(role=Role.MANAGER)))])
    renewed = await client.renew(csr)
    assert ca.subject_of(renewed.certificate.encode()).role is Role.MANAGER
    assert renewed.node_id == "n1"


async def test_a_certificate_is_renewed_for_its_own_key_only(port: Port) -> None:
    with pytest.raises(Forbidden, match="for the key of the present one only"):
        await port.client("n1", credentials("n1")).renew(ca.signing_request(ca.new_key()))


async def test_a_removed_node_renews_no_more(port: Port) -> None:
    await port.store.commit([Delete(NODE, "n1")])
    with pytest.raises(Forbidden, match="not part of this cluster any more"):
        await port.client("n1", credentials("n1")).renew(ca.signing_request(ca.new_key()))


async def test_only_managers_add_members(port: Port) -> None:
    with pytest.raises(Forbidden, match="for managers"):
        await port.client("n1", credentials("n1")).add_member("https://127.0.0.1:2380")
    assert port.added == []
    joined = await port.client("m1b", credentials("m1", Role.MANAGER)).add_member("https://127.0.0.1:2380")
    assert (joined.member_id, port.added) == ("1f", ["https://127.0.0.1:2380"])


async def test_a_foreign_certificate_does_not_get_through_the_handshake(port: Port) -> None:
    foreign = credentials("m1", Role.MANAGER, ca.new_authority(NOW))
    with pytest.raises((aiohttp.ClientError, ssl.SSLError, OSError)):
        await port.raw("GET", "/argosy/v1/ca", creds=foreign)


ROGUE = credentials("n9")
N1, M1 = credentials("n1"), credentials("m1", Role.MANAGER)


@pytest.mark.parametrize(
    ("method", "path", "body", "creds", "code", "message"),
    [
        ("GET", "/argosy/v1/ca", b"", None, 200, "BEGIN CERTIFICATE"),
        ("GET", "/nodes", b"", None, 401, "needs a client certificate"),
        ("GET", "/v1.44/nodes", b"", None, 401, "needs a client certificate"),
        ("GET", "/nodes", b"", N1, 403, "is for managers"),
        ("GET", "/nodes", b"", ROGUE, 403, "not part of this cluster"),
        ("GET", "/nodes", b"", M1, 200, "node"),
        ("GET", "/v1.44/nodes", b"", M1, 200, "node"),
        ("GET", "/nothing", b"", None, 401, "needs a client certificate"),
        ("GET", "/nothing", b"", M1, 404, "page not found"),
        ("POST", "/argosy/v1/join", b"", None, 400, "body is empty"),
        ("POST", "/argosy/v1/join", b"{", None, 400, "not JSON"),
        ("POST", "/argosy/v1/join", b"[]", None, 400, "must be an object"),
        ("POST", "/argosy/v1/join", b"{}", None, 400, "Token"),
        ("POST", "/argosy/v1/join", b'{"Token":"x","More":1}', None, 400, "Csr: is needed"),
        ("POST", "/argosy/v1/join", b'{"Token":"x","Csr":"y"}', None, 403, "valid join token"),
        ("POST", "/argosy/v1/join", json.dumps({"Token": WORKER, "Csr": "y"}).encode(), None, 400, "csr: not a"),
        (
            "POST", "/argosy/v1/join", json.dumps({"Token": WORKER, "Csr": "y", "Availability": "idle"}).encode(),
            None, 400, "none of active, pause, drain",
        ),
        ("POST", "/argosy/v1/join", b"x" * 5_000_000, None, 413, "bytes"),
        ("POST", "/argosy/v1/renew", b'{"Csr":"y"}', None, 401, "certificate"),
        ("POST", "/argosy/v1/renew", b'{"Csr":"y"}', N1, 400, "csr: not a"),
        ("POST", "/argosy/v1/members", b'{"PeerURL":"ftp://x"}', M1, 400, "does not begin with https://"),
        ("DELETE", "/argosy/v1/join", b"", None, 405, "is not possible"),
    ],
)  # fmt: skip
async def test_bad_requests_are_told_what_is_wrong(
    port: Port, method: str, path: str, body: bytes, creds: Credentials | None, code: int, message: str
) -> None:
    status, said = await port.raw(method, path, body, creds)
    assert (status, message in said) == (code, True), (status, said)
    assert set(port.store.state.nodes) == {"m1", "n1"}


async def test_a_mistyped_token_is_refused_before_anybody_is_asked() -> None:
    with pytest.raises(Invalid, match="invalid join token"):
        await ManagerClient([]).join(wish("SWMTKN-1-abc"))


async def test_a_manager_that_was_demoted_and_one_with_another_key_do_what_workers_do(port: Port) -> None:
    own = credentials("m2", Role.MANAGER)
    node = Node("m2", spec=NodeSpec(role=Role.MANAGER), public_key=ca.requested_key(ca.signing_request(own.key)))
    await port.store.commit([Put(NODE, "m2", node)])
    assert (await port.raw("GET", "/nodes", creds=own))[0] == 200
    status, said = await port.raw("GET", "/nodes", creds=credentials("m2", Role.MANAGER))
    assert (status, "for another key than that node joined with" in said) == (403, True)
    await port.store.commit([Put(NODE, "m2", msgspec.structs.replace(node, spec=NodeSpec()))])
    status, said = await port.raw("GET", "/nodes", creds=own)
    assert (status, "is a manager no more" in said) == (403, True)
    renewed = await port.client("m2", own).renew(ca.signing_request(own.key))
    assert ca.subject_of(renewed.certificate.encode()).role is Role.WORKER


async def test_a_manager_without_the_clusters_keys_says_so(port: Port) -> None:
    cluster = msgspec.structs.replace(THE_CLUSTER, ca_key="", worker_secret="", manager_secret="", sealed=b"x")
    await port.store.commit([Put(CLUSTER, "default", cluster)])
    with pytest.raises(Unavailable, match="has not been given the cluster's keys yet"):
        await ManagerClient([port.address]).join(wish(WORKER))
