"""GET /containers/{id}/stats and /top: what a container uses and what runs in it."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
from aiohttp import web
from msgspec import UNSET
from msgspec.structs import replace

from agent.http.containers.container_handlers import find
from agent.http.host_context import HostContext
from agent.http.response_streams import send
from agent.runtime.containers import cgroup_usage
from agent.runtime.containers.cgroup_usage import Transfer, Usage
from agent.runtime.interface import Container
from api.engine.common import timestamp
from api.engine.container_stats import (
    BlockOperation,
    BlockStats,
    CpuStats,
    CpuUsage,
    MemoryStats,
    NetworkStats,
    PidsStats,
    StatsAnswer,
    ThrottlingData,
)
from api.engine.containers import TopAnswer
from api.errors import Conflict, Invalid, NotFound, Unavailable
from api.http.app import answer
from api.http.query import flag
from kit import process

_LONGEST = 10.0
"""Seconds that `ps` may take."""
PERIOD = 1.0
"""Seconds between two readings."""


async def stats(request: web.Request, context: HostContext) -> web.StreamResponse:
    """GET /containers/{id}/stats?stream=&one-shot=."""
    container = await find(request, context)
    streaming = "stream" not in request.query or flag(request, "stream")
    once = flag(request, "one-shot") and not streaming

    async def lines() -> AsyncIterator[bytes]:
        before = reading(container, context)
        if not once and before.cpu_stats.cpu_usage:
            await asyncio.sleep(PERIOD)
        while True:
            now = reading(await _again(container, context), context, None if once else before)
            yield msgspec.json.encode(now) + b"\n"
            if not streaming:
                return
            before = now
            await asyncio.sleep(PERIOD)

    return await send(request, lines(), "application/json")


async def top(request: web.Request, context: HostContext) -> web.StreamResponse:
    """GET /containers/{id}/top?ps_args=: what `ps` says of the processes in it."""
    container = await find(request, context)
    if not container.pid:
        raise Conflict(f"container {container.name} is not running")
    try:
        arguments = shlex.split(request.query.get("ps_args", "")) or ["-ef"]
    except ValueError as error:
        raise Invalid(f"ps_args: {error}") from None
    try:
        said = await process.run("ps", *arguments, timeout=_LONGEST)
        inside = cgroup_usage.Cgroups(container.pid).processes()
    except TimeoutError:
        raise Unavailable(f"`ps` did not end within {_LONGEST:g} s: a process hangs in the kernel") from None
    except FileNotFoundError:
        raise Unavailable("`ps` is not installed on this host; install the package procps") from None
    if not said.ok:
        raise Invalid(f"ps {shlex.join(arguments)}: {said.complaint}")
    return answer(table(said.stdout.decode(errors="replace"), inside))


def table(text: str, inside: set[int]) -> TopAnswer:
    """The rows of ps's output about these processes. Raises Invalid when it names no PID column."""
    head, *rows = [line.split() for line in text.splitlines() if line.strip()] or [[]]
    if "PID" not in head:
        raise Invalid("ps_args: the output of ps has no PID column; leave it in")
    place = head.index("PID")
    kept = [row for row in rows if row[place : place + 1] and row[place].isdigit() and int(row[place]) in inside]
    return TopAnswer(titles=head, processes=[_fitted(row, len(head)) for row in kept])


def _fitted(row: list[str], width: int) -> list[str]:
    """What is beyond the last column belongs to it: the command."""
    return [*row[: width - 1], " ".join(row[width - 1 :])]


def reading(container: Container, context: HostContext, before: StatsAnswer | None = None) -> StatsAnswer:
    """Docker's stats of a container now; `before` is the reading to compare with."""
    found = StatsAnswer(
        id=container.id,
        name=f"/{container.name}",
        read=timestamp(context.clock()),
        preread=before.read if before else timestamp(0),
        precpu_stats=before.cpu_stats if before else CpuStats(),
    )
    try:
        return (
            shown(found, cgroup_usage.read(container.pid), Path("/proc/stat").read_text()) if container.pid else found
        )
    except OSError:  # it has ended
        return found


def shown(found: StatsAnswer, used: Usage, stat: str) -> StatsAnswer:
    """The reading with what is used filled in; `stat` is /proc/stat."""
    host, processors = cgroup_usage.host_cpu(stat, os.sysconf("SC_CLK_TCK"))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return replace(
        found,
        pids_stats=PidsStats(used.processes, used.processes_limit or UNSET),
        blkio_stats=BlockStats([BlockOperation(*block) for block in used.blocks]),
        cpu_stats=CpuStats(
            cpu_usage=CpuUsage(used.cpu, used.cpu_user, used.cpu_system),
            system_cpu_usage=host,
            online_cpus=processors,
            throttling_data=ThrottlingData(*used.throttled),
        ),
        memory_stats=MemoryStats(used.memory, used.memory_stats, used.memory_limit or memory),
        networks={name: _network(counters) for name, counters in used.networks.items()},
    )


def _network(counters: Transfer) -> NetworkStats:
    return NetworkStats(
        rx_bytes=counters.received,
        rx_packets=counters.packets_received,
        rx_errors=counters.errors_received,
        rx_dropped=counters.dropped_received,
        tx_bytes=counters.sent,
        tx_packets=counters.packets_sent,
        tx_errors=counters.errors_sent,
        tx_dropped=counters.dropped_sent,
    )


async def _again(container: Container, context: HostContext) -> Container:
    """The container as it is now. Raises NotFound when it is gone."""
    for found in await context.runtime.containers():
        if found.id == container.id:
            return found
    raise NotFound(f"No such container: {container.id}")
