"""Somebody who may use a host's API, and means harm: every request is answered, in words, and costs little."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.siege import Fortress, closing, read_all, status_of, until

pytestmark = pytest.mark.root


@pytest.fixture(autouse=True)
def _no_traceback(fortress: Fortress) -> Iterator[None]:
    before = fortress.log.stat().st_size
    yield
    assert "Traceback" not in fortress.log.read_text()[before:]


def send(fortress: Fortress, data: bytes, seconds: float = 5.0) -> tuple[int, Any]:
    """Bytes to the unix socket; the first answer."""
    with fortress.local() as connection:
        connection.settimeout(seconds)
        try:
            connection.sendall(data)
        except OSError:
            pass
        return status_of(read_all(connection, 1 << 16))


def refused(status: int, answer: Any) -> bool:
    """Whether it is the client's fault, said in one sentence."""
    return 400 <= status < 500 and isinstance(answer, dict) and 0 < len(answer["message"]) < 400


# ── bodies ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("depth", [100, 900, 2000, 100_000])
def test_json_nested_deep(fortress: Fortress, depth: int) -> None:
    body = b'{"Labels":' * depth + b"{}" + b"}" * depth
    for path in ("/services/create", "/networks/create", "/volumes/create", "/swarm/init"):
        status, answer = fortress.call("POST", path, body)
        assert refused(status, answer), (path, status, answer)


@pytest.mark.parametrize(
    "spec",
    [
        {"Name": "a\0b"},
        {"Name": "web", "Mode": {"Replicated": {"Replicas": 10**30}}},
        {"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "a:1", "Env": ["A=\0"]}}},
        {"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "a:1", "StopGracePeriod": 2**64}}},
    ],
)
def test_specs_with_nuls_and_numbers_beyond_all_bounds(fortress: Fortress, spec: dict[str, Any]) -> None:
    status, answer = fortress.call("POST", "/services/create", spec)
    assert refused(status, answer), (status, answer)


@pytest.mark.parametrize(
    "chunks", [b"zz\r\n", b"-1\r\n\r\n", b"ffffffffffffffffff\r\nx\r\n", b"5\r\n{}\r\n0\r\n\r\n", b"2\r\n{}XX0\r\n\r\n"]
)
def test_broken_chunks(fortress: Fortress, chunks: bytes) -> None:
    head = b"POST /networks/create HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n"
    status, answer = send(fortress, head + chunks + b"0\r\n\r\n")
    assert status == 400, answer


def test_a_body_that_unpacks_to_a_thousand_times_its_size(fortress: Fortress) -> None:
    before = fortress.memory
    packed = gzip.compress(b" " * (100 << 20), 1)
    head = (
        f"POST /networks/create HTTP/1.1\r\nHost: d\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    )
    status, answer = send(fortress, head.encode() + packed)
    assert refused(status, answer), (status, answer)
    assert fortress.memory - before < 20 << 10


# ── paths and parameters ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "target",
    [
        b"/services/\xff\xfe", b"/services/%ff%fe", b"/services/%00", b"/volumes/%00",
        b"/containers/x/archive?path=%00", b"/networks/a%0d%0aX:%20y%00", b"/services?filters=%ff",
        b"/v1.99999999999999999999/info",
    ],
)  # fmt: skip
def test_raw_and_hostile_bytes_in_paths(fortress: Fortress, target: bytes) -> None:
    status, answer = send(fortress, b"GET " + target + b" HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
    assert 400 <= status < 500, answer


@pytest.mark.parametrize(
    "path",
    [
        "/events?since=1e308&until=nan", "/events?since=" + "9" * 5000, "/containers/json?limit=" + "9" * 30,
        "/containers/json?limit=%C2%B2", "/services?filters=%7B%22label%22",
        "/images/json?filters=" + "%5B" * 2000,
    ],
)  # fmt: skip
def test_numbers_that_are_none_or_too_large(fortress: Fortress, path: str) -> None:
    status, answer = fortress.call("GET", path)
    assert refused(status, answer), (status, answer)


@pytest.mark.parametrize(
    "name", ["../../../etc", "..", "a/../../b", "/etc", "x" * 5000, "x" * 256, "a\0b", "-rf", ".hidden", "%2e%2e"]
)
def test_volumes_stay_in_their_directory(fortress: Fortress, name: str) -> None:
    status, answer = fortress.call("POST", "/volumes/create", {"Name": name})
    assert refused(status, answer), (name, status, answer)
    volumes = Path(fortress.directory, "lib", "volumes")
    assert [path.name for path in volumes.glob("*/_data")] == []
    assert not Path(fortress.directory, "etc").exists()


def test_headers_without_end(fortress: Fortress) -> None:
    many = b"".join(b"X-%d: y\r\n" % number for number in range(20_000))
    for headers in (b"X: " + b"a" * 1_000_000, many):
        status, answer = send(fortress, b"GET /_ping HTTP/1.1\r\nHost: d\r\n" + headers + b"\r\n\r\n")
        assert status in (0, 400), answer
    assert fortress.call("GET", "/_ping")[0] == 200


# ── many ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_followers_by_the_thousand_are_bounded_and_given_back(fortress: Fortress) -> None:
    request = b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n"
    before = fortress.memory
    followers: list[socket.socket] = []
    with closing(followers):
        for _ in range(1500):
            try:
                followers.append(fortress.local())
                followers[-1].sendall(request)
            except OSError:
                break
        time.sleep(1.0)
        held = [one for one in followers if _answers(one)]
        print(f"{len(held)} of 1500 followers are served; {fortress.memory - before} KiB more memory")
        assert len(held) <= 1024
    until(lambda: fortress.call("GET", "/_ping")[0] == 200)
    # an event wakes them, and they find that nobody listens
    assert fortress.call("POST", "/volumes/create", {"Name": "noise"})[0] == 201
    assert fortress.call("DELETE", "/volumes/noise")[0] == 204


def _answers(connection: socket.socket) -> bool:
    connection.settimeout(2.0)
    try:
        return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def test_a_client_that_does_not_read_holds_up_nobody(fortress: Fortress) -> None:
    with fortress.local() as deaf:
        deaf.settimeout(1.0)
        try:
            for _ in range(20_000):
                deaf.sendall(b"GET /info HTTP/1.1\r\nHost: d\r\n\r\n")
        except TimeoutError:
            pass  # it is not read any more either
        began = time.monotonic()
        assert fortress.call("GET", "/_ping")[0] == 200
        assert time.monotonic() - began < 5


def test_the_log_takes_no_more_than_a_line_for_a_bad_request(fortress: Fortress) -> None:
    before = fortress.log.stat().st_size
    for number in range(500):
        status, _ = send(fortress, b"GET /info HTTP/1.1\r\nX\x00: %d\r\n\r\n" % number)
        assert status == 400
    written = fortress.log.read_text()[before:].splitlines()
    print(f"500 requests that are no HTTP: {len(written)} lines in the log")
    assert len(written) < 150
    assert json.dumps(written).count("Traceback") == 0
