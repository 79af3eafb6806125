"""The health probe: runs a container's check at the times that agent/lifecycle/health.py computes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NoReturn

from agent.lifecycle.health import MAX_OUTPUT, Check, Health, Probe, after, delay
from agent.runtime.interface import Runtime
from api.errors import ArgosyError
from kit.timing import Clock


async def probe_forever(
    runtime: Runtime,
    id: str,
    check: Check,
    health: Health,
    started: float,
    clock: Clock,
    report: Callable[[Health], None],
) -> NoReturn:
    """Probe container `id` until cancelled; call `report` with its health after each probe.

    `started` is the container's start time, `health` its health so far.
    """
    while True:
        await asyncio.sleep(delay(check, health, started, clock()))
        health = after(check, health, started, await _probe(runtime, id, check, clock))
        report(health)


async def _probe(runtime: Runtime, id: str, check: Check, clock: Clock) -> Probe:
    start = clock()
    try:
        output = await runtime.exec(id, check.command, check.timeout)
    except TimeoutError:
        return Probe(start, clock(), -1, f"health check exceeded its timeout ({check.timeout:g} s)")
    except (ArgosyError, OSError) as error:
        return Probe(start, clock(), -1, str(error))
    return Probe(start, clock(), output.code, output.text[-MAX_OUTPUT:].decode(errors="replace"))
