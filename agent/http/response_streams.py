"""Answers that go on for a while: JSON progress, raw bytes; they end when the client goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing

import msgspec
from aiohttp import web

from api.engine.images import ProgressAnswer, ProgressError
from api.errors import ArgosyError
from kit.streams import closable

_LOOK = 0.5
"""Seconds between looks whether the client is still there."""


class Gone(Exception):
    """The client has closed the connection."""


async def send(
    request: web.Request, chunks: AsyncIterator[bytes], content_type: str, headers: Mapping[str, str] | None = None
) -> web.StreamResponse:
    """Answer with a stream. An error before the first byte is an ordinary error answer; later it cuts the stream."""
    response = web.StreamResponse(headers={"Content-Type": content_type, **(headers or {})})
    async with aclosing(closable(chunks)) as source:
        first = await anext(source, b"")
        await response.prepare(request)
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(_watch(request), name="client watch")
                await _pump(response, first, source)
                watch.cancel()
        except* (Gone, ConnectionError):
            pass  # nobody listens any more
    return response


async def send_progress(request: web.Request, lines: AsyncIterator[ProgressAnswer]) -> web.StreamResponse:
    """JSON lines; an error, also the first, stands in the stream, where Docker's clients look for it."""

    async def encoded() -> AsyncIterator[bytes]:
        try:
            async for line in lines:
                yield msgspec.json.encode(line) + b"\r\n"
        except ArgosyError as error:
            problem = ProgressAnswer(error_detail=ProgressError(str(error)), error=str(error))
            yield msgspec.json.encode(problem) + b"\r\n"

    return await send(request, encoded(), "application/json")


async def _pump(response: web.StreamResponse, first: bytes, source: AsyncIterator[bytes]) -> None:
    if first:
        await response.write(first)
    async for chunk in source:
        await response.write(chunk)
    await response.write_eof()


async def _watch(request: web.Request) -> None:
    while request.transport and not request.transport.is_closing():  # noqa: ASYNC110 - aiohttp has no event for it
        await asyncio.sleep(_LOOK)
    raise Gone
