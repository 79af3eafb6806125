"""Transactions: how a commit becomes an etcd transaction, and how concurrent commits share one.

A request to etcd costs far more than the keys in it. While requests are under way, small commits are collected and sent
as one transaction of nested transactions: each has its own comparisons and succeeds or fails independently, as if it
had been sent alone. That is correct only for commits on different keys, so commits on the same key are sent one after
another. Large commits and those on a lease are sent alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aetcd import rpc

from api.codec import encode
from api.errors import ArgosyError, Unavailable
from api.objects.wanted import Cluster
from kit.supervisor import stop
from manager.etcd.etcd_client import CALL_TIMEOUT, EtcdConnection
from manager.security.sealing import closed
from manager.store.batches import TransactionLimits
from manager.store.interface import ABSENT, ANY, Change, Fence, Fenced, Put, Stale
from manager.store.keys import key_of

LANES = 2
"""Shared transactions under way at the same time: while etcd writes one to disk, the next is sent."""
SMALL = 50
"""Most keys of a commit that may share a transaction."""


@dataclass(frozen=True, slots=True)
class EncodedChange:
    """A change with its key and value as stored in etcd."""

    change: Change
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class _PendingCommit:
    batch: Sequence[EncodedChange]
    fence: Fence | None
    done: asyncio.Future[int]


class TransactionWriter:
    """Sends transactions. `close` fails those that have not been sent."""

    def __init__(self, connection: EtcdConnection, limits: TransactionLimits) -> None:
        self._connection, self._limits = connection, limits
        self._waiting: deque[_PendingCommit] = deque()
        self._lanes: set[asyncio.Task[None]] = set()

    async def write(self, batch: Sequence[EncodedChange], fence: Fence | None = None, lease_id: int = 0) -> int:
        """Returns the revision of the transaction; 0 when it changed nothing, because then the watch brings no event.

        Raises Stale, Fenced, TooLarge, Unavailable or EtcdError.
        """
        if lease_id or len(batch) > SMALL or sum(map(size_of, batch)) > self._limits.size // 8:
            return await self._alone(batch, fence, lease_id)
        loop = asyncio.get_running_loop()
        waiting = _PendingCommit(batch, fence, loop.create_future())
        self._waiting.append(waiting)
        if len(self._lanes) < LANES:  # it starts after all runnable tasks have had their turn
            self._lanes.add(loop.create_task(self._lane(), name="etcd writes"))
        return await waiting.done

    async def close(self) -> None:
        """Fail the waiting commits."""
        await stop(self._lanes)
        while self._waiting:
            _fail(self._waiting.popleft(), Unavailable("the connection to etcd was closed"))

    async def _lane(self) -> None:
        group: list[_PendingCommit] = []
        try:
            while group := self._take():
                await self._send(group)
        finally:
            self._lanes.discard(asyncio.current_task())  # immediately, because the next commit needs a lane
            for waiting in group:
                _fail(waiting, Unavailable("the connection to etcd was closed"))

    def _take(self) -> list[_PendingCommit]:
        """The next commits that may share a transaction, in order of arrival."""
        group: list[_PendingCommit] = []
        keys: set[bytes] = set()
        operations = size = 0
        while self._waiting:
            first = self._waiting[0]
            own = {item.key for item in first.batch}
            operations += len(first.batch) + 1
            size += sum(map(size_of, first.batch))
            if group and (operations > self._limits.operations or size > self._limits.size or not keys.isdisjoint(own)):
                break
            self._waiting.popleft()
            if not first.done.done():  # the caller may have been cancelled
                group.append(first)
                keys |= own
        return group

    async def _send(self, group: Sequence[_PendingCommit]) -> None:
        if len(group) == 1:
            await self._settle(group[0])
            return
        inner = [rpc.RequestOp(request_txn=_request(one.batch, one.fence)) for one in group]
        try:
            answer = await self._connection.call("kv", "Txn", rpc.TxnRequest(success=inner), _timeout(len(group)))
        except Unavailable as error:
            for one in group:
                _fail(one, Unavailable(str(error)))  # each caller gets its own exception object
        except ArgosyError:  # etcd refuses a part of it: send each commit alone
            for one in group:
                await self._settle(one)
        else:
            for one, response in zip(group, answer.responses, strict=True):
                try:
                    _succeed(one, _outcome(one.batch, one.fence, response.response_txn, answer.header.revision))
                except ArgosyError as error:
                    _fail(one, error)

    async def _settle(self, one: _PendingCommit) -> None:
        try:
            _succeed(one, await self._alone(one.batch, one.fence))
        except ArgosyError as error:
            _fail(one, error)

    async def _alone(self, batch: Sequence[EncodedChange], fence: Fence | None, lease_id: int = 0) -> int:
        request = _request(batch, fence, lease_id)
        answer = await self._connection.call("kv", "Txn", request, _timeout(len(batch)))
        return _outcome(batch, fence, answer, answer.header.revision)


def encoded(change: Change) -> EncodedChange:
    """Encode a change, with the cluster's keys sealed. Raises Unavailable when this manager has not opened the keys."""
    value = b""
    if isinstance(change, Put):
        value = encode(closed(change.value) if isinstance(change.value, Cluster) else change.value)
    return EncodedChange(change, key_of(change.kind, change.id), value)


def size_of(item: EncodedChange) -> int:
    """Size of key and value in bytes."""
    return len(item.key) + len(item.value)


def _timeout(operations: int) -> float:
    return CALL_TIMEOUT + operations / 1000  # a slow disk needs more time for a large one


def _succeed(waiting: _PendingCommit, revision: int) -> None:
    if not waiting.done.done():
        waiting.done.set_result(revision)


def _fail(waiting: _PendingCommit, error: ArgosyError) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(error)


# ── the request and its answer ───────────────────────────────────────────────────────────────────────────────────


def _request(batch: Sequence[EncodedChange], fence: Fence | None, lease_id: int = 0) -> Any:
    return rpc.TxnRequest(
        compare=list(_compares(batch, fence)),
        success=[_operation(item, lease_id) for item in batch],
        failure=[_read_fence(fence)] if fence else [],
    )


def _operation(item: EncodedChange, lease_id: int) -> Any:
    if isinstance(item.change, Put):
        return rpc.RequestOp(request_put=rpc.PutRequest(key=item.key, value=item.value, lease=lease_id))
    return rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=item.key))


def _compares(batch: Sequence[EncodedChange], fence: Fence | None) -> Iterator[Any]:
    if fence is not None:
        key = fence.key.encode()
        yield rpc.Compare(target=rpc.Compare.CREATE, result=rpc.Compare.EQUAL, key=key, create_revision=fence.revision)
    for item in batch:
        if (expected := item.change.expected) != ANY:
            yield rpc.Compare(
                target=rpc.Compare.MOD, result=rpc.Compare.EQUAL, key=item.key, mod_revision=expected
            )  # a key that is ABSENT has modification revision 0


def _read_fence(fence: Fence) -> Any:
    return rpc.RequestOp(request_range=rpc.RangeRequest(key=fence.key.encode(), keys_only=True))


def _outcome(batch: Sequence[EncodedChange], fence: Fence | None, answer: Any, revision: int) -> int:
    if not answer.succeeded:
        raise _refusal(batch, fence, answer)
    effective = any(op.HasField("response_put") or op.response_delete_range.deleted for op in answer.responses)
    return int(revision) if effective else 0


def _refusal(batch: Sequence[EncodedChange], fence: Fence | None, answer: Any) -> Stale | Fenced:
    if fence is not None:
        found = answer.responses[0].response_range.kvs
        if not found or found[0].create_revision != fence.revision:
            return Fenced("this manager no longer leads the cluster")
    guarded = [item.change for item in batch if item.change.expected != ANY]
    names = ", ".join(f"{change.kind.name}/{change.id}" for change in guarded[:3])
    if len(guarded) == 1 and guarded[0].expected == ABSENT:
        return Stale(f"{names} exists already")
    return Stale(f"{names}{' or another' if len(guarded) > 3 else ''} has changed since it was read")
