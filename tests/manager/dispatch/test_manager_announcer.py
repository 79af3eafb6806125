"""The manager announcer calls hosts that cannot find the managers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.errors import Unavailable
from api.node_spec import NodeSpec
from api.objects.kinds import MEMBER, NODE, SESSION
from api.objects.observed import LiveManager, NodeSession
from api.objects.wanted import Node
from api.states import Role
from api.wire.host_messages import ManagersNotice
from kit.supervisor import stop
from kit.timing import loop_clock
from manager.dispatch.manager_announcer import ManagerAnnouncer, nodes_without_session
from manager.store.in_memory import MemoryStore
from manager.store.interface import Put
from tests import make


def test_strayed_is_whom_no_living_manager_hears() -> None:
    state = make.state(
        *((NODE, id, Node(id)) for id in ("m1", "w1", "w2", "w3", "w4", "w5")),
        (MEMBER, "m1", LiveManager()),
        (MEMBER, "m2", LiveManager()),
        (SESSION, "w1", NodeSession("m1")),
        (SESSION, "w2", NodeSession("m2")),
        (SESSION, "w3", NodeSession("m9")),
        (SESSION, "w4", NodeSession("m1", left=True)),
    )
    assert nodes_without_session(state, "m1", {"m1", "w1"}) == ["w3", "w5"]
    assert nodes_without_session(state, "m1", {"m1"}) == ["w1", "w3", "w5"]


@pytest.mark.looptime
async def test_they_are_called_until_they_come() -> None:
    clock = loop_clock(0.0)
    store, calls = MemoryStore(clock), []

    class Hosts:
        async def announce(self, node_id: str, notice: ManagersNotice) -> None:
            calls.append((node_id, notice))
            if len(calls) == 1:
                raise Unavailable("it does not answer yet")

    manager = Node("m1", spec=NodeSpec(role=Role.MANAGER))
    await store.commit([Put(NODE, "w1", Node("w1")), Put(NODE, "m1", manager)])
    await store.commit([Put(MEMBER, "m1", LiveManager("a:2377", 0.0, "a:7946"))])
    connected = {"m1"}
    hosts: Any = Hosts()
    running = asyncio.ensure_future(ManagerAnnouncer(store, "m1", hosts, lambda: connected).run())
    await asyncio.sleep(5)
    assert len(calls) >= 3
    assert calls[-1] == ("w1", ManagersNotice(["a:7946"], ["a:2377"], {"a:7946": "m1"}))

    connected.add("w1")
    await asyncio.sleep(2)
    before = len(calls)
    await asyncio.sleep(60)
    assert len(calls) == before
    await stop([running])
