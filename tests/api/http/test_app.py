"""The application of the HTTP API: versions, errors, queries, bodies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientConnectionResetError, web
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request

from api.engine.common import timestamp
from api.errors import Conflict, Invalid
from api.http import app as http
from api.http.app import MAX_BODY, answer, make_app, raw_body
from api.http.listening import LOCAL, GuardedSite, _http_log, runner_of, unix_listener
from api.http.query import filters, flag, label_match, moment, number

Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """An application with one handler for each kind of outcome."""

    async def good(request: web.Request) -> web.Response:
        return answer({"size": len(await raw_body(request))})

    async def busy(request: web.Request) -> web.Response:
        raise Conflict("it is in use")

    async def broken(request: web.Request) -> web.Response:
        raise ZeroDivisionError

    app = make_app(
        [web.get("/good", good), web.post("/good", good), web.get("/busy", busy), web.get("/broken", broken)]
    )
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/v1.24/busy", 409, "it is in use"),
        ("/broken", 500, "internal error; argosyd's log has the details"),
        ("/none", 404, "page not found: GET /none"),
        ("/v1.51/good", 400, "client version 1.51 is too new. Maximum supported API version is 1.50"),
        ("/v1.23/good", 400, "client version 1.23 is too old. Minimum supported API version is 1.24"),
    ],
)
async def test_errors_come_in_dockers_form(client: Client, path: str, status: int, message: str) -> None:
    async with client.get(path) as response:
        assert (response.status, await response.json()) == (status, {"message": message})


async def test_every_path_is_served_with_and_without_a_version(client: Client) -> None:
    for path in ("/good", "/v1.24/good", "/v1.50/good"):
        async with client.get(path) as response:
            assert (response.status, await response.json()) == (200, {"size": 0})


async def test_a_body_that_does_not_say_its_size_is_bounded_all_the_same(client: Client) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY // 65536 + 2):
            yield b"x" * 65536
            await asyncio.sleep(0)

    async with client.post("/good", data=endless()) as response:
        assert response.status == 413
        assert (await response.json())["message"] == f"the request body has more than {MAX_BODY} bytes"


def query(text: str) -> web.Request:
    """A request with that query."""
    return make_mocked_request("GET", f"/x?{text}")


def test_filters_come_as_maps_and_as_lists() -> None:
    known = frozenset({"a", "b"})
    assert filters(query('filters={"a":{"x":true,"y":false}}'), known) == {"a": {"x"}}
    assert filters(query('filters={"a":["x"],"b":[]}'), known) == {"a": {"x"}, "b": set()}
    assert filters(query(""), known) == {}


@pytest.mark.parametrize("text", ["filters={", "filters=[]", 'filters={"a":1}', 'filters={"c":["x"]}'])
def test_filters_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="filter"):
        filters(query(text), frozenset({"a"}))


def test_flags_and_numbers_are_read_as_docker_reads_them() -> None:
    assert all(flag(query(f"f={word}"), "f") for word in ("1", "true", "True", "yes", "x"))
    assert not any(flag(query(f"f={word}"), "f") for word in ("", "0", "no", "false", "None"))
    assert (number(query("n=7"), "n", 3), number(query(""), "n", 3)) == (7, 3)
    with pytest.raises(Invalid, match="n: 'x' is not a whole number"):
        number(query("n=x"), "n", 3)


def test_times_are_read_in_both_forms_and_written_in_one() -> None:
    assert moment(query("t=1700000000.5"), "t") == 1700000000.5
    assert moment(query("t=2023-11-14T22:13:20Z"), "t") == 1700000000.0
    assert moment(query(""), "t") == 0.0
    assert timestamp(1700000000.25) == "2023-11-14T22:13:20.250000000Z"
    assert timestamp(1700000000.9999999) == "2023-11-14T22:13:21.000000000Z"
    assert timestamp(0) == "0001-01-01T00:00:00Z"


def test_all_labels_asked_for_must_be_there() -> None:
    labels = {"a": "1", "b": ""}
    assert label_match(labels, set())
    assert label_match(labels, {"a", "b="})
    assert not label_match(labels, {"a=2"})
    assert not label_match(labels, {"a", "c"})


@pytest.mark.parametrize(
    ("error", "is_told"),
    [
        (ClientConnectionResetError("gone"), False),
        (BadHttpMessage("x"), False),
        (Invalid("broken"), False),
        (RuntimeError("ours"), True),
    ],
)
def test_what_a_client_did_is_no_traceback(error: Exception, is_told: bool) -> None:
    """The server sends "100 Continue" by itself: a client may have disconnected by then (found by the fuzz tests)."""
    logger = _http_log()
    lines: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = lines.append  # type: ignore[method-assign]
    logger.addHandler(handler)
    try:
        logger.error("Error handling request from %s", "10.0.0.1", exc_info=error)
    finally:
        logger.removeHandler(handler)

    assert [bool(line.exc_info) for line in lines] == ([True] if is_told else [])


BIG = b"10000\r\n" + b"a" * 65536 + b"\r\n" + (b"400\r\n" + b"b" * 1024 + b"\r\n") * 400
"""A body in chunks, more than the server reads ahead."""
HEAD = b"POST /good HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_a_body_that_stops_is_given_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_PAUSE", 0.2)
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(HEAD + BIG)

    assert b" 408 " in await asyncio.wait_for(reader.readline(), 30)
    writer.close()


@pytest.mark.parametrize("end", [b"zz\r\n", b"-1\r\n\r\n", b"ffffffffffffffffff\r\n"])
@pytest.mark.parametrize("body", [b"", BIG], ids=["small", "big"])
async def test_broken_chunks_are_answered_at_once(tmp_path: Path, body: bytes, end: bytes) -> None:
    async def good(request: web.Request) -> web.Response:
        return answer({"size": len(await raw_body(request))})

    runner = runner_of(make_app([web.post("/good", good)]))
    await runner.setup()
    try:
        await GuardedSite(runner, unix_listener(str(tmp_path / "s")), LOCAL).start()
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(HEAD + body + end)

        assert b" 400 " in await asyncio.wait_for(reader.readline(), http.BODY_PAUSE / 2)
        writer.close()
    finally:
        await runner.cleanup()
