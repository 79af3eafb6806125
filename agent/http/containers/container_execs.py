"""`docker exec`: POST /containers/{id}/exec, POST /exec/{id}/start and /resize, GET /exec/{id}/json."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from aiohttp import web

from agent.http.containers.container_handlers import find
from agent.http.hijack import MULTIPLEXED, RAW, console_size, hijacked
from agent.http.host_context import HostContext
from agent.runtime.execs.execs import Exec, ExecConfig
from agent.runtime.interface import RuntimeFailure
from api.engine.execs import ExecAnswer, ExecCreatedAnswer, ExecCreateRequest, ExecStartRequest, ProcessConfig
from api.errors import Invalid
from api.http.app import answer, body
from api.http.query import number
from api.service.host_config import Hook
from kit.stdcopy import frame
from kit.supervisor import stop

_CHUNK = 32 * 1024


async def create(request: web.Request, context: HostContext) -> web.StreamResponse:
    """POST /containers/{id}/exec."""
    container = await find(request, context)
    wanted = await body(request, ExecCreateRequest)
    if not wanted.cmd:
        raise Invalid("Cmd: no exec command specified")
    rows, columns = console_size(wanted.console_size or [])
    hook = Hook(
        command=wanted.cmd,
        user=wanted.user,
        privileged=wanted.privileged,
        environment=wanted.env or [],
        working_dir=wanted.working_dir,
    )
    wish = ExecConfig(
        hook,
        tty=wanted.tty,
        stdin=wanted.attach_stdin,
        stdout=wanted.attach_stdout,
        stderr=wanted.attach_stderr,
        rows=rows,
        columns=columns,
        detach_keys=wanted.detach_keys,
    )
    with asked():
        return answer(ExecCreatedAnswer(context.runtime.execs.create(container.id, wish).id), 201)


@contextmanager
def asked() -> Iterator[None]:
    """What cannot be run is the fault of who asks for it: a user who is not there, a directory, a command."""
    try:
        yield
    except RuntimeFailure as error:
        raise Invalid(str(error)) from None


async def start(request: web.Request, context: HostContext) -> web.StreamResponse:
    """POST /exec/{id}/start."""
    wanted = await body(request, ExecStartRequest)
    execs = context.runtime.execs
    exec = execs.get(request.match_info["id"])
    if wanted.detach:
        with asked():
            await execs.start(exec.id, detach=True)
        return web.Response()
    rows, columns = console_size(wanted.console_size or [])
    if exec.wish.tty and rows:
        exec.resize(rows, columns)
    with asked():
        await execs.start(exec.id)
    try:
        async with hijacked(request, RAW if exec.wish.tty else MULTIPLEXED) as (reader, writer):
            await _serve(exec, reader, writer)
    except ConnectionError:
        pass  # nobody listens any more
    finally:
        exec.hang_up()
    return web.Response()  # is never sent: the connection is closed


async def resize(request: web.Request, context: HostContext) -> web.StreamResponse:
    """POST /exec/{id}/resize."""
    exec = context.runtime.execs.get(request.match_info["id"])
    rows, columns = console_size([number(request, "h", 0, most=65535), number(request, "w", 0, most=65535)])
    exec.resize(rows, columns)
    return web.Response()


async def inspect(request: web.Request, context: HostContext) -> web.StreamResponse:
    """GET /exec/{id}/json."""
    return answer(exec_answer(context.runtime.execs.get(request.match_info["id"])))


def exec_answer(exec: Exec) -> ExecAnswer:
    """An exec as the Engine API shows it."""
    wish = exec.wish
    command = wish.hook.command
    return ExecAnswer(
        id=exec.id,
        container_id=exec.container,
        running=exec.running,
        exit_code=exec.code,
        pid=exec.pid,
        detach_keys=wish.detach_keys,
        open_stdin=wish.stdin,
        open_stdout=wish.stdout,
        open_stderr=wish.stderr,
        process_config=ProcessConfig(wish.tty, command[0], command[1:], wish.hook.privileged, wish.hook.user),
    )


async def _serve(exec: Exec, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the command has ended and its output is sent, or the client has gone (ConnectionError)."""
    feed = asyncio.get_running_loop().create_task(_feed(exec, reader), name="exec input")
    try:
        async for stream, data in exec.output():
            writer.write(data if exec.wish.tty else frame(stream, data))
            await writer.drain()
    finally:
        await stop([feed])


async def _feed(exec: Exec, reader: asyncio.StreamReader) -> None:
    """What the client sends, to the command's input, which ends when the client says so."""
    with suppress(ConnectionError):
        while data := await reader.read(_CHUNK):
            await exec.write(data)
    exec.close_input()
