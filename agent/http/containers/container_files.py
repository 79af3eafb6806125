"""`docker cp`: HEAD, GET and PUT /containers/{id}/archive?path=. The copying is done by copy_helper.py."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web

from agent.http.containers.container_handlers import find
from agent.http.host_context import HostContext
from agent.http.response_streams import send
from agent.runtime.containers.copy_helper import MISSING
from agent.runtime.interface import Container
from api.errors import Forbidden, Invalid, NotFound, Unavailable
from api.http.app import upload
from api.http.query import flag

_CHUNK = 256 * 1024
_STANDSTILL = 60.0
"""Seconds without a byte after which copying is given up."""
_REAP = 2.0
_STAT = "X-Docker-Container-Path-Stat"


async def look(request: web.Request, context: HostContext) -> web.StreamResponse:
    """HEAD /containers/{id}/archive: what is there, in a header."""
    container, path = await find(request, context), _path(request)
    copier = await _copier("stat", container, path, context)
    async with _moving(copier, path):
        told, complaint = await copier.communicate()
    _check(copier, path, container, complaint)
    return web.Response(headers={_STAT: base64.b64encode(told.strip()).decode()})


async def take(request: web.Request, context: HostContext) -> web.StreamResponse:
    """GET /containers/{id}/archive: a file or directory as a tar archive."""
    if request.method == "HEAD":
        return await look(request, context)
    container, path = await find(request, context), _path(request)
    copier = await _copier("read", container, path, context)
    assert copier.stdout
    assert copier.stderr
    async with _moving(copier, path):
        told = await copier.stdout.readline()
        if not told:
            _check(copier, path, container, (await copier.communicate())[1])

    async def chunks() -> AsyncIterator[bytes]:
        assert copier.stdout
        try:
            while True:
                async with _moving(copier, path):
                    data = await copier.stdout.read(_CHUNK)
                if not data:
                    return
                yield data
        finally:
            await _end(copier)

    headers = {_STAT: base64.b64encode(told.strip()).decode()}
    return await send(request, chunks(), "application/x-tar", headers)


async def give(request: web.Request, context: HostContext) -> web.StreamResponse:
    """PUT /containers/{id}/archive: extract a tar archive in a directory."""
    container, path = await find(request, context), _path(request)
    if context.runtime.inspect(container.id).spec.container_spec.read_only and not container.pid:
        raise Forbidden(f"the root filesystem of container {container.name} is read-only")
    options = ["owners"] if flag(request, "copyUIDGID") else []
    options += ["no-overwrite"] if flag(request, "noOverwriteDirNonDir") else []
    copier = await _copier("write", container, path, context, *options)
    assert copier.stdin
    try:
        async for data in upload(request, _CHUNK):
            copier.stdin.write(data)
            async with _moving(copier, path):
                await copier.stdin.drain()
    except ConnectionError:
        pass  # it has given up, and says why
    except BaseException:
        await _end(copier)
        raise
    copier.stdin.close()
    async with _moving(copier, path):
        _, complaint = await copier.communicate()
    _check(copier, path, container, complaint)
    return web.Response()


async def _copier(
    verb: str, container: Container, path: str, context: HostContext, *options: str
) -> asyncio.subprocess.Process:
    # A running container's own root has its volumes in it; of an ended one there is the root file system.
    stopped = Path(context.data_root, "containers", container.id, "rootfs")
    root = f"/proc/{container.pid}/root" if container.pid else str(stopped)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent.runtime.containers.copy_helper", verb, root, path, *options),
        stdin=subprocess.PIPE if verb == "write" else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@asynccontextmanager
async def _moving(copier: asyncio.subprocess.Process, path: str) -> AsyncIterator[None]:
    """For one step of a copier. Raises Unavailable when it stands still: what it copies is not its own to trust."""
    try:
        async with asyncio.timeout(_STANDSTILL):
            yield
    except TimeoutError:
        await _end(copier)
        raise Unavailable(f"{path}: copying stands still for {_STANDSTILL:g} s and is given up") from None
    except asyncio.CancelledError:
        await _end(copier)
        raise


async def _end(copier: asyncio.subprocess.Process) -> None:
    """Kill it, if it has not ended; one that hangs in the kernel is left behind."""
    if copier.returncode is None:
        copier.kill()
    with suppress(TimeoutError):
        async with asyncio.timeout(_REAP):
            await copier.wait()


def _path(request: web.Request) -> str:
    if not (path := request.query.get("path", "")):
        raise Invalid("path: say which file or directory of the container")
    return path


def _check(copier: asyncio.subprocess.Process, path: str, container: Container, complaint: bytes) -> None:
    """Raise NotFound or Invalid for what did not work."""
    if copier.returncode == MISSING:
        raise NotFound(f"Could not find the file {path} in container {container.name}")
    if copier.returncode:
        words = complaint.decode(errors="replace").strip().splitlines() or ["the copying failed"]
        raise Invalid(f"{path} in container {container.name}: {words[-1]}")
