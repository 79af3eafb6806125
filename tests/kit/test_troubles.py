from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kit.supervisor import stop, supervise
from kit.troubles import Troubles, error_sentence

pytestmark = pytest.mark.looptime


def delays() -> Iterator[float]:
    yield from (1.0, 2.0, 4.0, 8.0)


@asynccontextmanager
async def supervised(work: Any) -> AsyncIterator[Troubles]:
    troubles = Troubles()
    task = asyncio.ensure_future(supervise(work, "work", troubles, delays, well=10.0))
    yield troubles
    assert not task.done()
    await stop([task])


async def test_failing_work_is_restarted_with_growing_delays_and_its_trouble_lasts_until_it_runs_well() -> None:
    loop, begun = asyncio.get_running_loop(), []

    async def work() -> None:
        begun.append(loop.time() - start)
        if len(begun) < 4:
            raise ValueError("not an address")
        await asyncio.Event().wait()

    start = loop.time()
    async with supervised(work) as troubles:
        await asyncio.sleep(16.0)
        assert begun == pytest.approx([0.0, 1.0, 3.0, 7.0])
        assert troubles.sentences() == ["work: not an address"]
        await asyncio.sleep(2.0)
        assert troubles.sentences() == []


async def test_delays_start_over_after_a_good_run() -> None:
    loop, begun = asyncio.get_running_loop(), []

    async def work() -> None:
        begun.append(loop.time())
        await asyncio.sleep(20.0)

    async with supervised(work) as troubles:
        await asyncio.sleep(50.0)
        assert [round(b - a, 3) for a, b in itertools.pairwise(begun)] == [21.0, 21.0]
        assert "it ended" in troubles.current["work"] or not troubles.current


async def test_a_trouble_is_logged_once_while_it_lasts(capsys: pytest.CaptureFixture[str]) -> None:
    troubles = Troubles()
    for _ in range(5):
        troubles.report("networks", "the kernel has no vxlan")
    assert capsys.readouterr().out.count("the kernel has no vxlan") == 1
    troubles.changed.clear()
    troubles.report("networks", "the kernel has no vxlan")
    assert not troubles.changed.is_set()
    troubles.resolve("networks")
    troubles.report("networks", "the kernel has no vxlan")
    assert capsys.readouterr().out.count("the kernel has no vxlan") == 1


def test_the_sentence_of_an_error_has_its_text_or_its_type() -> None:
    assert error_sentence(ExceptionGroup("g", [ValueError("not an address")])) == "not an address"
    assert error_sentence(KeyError("x")) == "KeyError 'x'"
