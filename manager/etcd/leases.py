"""Leases in etcd. All are refreshed over one stream, so that a thousand agents do not need a thousand streams."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from aetcd import rpc

from api.codec import Value
from api.errors import Unavailable
from api.objects.kinds import Kind
from kit.supervisor import run_cancellable
from manager.etcd.etcd_client import EtcdConnection, EtcdError, EtcdStream
from manager.store.interface import ANY, LeaseEnded, Put

REFRESH_TIMEOUT = 1.0
"""Seconds until another endpoint is tried; short enough that the lease does not expire meanwhile."""
Write = Callable[[Put, int], Awaitable[int]]
"""Writes one key under a lease's id and returns the revision."""


class KeepAlives:
    """The stream of lease refreshes. etcd answers the requests of one lease in their order."""

    def __init__(self, connection: EtcdConnection) -> None:
        self._connection = connection
        self._waiting: dict[int, deque[asyncio.Future[int]]] = defaultdict(deque)
        self._unsent: list[tuple[int, asyncio.Future[int]]] = []
        self._asked = asyncio.Event()
        self._stream: EtcdStream | None = None

    async def refresh(self, lease_id: int) -> None:
        """Restart the time of a lease. Raises LeaseEnded or Unavailable."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._unsent.append((lease_id, answer))
        self._asked.set()
        try:
            async with asyncio.timeout(REFRESH_TIMEOUT):
                ttl = await answer
        except TimeoutError:
            if self._stream is not None:
                self._stream.give_up()
            raise Unavailable("etcd does not answer") from None
        if ttl <= 0:
            raise LeaseEnded("the lease has ended")

    async def run(self) -> None:
        """Send the refreshes, over a new stream after each failure; never returns."""
        while True:
            await self._asked.wait()
            try:
                self._stream = self._connection.stream("lease", "LeaseKeepAlive")
                await run_cancellable(self._carry(self._stream))
            except (Unavailable, EtcdError) as error:
                self._fail(Unavailable(str(error)))

    async def _carry(self, stream: EtcdStream) -> NoReturn:
        complaint = ""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(stream))
                group.create_task(self._write(stream))
        except* (Unavailable, EtcdError) as errors:
            # Raised below: Python before 3.11.4 wraps what is raised in here into a group.
            complaint = str(errors.exceptions[0])
        finally:
            stream.cancel()
        raise Unavailable(complaint)

    async def _write(self, stream: EtcdStream) -> None:
        while True:
            await self._asked.wait()
            if stream.ended:
                raise Unavailable("etcd does not answer")  # the next stream sends the requests
            self._asked.clear()
            unsent, self._unsent = self._unsent, []
            for lease_id, answer in unsent:
                self._waiting[lease_id].append(answer)
            for lease_id, _ in unsent:
                await stream.write(rpc.LeaseKeepAliveRequest(ID=lease_id))

    async def _read(self, stream: EtcdStream) -> None:
        while True:
            answer = await stream.read()
            if queue := self._waiting.get(answer.ID):
                _settle(queue.popleft(), answer.TTL)
                if not queue:
                    del self._waiting[answer.ID]

    def _fail(self, error: Exception) -> None:
        """Fail the requests that were sent; those not sent yet go over the next stream."""
        waiting, self._waiting = self._waiting, defaultdict(deque)
        for queue in waiting.values():
            for answer in queue:
                if not answer.done():
                    answer.set_exception(error)


class EtcdLease:
    """A lease granted by etcd."""

    def __init__(self, connection: EtcdConnection, keep_alives: KeepAlives, write: Write, lease_id: int) -> None:
        self._connection, self._keep_alives, self._write, self.id = connection, keep_alives, write, lease_id

    async def put(self, kind: Kind[Any], id: str, value: Value, expected: int = ANY) -> int:
        """Write a key that lives as long as the lease. Raises Stale, LeaseEnded or Unavailable."""
        return await self._write(Put(kind, id, value, expected), self.id)

    async def refresh(self) -> None:
        """Restart the time of the lease. Raises LeaseEnded or Unavailable."""
        await self._keep_alives.refresh(self.id)

    async def end(self) -> None:
        """Revoke the lease, which deletes its keys; nothing happens when it has already ended."""
        try:
            await self._connection.ask("lease", "LeaseRevoke", rpc.LeaseRevokeRequest(ID=self.id))
        except EtcdError as error:
            if "lease not found" not in error.details:
                raise


async def grant(connection: EtcdConnection, ttl: float) -> int:
    """Returns the id of a new lease of `ttl` seconds, rounded up to whole seconds."""
    answer = await connection.ask("lease", "LeaseGrant", rpc.LeaseGrantRequest(TTL=math.ceil(ttl)))
    return int(answer.ID)


def _settle(answer: asyncio.Future[int], ttl: int) -> None:
    if not answer.done():
        answer.set_result(ttl)
