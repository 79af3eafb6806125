"""A manager with an external etcd."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.errors import Conflict
from api.objects.kinds import CLUSTER, DEFAULT_CLUSTER, NETWORK
from api.objects.wanted import Cluster, Network
from api.states import Role
from kit.timing import wall_clock
from manager.etcd.command_line import EtcdSettings
from manager.main import Manager, ManagerOptions
from manager.store.interface import ABSENT, Put
from tests.contracts.etcd_process import EtcdProcess
from tests.manager.certificates import credentials, free_port


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdProcess]:
    process = EtcdProcess(tmp_path)
    process.start()
    yield process
    process.kill()


def manager(etcd: EtcdProcess, directory: Path) -> Manager:
    creds = credentials("m1", Role.MANAGER)
    certificate, key = directory / "cert.pem", directory / "key.pem"
    certificate.write_bytes(creds.certificate)
    key.write_bytes(creds.key)
    options = ManagerOptions(
        node_id="m1",
        address="127.0.0.1",
        listen=("127.0.0.1", free_port()),
        host_port=free_port(),
        certificate=certificate,
        key=key,
        etcd=EtcdSettings("m1", directory / "etcd", "127.0.0.1"),
        external=(etcd.endpoint,),
    )
    return Manager(options, lambda: creds, wall_clock, random.Random(1))


async def test_it_serves_on_an_empty_one_and_finds_the_cluster_there_again(etcd: EtcdProcess, tmp_path: Path) -> None:
    first = [Put(CLUSTER, DEFAULT_CLUSTER, Cluster("c1"), ABSENT)]
    one = manager(etcd, tmp_path)
    await one.start(first)
    try:
        assert one.serving
        # more than etcd accepts in one transaction by default
        await one.store.commit([Put(NETWORK, f"n{n}", Network(f"n{n}")) for n in range(300)])
        assert one.events.last >= 300
    finally:
        await one.stop()
    again = manager(etcd, tmp_path)
    with pytest.raises(Conflict, match="holds a cluster already"):
        await again.start(first)
    await again.stop()
