"""A manager that was demoted, and then removed: whoever copied its files can do nothing with them any more."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from api.codec import decode
from api.objects.wanted import Cluster
from deploy.lab import lab as labs
from manager.security.sealing import opened
from tests.attacks.former_manager_tools import OpenEtcd, Stolen, ask, has_ended
from tests.e2e.world import IMAGE, World

pytestmark = pytest.mark.lab
LAB = os.environ.get("ARGOSY_TEST_LAB", "e2e") + "fm"
SECRET = "attack at dawn"


class Fallen:
    """A lab whose m2 was a manager; its files as they were then, and connections that were open then."""

    def __init__(self, world: World, directory: Path) -> None:
        self.world = world
        self.m1, self.w1 = world.address("m1"), world.address("w1")
        self.ids = {node["Description"]["Hostname"]: node["ID"] for node in world.api("/nodes")}
        self.tokens = world.api("/swarm")["JoinTokens"]
        self.node = world.lab.paths.data_root("m2") / "node"
        self.stolen = Stolen(self.node, directory / "manager")
        self.worker: Stolen
        """As a worker: after the demotion."""
        self.directory = directory
        self.database = world.lab.paths.data_root("m1") / "etcd" / "data"
        code, self.dump = self.stolen.etcdctl(self.m1, "get", "--print-value-only", "/argosy/wanted/cluster/default")
        assert code == 0
        self.etcd = OpenEtcd(self.stolen, self.m1)
        self.keep_alive = self.stolen.https(self.m1)
        assert ask(self.keep_alive, "GET", "/nodes")[0] == 200
        self.events = self.stolen.https(self.m1)
        self.events.request("GET", "/events")
        self.stream = self.events.getresponse()
        assert self.stream.status == 200


@pytest.fixture(scope="module")
def fallen(tmp_path_factory: pytest.TempPathFactory, peer_image: Path) -> Iterator[Fallen]:
    if os.geteuid():
        pytest.skip("a lab needs root")
    directory = tmp_path_factory.mktemp("stolen")
    labs.down(LAB)
    list(labs.up(LAB, managers=2, workers=1))
    try:
        world = World(labs.Lab.open(LAB))
        world.argosy("image", "load", "-i", str(peer_image), host="w1")
        world.argosy("secret", "create", "plan", "-", stdin=SECRET)
        fallen = Fallen(world, directory)
        world.argosy("node", "update", "--role", "worker", "m2")
        world.until(lambda: "is not a swarm manager" in world.argosy("node", "ls", host="m2", code=1))
        fallen.worker = Stolen(fallen.node, directory / "worker")
        yield fallen
        fallen.etcd.close()
    finally:
        labs.down(LAB)


# ── demoted: the certificate says manager, the store does not ────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/nodes", "/swarm", "/secrets", "/v1.44/info", "/argosy/v1/members"])
def test_a_demoted_managers_certificate_does_not_open_the_api(fallen: Fallen, path: str) -> None:
    method, body = ("POST", {"PeerURL": "https://192.0.2.9:2380"}) if path.endswith("members") else ("GET", None)
    status, said = fallen.stolen.ask(fallen.m1, method, path, body)
    assert (status, "is a manager no more" in said) == (403, True), said


def test_a_connection_open_since_before_the_demotion_does_not_either(fallen: Fallen) -> None:
    status, said = ask(fallen.keep_alive, "GET", "/swarm")
    assert status in (0, 403), said
    assert "SWMTKN" not in said


def test_a_stream_open_since_before_the_demotion_has_ended(fallen: Fallen) -> None:
    fallen.world.argosy("network", "create", "told-to-nobody")
    assert has_ended(fallen.stream, b"told-to-nobody")


def test_it_is_renewed_as_a_workers_only(fallen: Fallen) -> None:
    status, said = fallen.stolen.ask(
        fallen.m1, "POST", "/argosy/v1/renew", {"Csr": fallen.stolen.signing_request()}
    )  # fmt: skip
    assert status == 200
    answer = json.loads(said)
    assert "swarm-manager" not in _names(answer["Certificate"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("get", "--prefix", "/argosy/"),
        ("put", "/argosy/wanted/attack", "x"),
        ("member", "add", "rogue", "--learner", "--peer-urls=https://192.0.2.9:2380"),
        ("snapshot", "save", "SCRATCH"),
    ],
)  # fmt: skip
def test_etcd_takes_its_certificate_no_more(fallen: Fallen, arguments: tuple[str, ...], tmp_path: Path) -> None:
    # a snapshot takes the place of the file that is named: never a device's
    given = [str(tmp_path / "snapshot") if word == "SCRATCH" else word for word in arguments]
    code, said = fallen.stolen.etcdctl(fallen.m1, *given)
    assert code != 0, said
    assert "BEGIN" not in said


def test_etcds_peers_do_not_take_it_either(fallen: Fallen) -> None:
    assert fallen.stolen.raft(fallen.m1) != 0


def test_a_connection_to_etcd_open_since_before_has_ended(fallen: Fallen) -> None:
    assert not fallen.etcd.put()
    assert not fallen.etcd.watches()


def test_it_reads_no_logs_of_other_hosts(fallen: Fallen) -> None:
    assert fallen.stolen.logs(fallen.w1, fallen.ids["w1"]) is grpc.StatusCode.PERMISSION_DENIED


def test_the_join_tokens_it_knew_are_worthless(fallen: Fallen) -> None:
    for token in fallen.tokens.values():
        wish = {"Token": token, "Csr": fallen.stolen.signing_request()}
        status, said = fallen.stolen.ask(fallen.m1, "POST", "/argosy/v1/join", wish)
        assert (status, "a valid join token is necessary" in said) == (403, True), said
    assert fallen.world.api("/swarm")["JoinTokens"] != fallen.tokens


def test_etcds_files_show_no_key_no_token_and_no_secret(fallen: Fallen) -> None:
    """What somebody has who copies another manager's database: its files, as they lie on the disk."""
    hidden = [b"PRIVATE KEY", SECRET.encode()]
    now = fallen.world.api("/swarm")["JoinTokens"]
    hidden += [token.rpartition("-")[2].encode() for tokens in (now, fallen.tokens) for token in tokens.values()]
    found = b"".join(path.read_bytes() for path in fallen.database.rglob("*") if path.is_file())
    assert b"/argosy/wanted/cluster/default" in found
    assert [one for one in hidden if one in found] == []


def test_a_former_managers_key_does_not_open_the_database_as_it_is_now(fallen: Fallen) -> None:
    present = Stolen(fallen.world.lab.paths.data_root("m1") / "node", fallen.directory / "m1")
    code, now = present.etcdctl(fallen.m1, "get", "--print-value-only", "/argosy/wanted/cluster/default")
    assert code == 0
    assert opens(now, present), "who is a manager opens it"
    assert opens(fallen.dump, fallen.stolen), "as it was when m2 was one"
    assert not opens(now, fallen.stolen)


def test_a_certificate_that_it_signs_for_a_present_manager_is_refused(fallen: Fallen) -> None:
    """It could open the CA's key while it was a manager, and take it along."""
    cluster = opened(decode(Cluster, fallen.dump.encode()), fallen.stolen.node_id, fallen.stolen.key.read_bytes())
    forged = fallen.stolen.forged(cluster, fallen.ids["m1"], fallen.directory / "forged")
    status, said = forged.ask(fallen.m1, "GET", "/swarm")
    assert (status, "for another key than that node joined with" in said) == (403, True), said
    assert forged.logs(fallen.w1, fallen.ids["w1"]) is grpc.StatusCode.PERMISSION_DENIED


# ── removed: the certificates are good for nothing at all ────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def removed(fallen: Fallen) -> Fallen:
    """After `node rm` as well."""
    fallen.world.argosy("node", "rm", "--force", "m2")
    fallen.world.until(lambda: fallen.world.api("/info", host="m2")["Swarm"]["LocalNodeState"] == "inactive")
    return fallen


@pytest.mark.parametrize("role", ["manager", "worker"])
def test_a_removed_node_does_nothing_over_https(removed: Fallen, role: str) -> None:
    stolen = removed.stolen if role == "manager" else removed.worker
    for method, path, body in (
        ("GET", "/swarm", None),
        ("POST", "/argosy/v1/renew", {"Csr": stolen.signing_request()}),
    ):
        status, said = stolen.ask(removed.m1, method, path, body)
        assert (status, "not part of this cluster any more" in said) == (403, True), (path, said)


@pytest.mark.parametrize("role", ["manager", "worker"])
def test_a_removed_node_gets_no_session_no_log_and_no_image(removed: Fallen, role: str) -> None:
    stolen = removed.stolen if role == "manager" else removed.worker
    denied = grpc.StatusCode.PERMISSION_DENIED
    assert stolen.session(removed.m1) is denied
    assert stolen.logs(removed.w1, removed.ids["w1"]) is denied
    assert stolen.export(removed.w1, removed.ids["w1"], IMAGE) is denied


def test_a_removed_managers_certificate_opens_neither_port_of_etcd(removed: Fallen) -> None:
    code, said = removed.stolen.etcdctl(removed.m1, "get", "--prefix", "/argosy/")
    assert code != 0, said
    assert removed.stolen.raft(removed.m1) != 0


def opens(dump: str, stolen: Stolen) -> bool:
    """Whether a cluster object as etcd has it gives its CA's key to who has those files."""
    cluster = opened(decode(Cluster, dump.encode()), stolen.node_id, stolen.key.read_bytes())
    return "PRIVATE KEY" in cluster.ca_key


def _names(certificate: str) -> str:
    from cryptography import x509

    leaf = x509.load_pem_x509_certificate(certificate.encode())
    alternatives = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return " ".join(alternatives.get_values_for_type(x509.DNSName))
