"""Somebody on the hosts' network, in no cluster, at the two ports that hosts have open: 2377 and 7946."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from api.states import Role
from manager.security import ca
from tests.attacks.siege import API, HOST, Fortress, blind, closing, drip, read_all, status_of, until
from tests.manager.certificates import NOW, credentials

pytestmark = pytest.mark.root
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
HEAD = b"GET /argosy/v1/ca HTTP/1.1\r\nHost: d\r\n"
FLOOD = 1000
"""Connections of a flood; each costs 20 to 300 KiB where nothing bounds them."""
MOST_GROWTH = 60 << 10
"""KiB that a flood from two addresses may cost."""


def still_serves(fortress: Fortress) -> bool:
    """Whether a newcomer from another address gets in."""
    return fortress.ask("GET", "/argosy/v1/ca", source="10.97.0.50")[0] == 200


@pytest.fixture(scope="module")
def slow(fortress: Fortress) -> dict[str, Callable[[], float]]:
    """Slow attacks, all begun at once: by name, what waits for the seconds each could go on."""
    lasted: dict[str, float] = {}
    attacks: dict[str, Callable[[], float]] = {
        "handshake at 2377": lambda: drip(fortress.dial(API, "10.97.0.40"), CLIENT_HELLO, b"x", 25),
        "handshake at 7946": lambda: drip(fortress.dial(HOST, "10.97.0.41"), CLIENT_HELLO, b"x", 25),
        "headers": lambda: drip(fortress.tls("10.97.0.42"), HEAD, b"a: b\r\n", 35),
        "silence": lambda: drip(fortress.tls("10.97.0.43"), b"GET", b"", 35),
        "body": lambda: drip(
            fortress.tls("10.97.0.44"),
            b"POST /argosy/v1/join HTTP/1.1\r\nHost: d\r\nContent-Length: 9999\r\n\r\n{",
            b" ",
            35,
        ),
    }

    def run(name: str) -> None:
        lasted[name] = attacks[name]()

    threads = {name: threading.Thread(target=run, args=(name,)) for name in attacks}
    for thread in threads.values():
        thread.start()

    def waiting(name: str) -> Callable[[], float]:
        def wait() -> float:
            threads[name].join()
            return lasted[name]

        return wait

    return {name: waiting(name) for name in attacks}


# ── connections that do nothing ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("port", [API, HOST])
def test_idle_connections_from_a_few_addresses_cost_little_and_keep_nobody_out(fortress: Fortress, port: int) -> None:
    before = fortress.memory
    with closing(fortress.flood(port, FLOOD, sources=2)) as held:
        grown = fortress.memory - before
        print(f"{port}: {len(held)} of {FLOOD} connections are held; {grown} KiB more memory")
        assert len(held) <= 2 * 64
        assert grown < MOST_GROWTH
        assert still_serves(fortress)
        fortress.dial(port, "10.97.0.50").close()


def test_all_places_taken_from_many_addresses_do_not_keep_a_newcomer_out(fortress: Fortress) -> None:
    with closing(fortress.flood(API, 700, sources=30)) as held:
        print(f"{len(held)} of 700 connections from 30 addresses are held")
        assert len(held) <= 256
        assert still_serves(fortress)


def test_whatever_they_cost_stays_under_the_limits_of_argosyd_and_etcd(fortress: Fortress) -> None:
    etcd = int((fortress.directory / "lib" / "etcd" / "etcd.pid").read_text())
    for pid, name, limit in ((fortress.pid, "argosyd-", 1 << 30), (etcd, "etcd-", 600 << 20)):
        rows = [row.split(":") for row in Path(f"/proc/{pid}/cgroup").read_text().split()]
        path = next(path for _, controllers, path in rows if controllers in ("", "memory") and name in path)
        v1, v2 = Path(f"/sys/fs/cgroup/memory{path}/memory.limit_in_bytes"), Path(f"/sys/fs/cgroup{path}/memory.max")
        assert int((v1 if v1.exists() else v2).read_text()) == limit


# ── slowly ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("attack", "most"),
    [("handshake at 2377", 12), ("handshake at 7946", 12), ("headers", 25), ("silence", 25), ("body", 20)],
)
def test_who_is_slow_is_hung_up_on(slow: dict[str, Callable[[], float]], attack: str, most: float) -> None:
    lasted = slow[attack]()
    print(f"{attack}: {lasted:.1f} s")
    assert lasted < most


# ── much ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_big_body_of_a_stranger_is_not_read(fortress: Fortress) -> None:
    status, said = fortress.ask("POST", "/argosy/v1/join", b"x" * (1 << 20), "10.97.0.45")
    assert status in (0, 413), said  # 0: the rest of it met a closed connection
    before = fortress.memory
    with fortress.tls("10.97.0.46") as connection:
        head = b"POST /services/create HTTP/1.1\r\nHost: d\r\nContent-Length: 4000000000\r\n\r\n"
        sent = 0
        try:
            connection.sendall(head)
            while sent < 64 << 20:
                connection.sendall(b"x" * 65536)
                sent += 65536
        except OSError:
            pass
    print(f"{sent} bytes were taken; {fortress.memory - before} KiB more memory")
    assert fortress.memory - before < 32 << 10


def test_endless_headers_are_refused(fortress: Fortress) -> None:
    with fortress.tls("10.97.0.47") as connection:
        try:
            connection.sendall(b"GET /argosy/v1/ca HTTP/1.1\r\nHost: d\r\n" + b"X-A: " + b"a" * 200_000)
        except OSError:
            pass
        assert status_of(read_all(connection))[0] in (0, 400)


SMUGGLED = (
    b"POST /argosy/v1/join HTTP/1.1\r\nHost: d\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    b"POST /argosy/v1/join HTTP/1.1\r\nHost: d\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n{}  x",
    b"GET /argosy/v1/ca HTTP/1.1\r\nHost: d\r\nTransfer-Encoding : chunked\r\n\r\n",
    b"GET /argosy/v1/ca\xff\xfe HTTP/1.1\r\nHost: d\r\nX\x00: y\r\n\r\n",
    b"POST /argosy/v1/join HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
)


@pytest.mark.parametrize("request_", SMUGGLED)
def test_what_may_be_read_in_two_ways_is_refused(fortress: Fortress, request_: bytes) -> None:
    with fortress.tls("10.97.0.48") as connection:
        connection.sendall(request_)
        connection.settimeout(3)
        answers = read_all(connection)
    assert status_of(answers)[0] == 400, answers
    assert len(re.findall(rb"HTTP/1\.[01] [0-9]{3} ", answers)) == 1, answers


# ── guessing and pretending ──────────────────────────────────────────────────────────────────────────────────────────


def test_guesses_of_the_join_token_are_slowed_and_a_right_one_still_counts(fortress: Fortress) -> None:
    _, swarm = fortress.call("GET", "/swarm")
    token = swarm["JoinTokens"]["Worker"]
    csr = ca.signing_request(ca.new_key()).decode()
    guess = json.dumps({"Token": token[:-25] + "a" * 25, "Csr": csr}).encode()
    statuses = [fortress.ask("POST", "/argosy/v1/join", guess, "10.97.0.51")[0] for _ in range(40)]
    print(f"40 guesses: {statuses.count(403)} were looked at, {statuses.count(429)} refused unread")
    assert statuses.count(403) <= 15
    assert statuses[-1] == 429
    wish = json.dumps({"Token": token, "Csr": csr}).encode()
    status, answer = fortress.ask("POST", "/argosy/v1/join", wish, "10.97.0.52")
    assert status == 200, answer
    told = [line for line in fortress.log.read_text().splitlines() if "refused to join" in line]
    assert len([line for line in told if "address=10.97.0.51 " in line]) == statuses.count(403)


def test_a_certificate_of_another_authority_opens_nothing(fortress: Fortress, tmp_path: Path) -> None:
    foreign = credentials("m1", Role.MANAGER, ca.new_authority(NOW))
    (tmp_path / "cert.pem").write_bytes(foreign.certificate)
    (tmp_path / "key.pem").write_bytes(foreign.key)
    context = blind()
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    for port in (API, HOST):
        with pytest.raises(OSError), context.wrap_socket(fortress.dial(port, "10.97.0.53")) as connection:  # noqa: PT012
            connection.settimeout(5)
            connection.sendall(b"GET /nodes HTTP/1.1\r\nHost: d\r\n\r\n")
            if not connection.recv(100):
                raise ssl.SSLError("hung up on")


def test_nobody_fills_the_log(fortress: Fortress) -> None:
    before = fortress.log.stat().st_size
    count = 0
    for number in range(600):
        source = f"10.97.0.{2 + number % 50}"
        try:
            with fortress.dial(API, source) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\n\r\n" * 3)
                count += 1
        except OSError:
            pass
    until(lambda: still_serves(fortress), 30)
    with closing([fortress.tls(f"10.97.0.{2 + number % 30}") for number in range(60)]) as connections:
        for connection in connections:
            connection.sendall(b"GET / HTTP/1.1\r\nX\x00: y\r\n\r\n")
            read_all(connection)
    written = fortress.log.read_text()[before:]
    lines = written.splitlines()
    print(f"{count + 60} bad requests: {len(lines)} lines in the log, {len(written)} bytes")
    assert "Traceback" not in written
    assert len(lines) < 450
    assert not re.search(r".{1200}", written)
