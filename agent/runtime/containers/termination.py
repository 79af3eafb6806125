"""How containers end: waiting for it, signals, stopping with a grace period, and killing."""

from __future__ import annotations

import asyncio
import signal as signals_

from agent.runtime.containers import container_record, signal_delivery, signals
from agent.runtime.containers.container_record import Record
from agent.runtime.containers.container_store import ContainerStore
from agent.runtime.interface import Exit
from kit import process

_KILL_WAIT, _MOST_KILLS = 10.0, 6
"""Seconds to wait for the end after a SIGKILL, and how many are sent."""
_REAPED = 0.05
"""Seconds until a zombie of ours is looked at again."""


class Termination:
    """Ends the containers of a store, and waits for their ends."""

    def __init__(self, store: ContainerStore) -> None:
        self._store = store

    async def wait(self, id: str) -> Exit:
        """Until it has ended; at once if it has. Raises NotFound."""
        while True:
            record = self._store.settled(id)
            if record.ended:
                return Exit(record.ended.code, record.ended.oom, record.ended.time)
            if container_record.lives(record.conmon, record.conmon_born):
                await process.wait_pid(record.conmon)
            elif container_record.lives(record.pid, record.pid_born):
                await process.wait_pid(record.pid)
            else:
                await asyncio.sleep(_REAPED)

    async def stop(self, id: str, signal: str, grace: float) -> None:
        """Signal it ("" for SIGTERM), and kill it after `grace` seconds. Returns once it has ended.

        Raises NotFound, and RuntimeFailure for a signal that does not exist.
        """
        number = signals.number(signal)
        record = self._store.settled(id)
        if not record.ended and record.started:
            is_caught = signal_delivery.catches(record.pid, number)
            self._send(record, number)
            again = None if is_caught else asyncio.ensure_future(signal_delivery.again(record, number))
            try:
                async with asyncio.timeout(grace):
                    await self.wait(id)
            except TimeoutError:
                pass
            finally:
                if again:
                    again.cancel()
        await self.kill(id)
        if not record.ended:
            self._store.publish(self._store.get(id), "stop")

    def signal(self, id: str, signal: str) -> None:
        """Send a running container's first process a signal ("" for SIGKILL).

        Raises NotFound, Conflict when it does not run, and RuntimeFailure for a signal that does not exist.
        """
        number = signals.number(signal or "KILL")
        self._send(self._store.running(id), number)

    async def kill(self, id: str) -> None:
        """Kill it and wait for its end; given up after a minute when it hangs in the kernel. Raises NotFound."""
        for _ in range(_MOST_KILLS):
            if (record := self._store.settled(id)).ended:
                return
            self._send(record, signals_.SIGKILL)
            try:
                async with asyncio.timeout(_KILL_WAIT):
                    await self.wait(id)
            except TimeoutError:
                if not container_record.lives(record.pid, record.pid_born):
                    return

    def _send(self, record: Record, number: int) -> None:
        if container_record.lives(record.pid, record.pid_born):
            self._store.publish(record, "kill", signal=str(number))
            process.send_signal(record.pid, number)
