"""What users write, through the HTTP API: writes per second, asked for by a process of its own.

32 requests are under way at any time, each on a connection of its own. Every write is on etcd's disk and in the
manager's state when it is answered. Services have no replicas: measured is the API, and what the leader decides of a
service (its revision, what is in force), not its tasks.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp

from api.objects.kinds import SERVICE
from manager.store.state import State
from tests.bench.report import Row, percentile

NUMBER, AT_ONCE = 2000, 32
THEIRS = 1100.0
"""swarmkit's committed writes per second; its test does not say of what."""
KINDS = {
    "configs created": ("POST", "/configs/create"),
    "services created": ("POST", "/services/create"),
    "services updated": ("POST", "/services/{id}/update?version={version}"),
    "services removed": ("DELETE", "/services/{id}"),
}
Objects = list[tuple[str, int]]
"""Id and version of each."""


async def writes(socket: Path, image: str, state: State) -> list[Row]:
    """All kinds of writes, one kind after the other."""
    loop, context = asyncio.get_running_loop(), multiprocessing.get_context("spawn")
    rows, ids = [], [""] * NUMBER
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        await loop.run_in_executor(pool, len, "")  # the process starts before the clock does
        for what in KINDS:
            cpu = time.process_time()
            objects = [(id, state.version(SERVICE, id)) for id in ids]
            seconds, took, ids = await loop.run_in_executor(pool, _in_client, str(socket), image, what, objects)
            cpu = time.process_time() - cpu
            details = {
                "in flight": AT_ONCE, "p50 ms": round(1000 * percentile(took, 0.5), 1),
                "p99": round(1000 * percentile(took, 0.99), 1), "manager's CPU ms": round(1000 * cpu / NUMBER, 2),
            }  # fmt: skip
            rows.append(Row(f"API: {what}", "all", NUMBER / seconds, "writes/s", THEIRS, details=details))
    return rows


async def call(client: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> Any:
    """One request that succeeds."""
    async with client.request(method, path, json=body) as response:
        text = await response.text()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {text}")
        return json.loads(text) if text else None


# ── the client's process ─────────────────────────────────────────────────────────────────────────────────────────


def _in_client(socket: str, image: str, what: str, objects: Objects) -> tuple[float, list[float], list[str]]:
    return asyncio.run(_measured(socket, image, what, objects))


async def _measured(socket: str, image: str, what: str, objects: Objects) -> tuple[float, list[float], list[str]]:
    """Seconds for all and for each, and the ids."""
    method, path = KINDS[what]
    took: list[float] = []
    ids = [id for id, _ in objects]
    connector = aiohttp.UnixConnector(socket, limit=AT_ONCE)
    async with aiohttp.ClientSession("http://localhost", connector=connector) as client:

        async def lane(first: int) -> None:
            for number in range(first, NUMBER, AT_ONCE):
                id, version = objects[number]
                start = time.perf_counter()
                answer = await call(client, method, path.format(id=id, version=version), _body(what, number, image))
                took.append(time.perf_counter() - start)
                ids[number] = (answer or {}).get("ID", id)

        start = time.perf_counter()
        await asyncio.gather(*(lane(first) for first in range(AT_ONCE)))
        return time.perf_counter() - start, took, ids


def _body(what: str, number: int, image: str) -> dict[str, Any] | None:
    if what == "configs created":
        return {"Name": f"c{number}", "Data": "eA=="}
    if what == "services removed":
        return None
    return {
        "Name": f"s{number}",
        "Labels": {"last": what},
        "TaskTemplate": {"ContainerSpec": {"Image": image}},
        "Mode": {"Replicated": {"Replicas": 0}},
    }
