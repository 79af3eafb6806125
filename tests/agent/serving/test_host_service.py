"""The Host service over real gRPC and mTLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc
import pytest

from agent.runtime.interface import ContainerPlan
from agent.serving.host_service import CHUNK, chunks, handlers
from api.service.service_spec import TaskSpec
from api.wire import rpc
from api.wire.host_messages import (
    EXPORT_METHOD,
    LOGS_METHOD,
    MANAGERS_METHOD,
    ExportRequest,
    LogLine,
    LogLines,
    LogsRequest,
    ManagersNotice,
)
from tests.agent.builders import IMAGE, cid
from tests.agent.callers import Granted, callers
from tests.agent.certificates import TestCA
from tests.fakes import FakeRuntime

CA = TestCA()


@asynccontextmanager
async def calling(
    role: str, granted: Granted | None = None, found: Callable[[ManagersNotice], None] = lambda _: None
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a host with one image and one task, from a node of that role."""
    runtime = FakeRuntime()
    image = runtime.add_image(IMAGE)
    await runtime.create(ContainerPlan(cid(), "web.1.t1", "t1", image, TaskSpec(), {}, "web", ""))
    known = callers(managers=("x1",)) if role == "manager" else callers("x1")
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handlers(runtime, known, granted or Granted(), found),))
    port = server.add_secure_port("127.0.0.1:0", rpc.server_credentials(CA.issue("w1", "worker")))
    await server.start()
    try:
        async with (
            asyncio.timeout(30),
            rpc.channel(f"127.0.0.1:{port}", CA.issue("x1", role), name="w1") as channel,
        ):
            yield channel
    finally:
        await server.stop(0)


async def test_a_manager_reads_logs_by_task() -> None:
    async with calling("manager") as channel:
        call = rpc.unary_stream(channel, LOGS_METHOD, LogLines)(LogsRequest("t1"))

        assert [line async for batch in call for line in batch.lines] == [LogLine(1.0, "stdout", b"hello\n")]


async def test_a_worker_may_not_read_logs() -> None:
    async with calling("worker") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.unary_stream(channel, LOGS_METHOD, LogLines)(LogsRequest("t1")).read()

    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_manager_says_where_managers_are_and_nobody_else() -> None:
    told: list[ManagersNotice] = []
    notice = ManagersNotice(["192.0.2.9:7946"], ["192.0.2.9:2377"])
    async with calling("manager", found=told.append) as channel:
        assert [part async for part in rpc.unary_stream(channel, MANAGERS_METHOD, bytes)(notice)] == []
    assert told == [notice]

    async with calling("worker", found=told.append) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.unary_stream(channel, MANAGERS_METHOD, bytes)(notice).read()
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert told == [notice]


async def test_an_error_has_its_code_and_sentence() -> None:
    async with calling("manager") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.unary_stream(channel, LOGS_METHOD, LogLines)(LogsRequest("t9")).read()

    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == f"no such container: {cid('t9')}"


@pytest.mark.parametrize(("role", "nodes"), [("worker", ["x1"]), ("manager", [])])
async def test_a_manager_gets_an_image_and_a_node_of_which_a_manager_says_so(role: str, nodes: list[str]) -> None:
    granted = Granted(*nodes)
    async with calling(role, granted) as channel:
        call = rpc.unary_stream(channel, EXPORT_METHOD, bytes)(ExportRequest(f"sha256:{IMAGE}"))
        pieces = [len(piece) async for piece in call]

    assert pieces == [CHUNK, CHUNK, 3 * 700_000 - 2 * CHUNK]
    assert granted.asked == [("x1", f"sha256:{IMAGE}") for _ in nodes]


async def test_a_node_without_a_task_for_it_gets_no_image() -> None:
    async with calling("worker") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.unary_stream(channel, EXPORT_METHOD, bytes)(ExportRequest(f"sha256:{IMAGE}")).read()

    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert caught.value.details() == "node x1 has no task that needs it"


async def test_chunks_are_cut_and_joined() -> None:
    async def source() -> AsyncIterator[bytes]:
        for piece in (b"", b"abcdefg", b"h", b"ij"):
            yield piece

    assert [piece async for piece in chunks(source(), 4)] == [b"abcd", b"efgh", b"ij"]


@pytest.mark.parametrize("method", [LOGS_METHOD, EXPORT_METHOD])
@pytest.mark.parametrize(
    "junk",
    [b"", b"\xff", b"[" * 100_000, b'{"Reference":1,"TaskID":1}', b"null"],
    ids=["empty", "binary", "deep", "types", "null"],
)
async def test_a_request_that_is_none_is_refused_and_leaves_no_traceback(
    method: str, junk: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with calling("manager") as channel:
        call = channel.unary_stream(method, request_serializer=bytes, response_deserializer=bytes)(junk)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "Traceback" not in caplog.text
