"""Whom a host obeys: members and managers as it was last told of them."""

from __future__ import annotations

import asyncio

import pytest

from agent.serving.callers import Callers
from api.errors import Forbidden, Unavailable
from api.states import Role
from api.wire.assignments import MemberAssignment
from api.wire.rpc import Caller

MANAGER, WORKER = Caller("m1", Role.MANAGER, "k1"), Caller("w1", Role.WORKER, "k2")


class Host:
    """A host and its list."""

    def __init__(self, *known: MemberAssignment, patience: float = 0.0) -> None:
        self.known = {order.id: order for order in known}
        self.callers = Callers(lambda: self.known, patience)

    def tell(self, *known: MemberAssignment) -> None:
        """A new list."""
        self.known = {order.id: order for order in known}
        self.callers.recheck()


def manager(key: str = "k1") -> MemberAssignment:
    """m1, as a manager."""
    return MemberAssignment("m1", manager=True, key=key)


def test_managers_do_what_managers_may_and_members_what_members_may() -> None:
    host = Host(manager(), MemberAssignment("w1", key="k2"))
    host.callers.manager(MANAGER)
    host.callers.member(MANAGER)
    host.callers.member(WORKER)
    with pytest.raises(Forbidden, match="only managers"):
        host.callers.manager(WORKER)


@pytest.mark.parametrize(
    ("known", "why"),
    [
        (MemberAssignment("m1", manager=False, key="k1"), "is a manager no more"),
        (manager("other"), "another key than it joined with"),
        (MemberAssignment("m2", manager=True), "not part of this cluster"),
    ],
)
def test_a_managers_certificate_alone_is_not_enough(known: MemberAssignment, why: str) -> None:
    with pytest.raises(Forbidden, match=why):
        Host(known).callers.manager(MANAGER)


def test_a_workers_certificate_of_one_that_is_wanted_as_a_manager_is_not_enough_either() -> None:
    with pytest.raises(Forbidden, match="only managers"):
        Host(manager()).callers.manager(Caller("m1", Role.WORKER, "k1"))


def test_a_host_that_was_told_nothing_yet_obeys_nobody() -> None:
    with pytest.raises(Unavailable, match="not heard from a manager yet"):
        Host().callers.manager(MANAGER)


async def test_who_is_not_known_yet_is_waited_for() -> None:
    host = Host(manager(), patience=20.0)
    admitted = asyncio.ensure_future(host.callers.admit(host.callers.member, WORKER))
    await asyncio.sleep(0.01)
    assert not admitted.done()
    host.tell(manager(), MemberAssignment("w1"))
    with await admitted:
        pass


async def test_what_a_caller_has_under_way_ends_with_its_rights() -> None:
    host = Host(manager())

    async def read() -> None:
        with await host.callers.admit(host.callers.manager, MANAGER):
            await asyncio.Event().wait()

    reading = asyncio.ensure_future(read())
    await asyncio.sleep(0.01)
    host.tell(manager())
    await asyncio.sleep(0.01)
    assert not reading.done()
    host.tell(MemberAssignment("m1", key="k1"))
    with pytest.raises(Forbidden, match="is a manager no more"):
        await reading
