"""The whole control plane, with agents whose runtime does nothing: how long a large service takes from word to deed.

    python -m tests.bench.control [--quick] [--network] > result.json

One manager as in production (its own etcd member with mTLS, leader, dispatcher, HTTP handlers) in this process; ten
agents (agent.main.Agent over gRPC with mTLS, their journals on disk) in another. Runtime and networks are the fakes of
the tests, whose containers start at once. What is wanted goes through the HTTP API on a unix socket; what came of it
is read from the manager's state. `--network` gives the service an overlay network, so that every host is told of every
endpoint. swarmkit's figures are of 3 managers and its agents in one process.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import sys
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any

import aiohttp

from api.objects.kinds import STATUS, TASK
from api.states import GOING, TaskState
from manager.store.state import Event, State
from tests.bench.plane import AGENTS, IMAGE, Plane, plane, quiet
from tests.bench.report import Row, show
from tests.bench.writes import call, writes

THEIRS = {
    1000: {"assigned": 0.31, "running": 1.6, "update": 6.0, "removal": 2.2},
    5000: {"running": 9.8, "update": 72.0, "removal": 15.0},
}
"""swarmkit's seconds, by replicas."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1,000 replicas only")
    parser.add_argument("--network", action="store_true", help="on an overlay network")
    parser.add_argument("--profile", metavar="FILE", help="write a profile of the manager's process")
    options = parser.parse_args(arguments)
    quiet()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `timeout` is to end it as Ctrl-C does
    sizes = [1000] if options.quick else [1000, 5000]
    if options.profile:
        import cProfile

        profile = cProfile.Profile()
        profile.runcall(asyncio.run, run(sizes, options.network))
        profile.dump_stats(options.profile)
    else:
        asyncio.run(run(sizes, options.network))


async def run(sizes: Sequence[int], network: bool) -> None:
    """Everything, on one cluster."""
    async with plane() as running_plane:
        targets = [await create_network(running_plane.client)] if network else []
        rows: list[Row] = []
        for size in sizes:
            print(f"{size} replicas", file=sys.stderr, flush=True)
            gc.collect()
            rows += await life(running_plane, size, targets)
        rows += await writes(running_plane.socket, IMAGE, running_plane.state)
    show(rows, {"agents": AGENTS, "managers": 1, "network": network})


async def life(on: Plane, size: int, networks: list[str]) -> list[Row]:
    """Create, update and remove a service of so many replicas."""
    state, running, theirs = on.state, on.state.index(Running), THEIRS.get(size, {})
    start, cpu = time.perf_counter(), time.process_time()
    id = (await call(on.client, "POST", "/services/create", spec(size, networks)))["ID"]
    await on.until(lambda: len(state.tasks_in(TaskState.ASSIGNED)) >= size)
    assigned = time.perf_counter() - start
    await on.until(lambda: running.number[1] >= size)
    seconds = {"assigned": assigned, "running": time.perf_counter() - start}
    used = {"running": time.process_time() - cpu}
    for what, work in {"update": update(on, id, size, networks), "removal": remove(on, id)}.items():
        seconds[what], used[what] = await timed(work)
    rows = []
    for what, took in seconds.items():
        details: dict[str, Any] = {"tasks/s": round(size / took)}
        if what in used:
            details["manager's CPU ms per task"] = round(1000 * used[what] / size, 2)
        rows.append(Row(f"{size:,} replicas: {what}", "all", took, "s", theirs.get(what), True, details))
    return rows


async def update(on: Plane, id: str, size: int, networks: list[str]) -> None:
    """Replace all tasks at once; returns when all the new ones run."""
    version = (await call(on.client, "GET", f"/services/{id}"))["Version"]["Index"]
    await call(on.client, "POST", f"/services/{id}/update?version={version}", spec(size, networks, force=1))
    revision, running = on.state.services[id].revision, on.state.index(Running)
    await on.until(lambda: running.number[revision] >= size)


async def remove(on: Plane, id: str) -> None:
    """Until nothing is left of the service."""
    await call(on.client, "DELETE", f"/services/{id}")
    await on.until(lambda: not on.state.tasks and not on.state.statuses)


async def timed(work: Coroutine[Any, Any, None]) -> tuple[float, float]:
    """Seconds it took, and of this process's CPU."""
    start, cpu = time.perf_counter(), time.process_time()
    await work
    return time.perf_counter() - start, time.process_time() - cpu


class Running:
    """How many tasks of each revision number are to run and do; an index of the state, so that asking costs nothing."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._tasks: dict[str, int] = {}
        self.number: Counter[int] = Counter()
        for id in state.tasks:
            self._look(id)

    def follow(self, event: Event) -> None:
        """Keep up with a change of a task or its status."""
        if event.kind in (TASK, STATUS):
            self._look(event.id)

    def _look(self, id: str) -> None:
        if id in self._tasks:
            self.number[self._tasks.pop(id)] -= 1
        task = self._state.tasks.get(id)
        if task is not None and task.desired in GOING and self._state.task_state(task) is TaskState.RUNNING:
            self._tasks[id] = task.revision
            self.number[task.revision] += 1


def spec(replicas: int, networks: list[str], force: int = 0) -> dict[str, Any]:
    """The service."""
    return {
        "Name": "many",
        "TaskTemplate": {
            "ContainerSpec": {"Image": IMAGE},
            "ForceUpdate": force,
            "Networks": [{"Target": id} for id in networks],
        },
        "Mode": {"Replicated": {"Replicas": replicas}},
        "UpdateConfig": {"Parallelism": 0, "Order": "stop-first"},
    }


async def create_network(client: aiohttp.ClientSession) -> str:
    """One that has addresses for all tasks, twice."""
    config = {"Config": [{"Subnet": "10.200.0.0/16"}]}
    body = {"Name": "bench", "Driver": "overlay", "IPAM": config}
    return str((await call(client, "POST", "/networks/create", body))["Id"])


if __name__ == "__main__":
    main()
