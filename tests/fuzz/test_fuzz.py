"""Every route under thousands of requests: no 500, no traceback, no late answer, no memory that stays away.

`ARGOSY_FUZZ=100000` makes it a long run, `ARGOSY_FUZZ_FIRST=N` begins with another seed. What fails is told with its
seed and its bytes.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.client import Answer, send
from tests.fuzz.host import Target, target
from tests.fuzz.requests import Request, Requests, query_names

pytestmark = pytest.mark.root
COUNT = int(os.environ.get("ARGOSY_FUZZ", "3000"))
FIRST = int(os.environ.get("ARGOSY_FUZZ_FIRST", "0"))
PATIENCE = 5.0
"""Seconds until an answer's first line."""
AT_ONCE = 8
MOST_FAULTS = 50
"""After so many it ends."""
TELL_EVERY = 5000
"""Requests after which a long run says how far it is."""
CLEAR_EVERY = 500
"""Requests after which what they made is taken away."""


def test_the_parameters_are_found_in_the_sources() -> None:
    assert {"filters", "version", "tail", "signal", "path", "t", "since", "h", "names", "ps_args"} <= set(query_names())


async def test_no_request_does_harm() -> None:
    async with target() as served:
        run = Run(served)
        warm = min(max(COUNT // 4, 500), 5000)
        await run.all(range(FIRST, FIRST + warm))
        before = await _memory(served)
        await run.all(range(FIRST + warm, FIRST + COUNT))
        after = await _memory(served)
        print(f"{COUNT} requests from seed {FIRST}: {run}, {before} → {after} KiB")
        assert run.faults == [], f"{len(run.faults)} faults\n\n" + "\n\n".join(run.faults[:20])
        assert after <= before * 1.1, f"memory: {before} KiB before, {after} KiB after"
        # it still works
        assert (await send(served.socket, b"GET /services HTTP/1.1\r\nHost: d\r\n\r\n", PATIENCE)).status == 200


class Run:
    """Requests by seed, and what came of them."""

    def __init__(self, served: Target) -> None:
        self._served = served
        self._requests = Requests(served.routes, served.known())
        self._statuses: Counter[int] = Counter()
        self._slowest = 0.0
        self.faults: list[str] = []

    def __str__(self) -> str:
        return f"{dict(sorted(self._statuses.items()))}, slowest {self._slowest:.2f} s"

    async def all(self, seeds: range) -> None:
        """Some at a time; what they made is taken away now and then."""
        for first in range(seeds.start, seeds.stop, CLEAR_EVERY):
            left = iter(range(first, min(first + CLEAR_EVERY, seeds.stop)))
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(self._some(left))
            await self._served.clear()
            if (first - FIRST) % TELL_EVERY == 0:
                print(
                    f"up to seed {min(first + CLEAR_EVERY, seeds.stop)}: {self}, {len(self.faults)} faults", flush=True
                )
            if len(self.faults) > MOST_FAULTS:
                return

    async def _some(self, seeds: Iterator[int]) -> None:
        for seed in seeds:
            request = self._requests.of(seed)
            try:
                answer = await send(self._served.socket, request.sent, PATIENCE)
            except TimeoutError:
                self._fault(f"no answer within {PATIENCE} s\n{request}")
                continue
            self._look(request, answer)

    def _look(self, request: Request, answer: Answer) -> None:
        self._statuses[answer.status] += 1
        self._slowest = max(self._slowest, answer.seconds)
        told, self._served.faults[:] = list(self._served.faults), []
        if told:
            self._fault("\n".join([f"a complaint in the log at\n{request}", *told]))
        elif answer.status == 500 or b"Traceback" in answer.text:
            self._fault(f"{answer.text[:1000]!r}\n{request}")

    def _fault(self, text: str) -> None:
        print(text, flush=True)
        self.faults.append(text)


async def _memory(served: Target) -> int:
    """KiB in use, once everything that requests made is gone."""
    await served.clear()
    await asyncio.sleep(1.0)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4
