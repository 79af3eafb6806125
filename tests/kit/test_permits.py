"""Work that ends when its permission is withdrawn."""

from __future__ import annotations

import asyncio

import pytest

from kit.permits import Permits


class Refused(Exception):
    """Not permitted."""


class Door:
    """Work that is permitted while the door is open."""

    def __init__(self) -> None:
        self.permits = Permits()
        self.open = True
        self.hung_up = 0

    def check(self) -> None:
        """Raises Refused when the door is closed."""
        if not self.open:
            raise Refused

    def hang_up(self) -> None:
        """Count the calls."""
        self.hung_up += 1

    async def work(self) -> str:
        """Work that never ends by itself."""
        with self.permits.hold(self.check, self.hang_up):
            await asyncio.Event().wait()
        return "done"


async def test_work_that_is_not_permitted_does_not_begin() -> None:
    door = Door()
    door.open = False
    with pytest.raises(Refused):
        await door.work()
    assert door.hung_up == 0


async def test_work_ends_when_its_permission_is_withdrawn_and_not_before() -> None:
    door = Door()
    work = asyncio.ensure_future(door.work())
    await asyncio.sleep(0)
    door.permits.recheck()
    await asyncio.sleep(0)
    assert not work.done()
    door.open = False
    door.permits.recheck()
    door.permits.recheck()
    with pytest.raises(Refused):
        await work
    assert (door.hung_up, work.cancelling()) == (1, 0)


async def test_a_cancellation_from_outside_stays_one() -> None:
    door = Door()
    work = asyncio.ensure_future(door.work())
    await asyncio.sleep(0)
    door.open = False
    door.permits.recheck()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work


async def test_work_that_has_ended_is_left_alone() -> None:
    door = Door()
    with door.permits.hold(door.check, door.hang_up):
        pass
    door.open = False
    door.permits.recheck()
    await asyncio.sleep(0)
    assert door.hung_up == 0
