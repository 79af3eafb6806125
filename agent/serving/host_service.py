"""The gRPC service Host: task logs for managers, images for hosts with a task that needs them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import structlog

from agent.runtime.interface import Runtime, container_id
from agent.serving.callers import Callers
from agent.serving.image_grants import Grants
from api.errors import ArgosyError
from api.wire import rpc
from api.wire.host_messages import (
    EXPORT_METHOD,
    HOST,
    LOGS_METHOD,
    MANAGERS_METHOD,
    ExportRequest,
    LogLines,
    LogsRequest,
    ManagersNotice,
)

log = structlog.get_logger(__name__)

CHUNK = 1024 * 1024
"""Bytes per message of an image stream."""

CODES: dict[int, grpc.StatusCode] = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
}


def handlers(
    runtime: Runtime, callers: Callers, grants: Grants, found: Callable[[ManagersNotice], None] = lambda _: None
) -> Any:
    """The service's handlers, for `server.add_generic_rpc_handlers((handlers(…),))`.

    `found` is called with the managers' addresses when a manager announces them.
    """

    async def logs(request: LogsRequest, context: Any) -> AsyncIterator[LogLines]:
        async with _errors_as_status(context):
            with await callers.admit(callers.manager, rpc.caller(context)):
                lines = runtime.logs(
                    container_id(request.task_id),
                    follow=request.follow,
                    since=request.since,
                    tail=request.tail,
                    stdout=request.stdout,
                    stderr=request.stderr,
                )
                async with _closed(lines):
                    async for batch in lines:
                        yield LogLines(batch)

    async def export(request: ExportRequest, context: Any) -> AsyncIterator[bytes]:
        async with _errors_as_status(context):
            caller = rpc.caller(context)
            with await callers.admit(callers.member, caller):
                if not callers.is_manager(caller):
                    await grants.check(caller.node_id, request.reference)
                image = runtime.export(request.reference)
                async with _closed(image):
                    async for chunk in chunks(image):
                        yield chunk

    async def managers(notice: ManagersNotice, context: Any) -> AsyncIterator[bytes]:
        async with _errors_as_status(context):
            with await callers.admit(callers.manager, rpc.caller(context)):
                found(notice)
        for part in tuple[bytes, ...]():
            yield part

    return rpc.service(
        HOST,
        {
            _name(MANAGERS_METHOD): rpc.unary_stream_handler(managers, ManagersNotice, bytes),
            _name(LOGS_METHOD): rpc.unary_stream_handler(logs, LogsRequest, LogLines),
            _name(EXPORT_METHOD): rpc.unary_stream_handler(export, ExportRequest, bytes),
        },
    )


async def chunks(source: AsyncIterator[bytes], size: int = CHUNK) -> AsyncIterator[bytes]:
    """The same bytes in chunks of `size`; the last one may be shorter."""
    held = bytearray()
    async for data in source:
        held += data
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    if held:
        yield bytes(held)


@asynccontextmanager
async def _closed(source: AsyncIterator[Any]) -> AsyncIterator[None]:
    """Close a generator as soon as its reader leaves: a followed log holds files open."""
    try:
        yield
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()


@asynccontextmanager
async def _errors_as_status(context: Any) -> AsyncIterator[None]:
    """Answer an ArgosyError as a gRPC status with its message."""
    try:
        yield
    except ArgosyError as error:
        await context.abort(CODES.get(error.status, grpc.StatusCode.INTERNAL), str(error))


def _name(method: str) -> str:
    return method.rpartition("/")[2]
