"""How commits share requests to etcd. Their effect in etcd is tested by the contract of stores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aetcd import rpc

from api.errors import TooLarge, Unavailable
from api.objects.kinds import NODE
from api.objects.wanted import Node
from manager.etcd.transactions import LANES, SMALL, TransactionWriter, encoded
from manager.store.batches import TransactionLimits
from manager.store.interface import Delete, Put


class Etcd:
    """Answers transactions like etcd, when the test lets it; `sent` has the keys of each commit in each request."""

    def __init__(self) -> None:
        self.sent: list[list[list[str]]] = []
        self.open = asyncio.Event()
        self.trouble: Callable[[Any], Exception | None] = lambda _: None

    async def call(self, service: str, method: str, request: Any, timeout: float) -> Any:
        inner = [op.request_txn for op in request.success if op.HasField("request_txn")]
        self.sent.append([_keys(one) for one in inner or [request]])
        header = rpc.ResponseHeader(revision=10 * len(self.sent))
        await self.open.wait()
        if (error := self.trouble(request)) is not None:
            raise error
        if not inner:
            return _answer(request, header)
        return rpc.TxnResponse(
            header=header,
            succeeded=True,
            responses=[rpc.ResponseOp(response_txn=_answer(one, rpc.ResponseHeader())) for one in inner],
        )


def _keys(request: Any) -> list[str]:
    ops = (op.request_put.key or op.request_delete_range.key for op in request.success)
    return [key.decode().rpartition("/")[2] for key in ops]


def _answer(request: Any, header: Any) -> Any:
    """Puts succeed; deleted keys never existed."""
    responses = [
        rpc.ResponseOp(response_put=rpc.PutResponse())
        if op.HasField("request_put")
        else rpc.ResponseOp(response_delete_range=rpc.DeleteRangeResponse())
        for op in request.success
    ]
    return rpc.TxnResponse(header=header, succeeded=True, responses=responses)


def put(*ids: str) -> list[Any]:
    return [encoded(Put(NODE, id, Node(id))) for id in ids]


def commits(writer: TransactionWriter, *batches: list[Any]) -> list[asyncio.Future[int]]:
    return [asyncio.ensure_future(writer.write(batch)) for batch in batches]


DEFAULT_LIMITS = TransactionLimits()


async def busy(limits: TransactionLimits = DEFAULT_LIMITS) -> tuple[Etcd, TransactionWriter, list[asyncio.Future[int]]]:
    """A writer with the maximum number of requests under way."""
    etcd = Etcd()
    writer = TransactionWriter(etcd, limits)  # type: ignore[arg-type]
    under_way = []
    for number in range(LANES):
        under_way += commits(writer, put(f"first{number}"))
        await asyncio.sleep(0.001)
    assert len(etcd.sent) == LANES
    return etcd, writer, under_way


@pytest.mark.looptime
async def test_commits_that_come_while_others_are_under_way_go_together() -> None:
    etcd, writer, under_way = await busy()
    more = commits(writer, *(put(f"n{i}", f"m{i}") for i in range(10)), [encoded(Delete(NODE, "never"))])
    await asyncio.sleep(1)
    assert len(etcd.sent) == LANES
    etcd.open.set()
    results = await asyncio.gather(*under_way, *more)
    assert etcd.sent[LANES:] == [[[f"n{i}", f"m{i}"] for i in range(10)] + [["never"]]]
    assert results == [10, 20, *[30] * 10, 0], "what changes nothing has no revision"


@pytest.mark.looptime
async def test_commits_made_in_one_turn_of_the_loop_go_together() -> None:
    etcd = Etcd()
    etcd.open.set()
    writer = TransactionWriter(etcd, TransactionLimits())  # type: ignore[arg-type]
    await asyncio.gather(*commits(writer, put("a"), put("b"), put("c")))
    assert etcd.sent == [[["a"], ["b"], ["c"]]]


@pytest.mark.looptime
async def test_commits_of_one_key_are_never_in_one_request() -> None:
    etcd, writer, under_way = await busy()
    more = commits(writer, put("a", "b"), put("c"), put("b"), put("d"))
    await asyncio.sleep(0.001)
    etcd.open.set()
    await asyncio.gather(*under_way, *more)
    assert etcd.sent[LANES:] == [[["a", "b"], ["c"]], [["b"], ["d"]]]


@pytest.mark.looptime
async def test_a_request_stays_within_the_limits() -> None:
    etcd, writer, under_way = await busy(TransactionLimits(operations=6))
    more = commits(writer, put("a", "b"), put("c", "d"), put("e", "f"))
    await asyncio.sleep(0.001)
    etcd.open.set()
    await asyncio.gather(*under_way, *more)
    assert etcd.sent[LANES:] == [[["a", "b"], ["c", "d"]], [["e", "f"]]]


@pytest.mark.looptime
async def test_a_big_commit_neither_waits_nor_is_waited_for() -> None:
    etcd, writer, _ = await busy()
    commits(writer, put(*(f"n{i}" for i in range(SMALL + 1))))
    await asyncio.sleep(0.001)
    assert len(etcd.sent) == LANES + 1


@pytest.mark.looptime
async def test_when_etcd_refuses_the_whole_each_commit_hears_of_its_own() -> None:
    etcd, writer, under_way = await busy()
    etcd.trouble = lambda request: TooLarge("too large") if len(request.success) > 1 else None
    more = commits(writer, put("a"), put("b", "c"), put("d"))
    await asyncio.sleep(0.001)
    etcd.open.set()
    results = await asyncio.gather(*under_way, *more, return_exceptions=True)
    assert [type(result).__name__ for result in results[LANES:]] == ["int", "TooLarge", "int"]


@pytest.mark.looptime
async def test_while_etcd_cannot_be_reached_all_commits_of_a_request_fail() -> None:
    etcd, writer, under_way = await busy()
    etcd.trouble = lambda _: Unavailable("etcd does not answer")
    more = commits(writer, put("a"), put("b"))
    await asyncio.sleep(0.001)
    etcd.open.set()
    results = await asyncio.gather(*under_way, *more, return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    assert len({id(result) for result in results}) == len(results)
    etcd.trouble = lambda _: None
    assert await writer.write(put("after")) > 0


@pytest.mark.looptime
async def test_a_commit_that_is_given_up_before_it_is_sent_is_not_sent() -> None:
    etcd, writer, under_way = await busy()
    more = commits(writer, put("a"), put("b"))
    await asyncio.sleep(0.001)
    more[0].cancel()
    await asyncio.sleep(0.001)
    etcd.open.set()
    await asyncio.gather(*under_way, more[1])
    assert etcd.sent[LANES:] == [[["b"]]]


@pytest.mark.looptime
async def test_closing_fails_what_waits() -> None:
    _, writer, under_way = await busy()
    more = commits(writer, put("a"))
    await asyncio.sleep(0.001)
    await writer.close()
    results = await asyncio.gather(*under_way, *more, return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
