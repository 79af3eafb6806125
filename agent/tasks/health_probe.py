"""Runs a container's health check at the times health.py says, and tells every change of its health."""

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
    tell: Callable[[Health], None],
) -> NoReturn:
    """Probe container `id`, which started at `started` and stands at `health`, until cancelled."""
    while True:
        await asyncio.sleep(delay(check, health, started, clock()))
        health = after(check, health, started, await _probe(runtime, id, check, clock))
        tell(health)


async def _probe(runtime: Runtime, id: str, check: Check, clock: Clock) -> Probe:
    start = clock()
    try:
        output = await runtime.exec(id, check.command, check.timeout)
    except TimeoutError:
        return Probe(start, clock(), -1, f"health check exceeded its timeout ({check.timeout:g} s)")
    except (ArgosyError, OSError) as error:
        return Probe(start, clock(), -1, str(error))
    return Probe(start, clock(), output.code, output.text[-MAX_OUTPUT:].decode(errors="replace"))
