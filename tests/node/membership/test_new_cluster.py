import pytest

from api.engine.requests import read_request
from api.engine.swarm import SwarmInitRequest
from api.errors import ArgosyError, Invalid, Unimplemented
from node.membership.new_cluster import new_cluster
from node.settings import read_labels, socket_path

CLI_28 = b"""{"ListenAddr":"0.0.0.0:2377","AdvertiseAddr":"","DataPathAddr":"","DataPathPort":0,"DefaultAddrPool":null,
"ForceNewCluster":false,"Spec":{"Labels":null,"Orchestration":{},"Raft":{"ElectionTick":0,"HeartbeatTick":0},
"Dispatcher":{},"CAConfig":{},"TaskDefaults":{},"EncryptionConfig":{"AutoLockManagers":false}},
"AutoLockManagers":false,"Availability":"active","SubnetSize":0}"""


def test_the_docker_clients_request_gives_the_defaults() -> None:
    cluster = new_cluster(read_request(SwarmInitRequest, CLI_28), "c1", 5.0)
    assert (cluster.id, cluster.created_at, cluster.address_pool, cluster.subnet_length) == (
        "c1",
        5.0,
        ["10.0.0.0/8"],
        24,
    )
    assert (cluster.data_path_port, cluster.task_history, cluster.heartbeat) == (4789, 5, 2.0)
    assert cluster.cert_expiry == 90 * 24 * 3600 * 10**9


def test_what_is_asked_for_is_taken() -> None:
    body = (
        b'{"DefaultAddrPool":["10.20.0.0/16","10.30.0.0/16"],"SubnetSize":26,"DataPathPort":4242,'
        b'"Spec":{"Labels":{"a":"b"},"Orchestration":{"TaskHistoryRetentionLimit":0}}}'
    )
    cluster = new_cluster(read_request(SwarmInitRequest, body), "c1", 0.0)
    assert (cluster.address_pool, cluster.subnet_length) == (["10.20.0.0/16", "10.30.0.0/16"], 26)
    assert (cluster.data_path_port, cluster.labels, cluster.task_history) == (4242, {"a": "b"}, 0)


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"", Invalid, "empty"),
        (b'{"Nonsense":1}', Invalid, "unknown field"),
        (b'{"ListenAddr":5}', Invalid, "ListenAddr: must be a string, not 5"),
        (b'{"DefaultAddrPool":["10.0.0.0/33"]}', Invalid, "DefaultAddrPool"),
        (b'{"DefaultAddrPool":["fd00::/8"]}', Invalid, "DefaultAddrPool"),
        (b'{"DefaultAddrPool":["10.1.0.0/8"]}', Invalid, "DefaultAddrPool"),
        (b'{"DefaultAddrPool":["127.9.0.0/16"]}', Invalid, "127.0.0.0/8, the loopback addresses"),
        (b'{"DefaultAddrPool":["224.0.0.0/4"]}', Invalid, "the multicast addresses"),
        (b'{"DefaultAddrPool":["10.0.0.0/8","10.1.0.0/16"]}', Invalid, "overlaps"),
        (b'{"DefaultAddrPool":["10.0.0.0/25"]}', Invalid, "does not fit"),
        (b'{"SubnetSize":31}', Invalid, "SubnetSize"),
        (b'{"SubnetSize":-1}', Invalid, "SubnetSize"),
        (b'{"DataPathPort":80}', Invalid, "DataPathPort"),
        (b'{"DataPathPort":50000}', Invalid, "DataPathPort"),
        (b'{"AutoLockManagers":true}', Unimplemented, "AutoLockManagers"),
        (b'{"ForceNewCluster":true}', Unimplemented, "ForceNewCluster"),
        (b'{"Spec":{"Name":"other"}}', Invalid, "default"),
        (b'{"Spec":{"EncryptionConfig":{"AutoLockManagers":true}}}', Unimplemented, "AutoLockManagers"),
        (b'{"Spec":{"CAConfig":{"NodeCertExpiry":5}}}', Invalid, "NodeCertExpiry"),
    ],
)
def test_bad_requests_are_told_the_field(body: bytes, kind: type[ArgosyError], message: str) -> None:
    with pytest.raises(kind, match=message):
        new_cluster(read_request(SwarmInitRequest, body, strict=True), "c1", 0.0)


@pytest.mark.parametrize("host", ["", "tcp://0.0.0.0:2375", "unix://relative", "/run/x.sock"])
def test_only_unix_sockets_can_be_listened_on(host: str) -> None:
    with pytest.raises(Invalid, match="--host"):
        socket_path(host)


def test_labels_are_read() -> None:
    assert read_labels(("a=b", "c", "d=e=f")) == {"a": "b", "c": "", "d": "e=f"}
    with pytest.raises(Invalid, match="has no key"):
        read_labels(("=x",))
