"""GET /services/{id}/logs and /tasks/{id}/logs: the output of containers on many hosts as one stream.

One reader per task fills a bounded queue; one writer frames the lines, so a slow client slows the readers down.
While following, tasks that start later are added. A host that cannot be reached is reported on the stderr stream, and
the logs of other hosts go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass

from aiohttp import web

from api.engine.common import timestamp
from api.errors import ArgosyError, Invalid, NotFound
from api.http.query import flag, moment, tail
from api.objects.decided import Task
from api.states import TaskState
from api.wire.host_messages import LogLine, LogsRequest
from kit.stdcopy import frame
from kit.supervisor import stop
from manager.http.cluster_context import ClusterContext
from manager.store.lookup import find_service, find_task
from manager.store.state import State

MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
RAW = "application/vnd.docker.raw-stream"
QUEUE = 32
"""Batches of lines between the readers and the client; a batch is some hundred KiB at most."""
LOOK_UP = 1.0
"""Seconds between checks whether the client is still connected."""


@dataclass(frozen=True, slots=True)
class LogOptions:
    """The query of a request for logs."""

    stdout: bool
    stderr: bool
    follow: bool
    since: float
    tail: int
    timestamps: bool
    details: bool

    def request(self, task_id: str) -> LogsRequest:
        """The request to one task's host."""
        return LogsRequest(task_id, self.follow, self.since, self.tail, self.stdout, self.stderr)


@dataclass(frozen=True, slots=True)
class LogOrigin:
    """The task that a line is from: the docker client needs all three ids to name it."""

    node_id: str
    service_id: str
    task_id: str

    def details(self) -> str:
        """As `details=1` puts it before each line."""
        return (
            f"com.docker.swarm.node.id={self.node_id},com.docker.swarm.service.id={self.service_id},"
            f"com.docker.swarm.task.id={self.task_id}"
        )


class LogHandlers:
    """Handlers of the logs of services and tasks."""

    def __init__(self, get: Callable[[], ClusterContext]) -> None:
        self._get = get

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [
            web.get("/services/{id}/logs", self.of_service),
            web.get("/tasks/{id}/logs", self.of_task),
        ]

    async def of_service(self, request: web.Request) -> web.StreamResponse:
        """GET /services/{id}/logs."""
        ctx = self._get()
        options = options_of(request)
        service = find_service(ctx.store.state, request.match_info["id"])
        tty = service.spec.task_template.container_spec.tty
        merged = MergedLogs(ctx, options, service.id, lambda state: list(state.tasks_of(service.id).values()))
        return await send(request, merged, options, tty)

    async def of_task(self, request: web.Request) -> web.StreamResponse:
        """GET /tasks/{id}/logs."""
        ctx = self._get()
        options = options_of(request)
        task = find_task(ctx.store.state, request.match_info["id"])
        spec = ctx.store.state.task_spec(task)
        merged = MergedLogs(ctx, options, task.service_id, lambda state: [t for t in [state.tasks.get(task.id)] if t])
        return await send(request, merged, options, bool(spec and spec.container_spec.tty))


def options_of(request: web.Request) -> LogOptions:
    """The options in the query. Raises Invalid."""
    options = LogOptions(
        stdout=flag(request, "stdout"),
        stderr=flag(request, "stderr"),
        follow=flag(request, "follow"),
        since=moment(request, "since"),
        tail=tail(request),
        timestamps=flag(request, "timestamps"),
        details=flag(request, "details"),
    )
    if not (options.stdout or options.stderr):
        raise Invalid("Bad parameters: you must choose at least one stream (stdout=1, stderr=1)")
    return options


class MergedLogs:
    """The lines of a set of tasks, in the order they arrive."""

    def __init__(
        self, ctx: ClusterContext, options: LogOptions, service_id: str, tasks: Callable[[State], list[Task]]
    ) -> None:
        self._ctx = ctx
        self._options = options
        self._service_id = service_id
        self._tasks = tasks
        self._queue: asyncio.Queue[tuple[LogOrigin, list[LogLine]] | None] = asyncio.Queue(QUEUE)

    async def batches(self, pause: float) -> AsyncGenerator[tuple[LogOrigin, list[LogLine]] | None, None]:
        """Batches of lines with their origin; None when `pause` seconds passed without any. Ends with the last log."""
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self._read_all(), name=f"logs of {self._service_id}")
            try:
                while True:
                    try:
                        item = await asyncio.wait_for(self._queue.get(), pause)
                    except TimeoutError:
                        yield None
                        continue
                    if item is None:
                        break
                    yield item
            finally:
                await stop([reading])

    async def _read_all(self) -> None:
        dirty = self._ctx.store.track()
        try:
            async with asyncio.TaskGroup() as group:
                known: set[str] = set()
                while True:
                    self._start_new(group, known)
                    if not self._options.follow or self._service_id not in self._ctx.store.state.services:
                        break
                    dirty.take()
                    while self._service_id not in dirty.services:
                        dirty.take()
                        await self._ctx.store.wait_newer(self._ctx.store.state.revision)
            await self._queue.put(None)
        finally:
            self._ctx.store.untrack(dirty)

    def _start_new(self, group: asyncio.TaskGroup, known: set[str]) -> None:
        state = self._ctx.store.state
        for task in self._tasks(state):
            if task.id not in known and has_container(state, task):
                known.add(task.id)
                group.create_task(self._read(task), name=f"log of {task.id}")

    async def _read(self, task: Task) -> None:
        origin = LogOrigin(task.node_id, task.service_id, task.id)
        try:
            async for batch in self._ctx.hosts.logs(task.node_id, self._options.request(task.id)):
                await self._queue.put((origin, batch))
        except NotFound:
            pass  # the container was removed already, or never made
        except ArgosyError as error:
            if self._options.stderr:
                note = f"the log of task {task.id} cannot be read now: {error}\n"
                await self._queue.put((origin, [LogLine(self._ctx.clock(), "stderr", note.encode())]))


def has_container(state: State, task: Task) -> bool:
    """Whether the task may have a log."""
    status = state.statuses.get(task.id)
    return bool(task.node_id and status and (status.container_id or status.state >= TaskState.STARTING)) and not (
        status is not None and status.state is TaskState.REJECTED and not status.container_id
    )


async def send(request: web.Request, merged: MergedLogs, options: LogOptions, tty: bool) -> web.StreamResponse:
    """Send the lines as the response: framed by stream, or raw for a terminal."""
    response = web.StreamResponse(headers={"Content-Type": RAW if tty else MULTIPLEXED})
    await response.prepare(request)
    # a client that disconnects is no error
    with suppress(ConnectionError):
        async with aclosing(merged.batches(LOOK_UP)) as batches:
            async for item in batches:
                if item is None:
                    if request.transport is None or request.transport.is_closing():
                        break
                    continue
                await response.write(shown(*item, options, tty))
        await response.write_eof()
    return response


def shown(origin: LogOrigin, batch: list[LogLine], options: LogOptions, tty: bool) -> bytes:
    """A batch as bytes for the client: framed by stream, a terminal's output as it is.

    A line without a newline (the last one of a container, a part of a very long one) gets one: the next line may be
    another task's.
    """
    if tty:
        return b"".join(dressed(line, origin, options) for line in batch)
    texts = ((line.stream, dressed(line, origin, options)) for line in batch)
    return b"".join(frame(stream, text if text.endswith(b"\n") else text + b"\n") for stream, text in texts)


def dressed(line: LogLine, origin: LogOrigin, options: LogOptions) -> bytes:
    """The line, with timestamp and details in front if they were asked for."""
    words = []
    if options.timestamps:
        words.append(timestamp(line.time))
    if options.details:
        words.append(origin.details())
    prefix = "".join(f"{word} " for word in words).encode()
    return prefix + line.text
