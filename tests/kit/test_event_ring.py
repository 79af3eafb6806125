"""The ring of the newest events."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from kit.event_ring import EventRing


@dataclass(frozen=True)
class Happened:
    time: float


def ring(*times: float, most: int = 3) -> EventRing[Happened]:
    made: EventRing[Happened] = EventRing(most)
    for time in times:
        made.add(Happened(time))
    return made


def times(events: list[Happened]) -> list[float]:
    return [event.time for event in events]


def test_the_newest_are_kept_and_numbers_go_on() -> None:
    kept = ring(1, 2, 3, 4, 5)
    assert (kept.last, times(kept.after(0)), times(kept.after(3)), kept.after(5)) == (5, [3, 4, 5], [4, 5], [])


def test_since_a_time_begins_with_the_first_that_is_not_older() -> None:
    kept = ring(1, 2, 3, 4, 5)
    assert times(kept.after(kept.since(0))) == [3, 4, 5]
    assert times(kept.after(kept.since(4))) == [4, 5]
    assert kept.since(6) == kept.last == 5
    assert ring().since(1) == 0


async def test_all_waiters_are_woken() -> None:
    kept = ring(1)
    waiting = [asyncio.ensure_future(kept.newer(number)) for number in (1, 1, 2)]
    await asyncio.sleep(0)
    kept.add(Happened(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [task.done() for task in waiting] == [True, True, False]
    kept.add(Happened(3))
    await asyncio.gather(*waiting)
