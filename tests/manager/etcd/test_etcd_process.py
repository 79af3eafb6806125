"""This manager's etcd with real processes: TLS, crashes, left-over processes, joining and leaving."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from api.errors import ArgosyError, Invalid, Unavailable
from api.objects.kinds import NODE
from api.wire.rpc import Credentials
from kit.process import alive, wait_pid
from manager.etcd.command_line import EtcdSettings
from manager.etcd.connection_ending import end_connections
from manager.etcd.etcd_client import EtcdConnection
from manager.etcd.etcd_members import EtcdMembers
from manager.etcd.etcd_process import LOG_SIZE, EtcdProcess, _bound
from manager.etcd.etcd_store import EtcdStore
from manager.store.interface import Put
from tests.contracts.certificates import Authority
from tests.contracts.etcd_process import free_ports
from tests.contracts.store_contract import PATIENCE, node, until

AUTHORITY = Authority()
ADDRESSES = ("127.0.0.1", "127.0.0.2")
Make = Callable[..., EtcdProcess]


def settings_in(directory: Path, node_id: str = "m1") -> EtcdSettings:
    client, peer = free_ports(2)
    return EtcdSettings(node_id, directory, "127.0.0.1", client_port=client, peer_port=peer)


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    made: list[EtcdProcess] = []

    def member(node_id: str = "m1", settings: EtcdSettings | None = None) -> EtcdProcess:
        settings = settings or settings_in(tmp_path / node_id, node_id)
        made.append(EtcdProcess(settings, AUTHORITY.issue(settings.node_id, "manager", ADDRESSES)))
        return made[-1]

    yield member
    for one in made:
        await one.stop()
    gc.collect()  # collecting grpc's leftovers while a module is compiled breaks CPython 3.11


async def open_store(*members: EtcdProcess, credentials: Credentials | None = None) -> EtcdStore:
    own = credentials or AUTHORITY.issue("m1", "manager", ())
    store = EtcdStore([member.settings.endpoint for member in members], own)
    await store.start()
    return store


async def eventually_commit(store: EtcdStore, name: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await store.commit([Put(NODE, name, node(name))])
                return
            except Unavailable:
                await asyncio.sleep(0.1)


def tls_answer(port: int, credentials: Credentials, directory: Path) -> int:
    """curl's exit code for a request to a TLS port with a client certificate."""
    for name, pem in (("crt", credentials.certificate), ("key", credentials.key), ("ca", credentials.ca)):
        (directory / name).write_bytes(pem)
    files = ["--cert", directory / "crt", "--key", directory / "key", "--cacert", directory / "ca"]
    url = f"https://127.0.0.1:{port}/members"
    return subprocess.run(["curl", "-s", "-o", os.devnull, "--http1.1", "--max-time", "5", *files, url]).returncode


async def test_managers_get_in_and_workers_with_a_certificate_of_the_same_authority_do_not(
    make: Make, tmp_path: Path
) -> None:
    member = make()
    await member.start()
    store = await open_store(member)
    await store.commit([Put(NODE, "n1", node("n1"))])
    assert set(store.state.nodes) == {"n1"}
    await store.close()

    for intruder in (AUTHORITY.issue("w1", "worker"), Authority().issue("m1", "manager")):
        foreign = EtcdStore([member.settings.endpoint], intruder)
        with pytest.raises(Unavailable):
            await foreign.start()
        await foreign.close()

    peer = member.settings.peer_port
    assert tls_answer(peer, AUTHORITY.issue("m2", "manager"), tmp_path) == 0
    assert tls_answer(peer, AUTHORITY.issue("w1", "worker"), tmp_path) != 0


async def test_a_client_without_a_certificate_is_refused(make: Make) -> None:
    member = make()
    await member.start()
    store = EtcdStore([member.settings.endpoint])

    with pytest.raises(Unavailable):
        await store.start()
    await store.close()


async def test_an_etcd_that_crashes_is_started_again_with_its_data(make: Make) -> None:
    member = make()
    await member.start()
    store = await open_store(member)
    await store.commit([Put(NODE, "before", node("before"))])
    first = member.pid

    os.kill(first, signal.SIGKILL)
    await eventually_commit(store, "after")

    assert member.pid not in (0, first)
    assert set(store.state.nodes) == {"before", "after"}
    await store.close()


async def test_stopped_is_stopped_and_a_restart_finds_its_data(make: Make) -> None:
    member = make()
    await member.start()
    store = await open_store(member)
    await store.commit([Put(NODE, "n1", node("n1"))])
    pid = member.pid
    await member.stop()
    assert not alive(pid)
    assert not member.settings.pid_file.exists()

    assert member.exists
    await member.start("ignored=https://127.0.0.1:1")
    await eventually_commit(store, "n2")

    assert set(store.state.nodes) == {"n1", "n2"}
    await store.close()


ORPHAN = """
import asyncio, pickle, sys
from manager.etcd.etcd_process import EtcdProcess
async def main():
    await EtcdProcess(*pickle.load(sys.stdin.buffer)).start()
    print("ready", flush=True)
    await asyncio.sleep(3600)
asyncio.run(main())
"""


async def ended(pid: int) -> None:
    """Wait for the end of a process that may be a zombie without a parent to reap it."""
    async with asyncio.timeout(PATIENCE):
        await wait_pid(pid)


async def abandon(settings: EtcdSettings) -> int:
    """Start the member from a process that is then killed. Returns the pid of its etcd."""
    credentials = AUTHORITY.issue(settings.node_id, "manager", ADDRESSES)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ORPHAN, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(pickle.dumps((settings, credentials)))
    process.stdin.close()
    assert await process.stdout.readline() == b"ready\n"
    process.kill()
    await process.wait()
    return int(settings.pid_file.read_text())


async def test_an_etcd_that_survived_us_is_taken_over_and_stopped_with_us(make: Make) -> None:
    member = make()
    orphan = await abandon(member.settings)
    assert alive(orphan)

    await member.start()
    assert member.pid == orphan
    store = await open_store(member)
    await store.commit([Put(NODE, "n1", node("n1"))])
    await store.close()
    await member.stop()

    await ended(orphan)


async def test_an_etcd_that_survived_us_under_other_settings_is_replaced(make: Make, tmp_path: Path) -> None:
    old = settings_in(tmp_path / "m1")
    orphan = await abandon(old)
    member = make(settings=replace(old, client_port=free_ports(1)[0]))

    await member.start()

    await ended(orphan)
    assert member.pid not in (0, orphan)


async def test_a_pid_file_that_names_a_stranger_harms_nobody(make: Make) -> None:
    member = make()
    member.settings.directory.mkdir()
    stranger = await asyncio.create_subprocess_exec("sleep", "60")
    member.settings.pid_file.write_text(f"{stranger.pid}\n")

    await member.start()

    assert stranger.returncode is None
    stranger.kill()
    await stranger.wait()


async def test_a_second_manager_joins_as_a_learner_is_promoted_and_leaves_again(make: Make) -> None:
    first, second = make("m1"), make("m2")
    await first.start()
    store = await open_store(first, second)
    await store.commit([Put(NODE, "n1", node("n1"))])
    members = EtcdMembers(store.connection)

    answer = await members.add(second.settings.peer_url)
    assert answer.initial_cluster == f"m1={first.settings.peer_url}"
    assert answer.endpoints == [first.settings.endpoint]
    await second.start(answer.initial_cluster)
    await members.promote_when_ready(int(answer.member_id, 16))
    own = EtcdConnection([second.settings.endpoint], AUTHORITY.issue("m2", "manager", ()))
    await EtcdMembers(own).wait_voting()
    await own.close()

    assert [(m.name, m.learner) for m in sorted(await members.list(), key=lambda m: m.name)] == [
        ("m1", False),
        ("m2", False),
    ]
    other = await open_store(second)
    await store.commit([Put(NODE, "n2", node("n2"))])
    await until(other, lambda: "n2" in other.state.nodes)
    await other.close()

    await members.remove_named("m2")
    await second.stop()
    second.wipe()
    await eventually_commit(store, "n3")
    assert [m.name for m in await members.list()] == ["m1"]
    assert not second.exists
    await store.close()


async def test_a_single_manager_comes_back_under_another_address_and_can_be_joined_there(
    make: Make, tmp_path: Path
) -> None:
    before = settings_in(tmp_path / "m1")
    member = make(settings=before)
    await member.start()
    store = await open_store(member)
    await store.commit([Put(NODE, "n1", node("n1"))])
    await store.close()
    await member.stop()

    moved, second = make(settings=replace(before, address="127.0.0.2")), make("m2")
    await moved.start()
    store = await open_store(moved)
    members = EtcdMembers(store.connection)
    answer = await members.add(second.settings.peer_url)
    await second.start(answer.initial_cluster)
    await members.promote_when_ready(int(answer.member_id, 16))

    assert answer.initial_cluster == f"m1=https://127.0.0.2:{before.peer_port}"
    assert set(store.state.nodes) == {"n1"}
    await store.close()


async def test_a_new_certificate_is_used_without_a_restart(make: Make) -> None:
    member = make()
    await member.start()
    store = await open_store(member)
    pid = member.pid

    member.renew(AUTHORITY.issue("m1", "manager", ADDRESSES))
    await store.renew(AUTHORITY.issue("m1", "manager", ()))
    await eventually_commit(store, "n1")

    assert member.pid == pid
    assert set(store.state.nodes) == {"n1"}
    await store.close()


async def test_a_version_that_can_lose_data_is_not_started(tmp_path: Path) -> None:
    binary = tmp_path / "etcd"
    binary.write_text("#!/bin/sh\necho 'etcd Version: 3.5.1'\n")
    binary.chmod(0o755)
    member = EtcdProcess(replace(settings_in(tmp_path / "m1"), binary=str(binary)), AUTHORITY.issue("m1", "manager"))

    with pytest.raises(Invalid, match=r"3\.5\.1 can lose data"):
        await member.start()
    assert member.pid == 0


async def test_a_missing_etcd_is_told_with_what_to_do(tmp_path: Path) -> None:
    settings = replace(settings_in(tmp_path / "m1"), binary=str(tmp_path / "nowhere"))

    with pytest.raises(ArgosyError, match="install etcd-server, or use --etcd-endpoints"):
        await EtcdProcess(settings, AUTHORITY.issue("m1", "manager")).start()


async def test_the_status_tells_the_version_and_that_there_is_a_leader(make: Make) -> None:
    member = make()
    await member.start()
    connection = EtcdConnection([member.settings.endpoint], AUTHORITY.issue("m1", "manager"))

    status = await EtcdMembers(connection).status()

    assert status.version.startswith("3.")
    assert status.leader == status.member_id
    await connection.close()


def test_a_log_that_has_grown_is_moved_aside(tmp_path: Path) -> None:
    log = tmp_path / "etcd.log"
    log.write_bytes(b"x" * (LOG_SIZE + 1))

    _bound(log)

    assert log.stat().st_size == 0
    assert (tmp_path / "etcd.log.1").stat().st_size == LOG_SIZE + 1


async def test_a_revoked_certificate_opens_neither_port_and_what_it_had_open_can_be_ended(
    make: Make, tmp_path: Path
) -> None:
    member = make()
    await member.start()
    peer, former = member.settings.peer_port, AUTHORITY.issue("m2", "manager", ADDRESSES)
    assert tls_answer(peer, former, tmp_path) == 0
    open_before = EtcdConnection([member.settings.endpoint], former)
    assert len(await EtcdMembers(open_before).list()) == 1
    serial = x509.load_pem_x509_certificate(former.certificate).serial_number

    assert member.revoke([serial])
    assert not member.revoke([serial]), "it was told before"
    assert tls_answer(peer, former, tmp_path) != 0
    with pytest.raises(Unavailable):
        await EtcdMembers(EtcdConnection([member.settings.endpoint], former)).list()

    # etcd checks only new connections
    assert len(await EtcdMembers(open_before).list()) == 1
    assert await end_connections((member.settings.client_port, peer), ())
    with pytest.raises(Unavailable):
        await EtcdMembers(open_before).list()
    present = AUTHORITY.issue("m1", "manager", ADDRESSES)
    assert len(await EtcdMembers(EtcdConnection([member.settings.endpoint], present)).list()) == 1

    # a manager again
    member.revoke([])
    assert tls_answer(peer, former, tmp_path) == 0


async def test_without_a_list_of_revoked_certificates_etcd_would_let_nobody_in_so_there_is_always_one(
    make: Make,
) -> None:
    member = make()
    await member.start()
    await member.stop()
    member.settings.revoked.write_bytes(b"torn")
    await member.start()
