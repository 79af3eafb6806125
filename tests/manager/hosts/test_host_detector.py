"""The failure detector: which hosts it probes, what counts as an answer, and what it stores."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing, suppress

import pytest

from api.defaults import LOST_AFTER, PROBE_TIMEOUT, SESSION_LEASE, SILENCE
from api.objects.kinds import DESCRIPTION, MEMBER, NODE, SESSION, SUSPICIONS
from api.objects.observed import LiveManager, NodeDescription, NodeSession, Suspicions
from api.objects.wanted import Node
from api.states import NodeState
from kit.supervisor import stop
from kit.timing import loop_clock
from manager.hosts.host_detector import UNTIL_JUDGED, UNWRITTEN, HostDetector, UnstoredSuspicions, nodes_to_probe, probe
from manager.store.in_memory import MemoryDatabase, MemoryStore
from manager.store.interface import Put
from tests import make
from tests.manager.certificates import free_port

NOBODY = {"m1": (SUSPICIONS, "m1", Suspicions()), "m2": (SUSPICIONS, "m2", Suspicions())}


def cluster(*rows: make.Row) -> object:
    nodes = [make.node(id) for id in ("m1", "m2", "w1", "w2")]
    sessions = [
        (SESSION, "w1", NodeSession("m1")),
        (SESSION, "w2", NodeSession("m2")),
        (SESSION, "m2", NodeSession("m2")),
    ]
    members = [(MEMBER, id, LiveManager()) for id in ("m1", "m2")]
    return make.state(*nodes, *sessions, *members, *NOBODY.values(), *rows)


def test_managers_are_always_asked_and_others_only_when_nobody_hears_them() -> None:
    calm = {"m1": 0.1, "w1": 0.1}
    assert nodes_to_probe(cluster(), "m1", calm) == {"m2"}
    assert nodes_to_probe(cluster(), "m1", {**calm, "w1": SILENCE + 0.1}) == {"m2", "w1"}
    assert nodes_to_probe(cluster(), "m1", {"m1": 0.1}) == {"m2", "w1"}, "its stream is broken"
    assert nodes_to_probe(cluster((SUSPICIONS, "m1", Suspicions(["m2"]))), "m1", calm) == {"m2", "w2"}
    assert nodes_to_probe(cluster(), "m1", {**calm, "m2": 0.2}) == set(), "it is heard"
    assert nodes_to_probe(cluster((SESSION, "w2", None)), "m1", calm) == {"m2", "w2"}, "no session, and not down yet"


def test_what_is_down_is_not_asked_for_ever() -> None:
    down = make.node("w2", NodeState.DOWN)
    assert nodes_to_probe(cluster((SESSION, "w2", None), down[2]), "m1", {"m1": 0.1, "w1": 0.1}) == {"m2"}


def test_what_the_store_does_not_take_is_told_to_own_hosts_until_all_have_written_it() -> None:
    managers, seen, unwritten = ("m1", "m2", "m3"), Suspicions(["m2", "w1"]), UnstoredSuspicions()

    def doubted(stored: Suspicions, now: float) -> frozenset[str]:
        return unwritten.take(seen, stored, managers, now)

    assert doubted(Suspicions(), 100.0) == frozenset()
    assert doubted(Suspicions(), 100.0 + UNWRITTEN) == {"m2", "w1"}
    assert doubted(Suspicions(), 104.0) == {"m2", "w1"}, "however long that takes"
    assert doubted(seen, 104.0 + UNTIL_JUDGED - 0.01) == {"m2", "w1"}, "the others have to write it, too"
    assert doubted(seen, 104.0 + UNTIL_JUDGED) == frozenset()


def test_what_is_taken_at_once_is_never_told_before_it_is_judged() -> None:
    unwritten, seen = UnstoredSuspicions(), Suspicions(["w1"])
    assert unwritten.take(seen, Suspicions(), ("m1",), 100.0) == frozenset()
    assert unwritten.take(seen, seen, ("m1",), 100.0 + UNWRITTEN / 2) == frozenset()
    assert unwritten.take(seen, seen, ("m1",), 200.0) == frozenset()


def test_who_answers_again_is_doubted_no_more_though_the_store_is_still_away() -> None:
    unwritten, stored = UnstoredSuspicions(), Suspicions()
    assert unwritten.take(Suspicions(["w1"]), stored, ("m1",), 100.0) == frozenset()
    assert unwritten.take(Suspicions(["w1"]), stored, ("m1",), 101.0) == {"w1"}
    assert unwritten.take(Suspicions(), stored, ("m1",), 101.1) == frozenset()


def test_a_manager_that_half_of_the_managers_do_not_answer_doubts_nobody_but_itself() -> None:
    for silent in (["m2", "m3", "w1"], ["m2", "m3"]):
        unwritten = UnstoredSuspicions()
        for now in (100.0, 101.0):
            assert unwritten.take(Suspicions(silent), Suspicions(), ("m1", "m2", "m3"), now) == frozenset()


async def test_a_host_answers_by_taking_a_connection_or_by_refusing_it() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        assert await probe("127.0.0.1", listener.getsockname()[1]) is True
    assert await probe("127.0.0.1", free_port()) is True, "its kernel answers though its daemon is not there"


async def test_a_host_that_keeps_silent_does_not_answer() -> None:
    """A listener with a full queue drops packets, like a host without power."""
    held = []
    with closing(socket.create_server(("127.0.0.1", 0), backlog=0)) as listener:
        port = listener.getsockname()[1]
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(("127.0.0.1", port))
            held.append(client)
        began = asyncio.get_running_loop().time()
        assert await probe("127.0.0.1", port) is False
        assert asyncio.get_running_loop().time() - began >= PROBE_TIMEOUT * 0.9
    for client in held:
        client.close()


async def test_what_is_no_address_says_nothing_of_a_host() -> None:
    assert await probe("not-an-ip", 7946) is None
    assert await probe("", 7946) is None


class Field:
    """The detectors of two managers in virtual time; the test sets which hosts answer and when their messages came."""

    def __init__(self) -> None:
        self.clock, database = loop_clock(0.0), MemoryDatabase()
        self.stores = [MemoryStore(self.clock, database) for _ in range(2)]
        self.mute: set[str] = set()
        self.silent_for: dict[str, dict[str, float]] = {"m1": {}, "m2": {}}

    async def probe(self, address: str, port: int) -> bool:
        if address in self.mute:
            await asyncio.sleep(PROBE_TIMEOUT)
        return address not in self.mute

    async def start(self) -> list[asyncio.Task[None]]:
        for id in ("m1", "m2", "w1"):
            described = NodeDescription(address=id)
            await self.stores[0].commit([Put(NODE, id, Node(id)), Put(DESCRIPTION, id, described)])
            await self.stores[0].commit([Put(SESSION, id, NodeSession("m1" if id == "w1" else id))])
            if id != "w1":
                await self.stores[0].commit([Put(MEMBER, id, LiveManager())])
        watches = zip(("m1", "m2"), self.stores, strict=True)
        detectors = [HostDetector(store, id, lambda id=id: self.silent_for[id], self.probe) for id, store in watches]
        return [asyncio.ensure_future(detector.run()) for detector in detectors]

    def row(self, id: str) -> Suspicions | None:
        return self.stores[0].state.table(SUSPICIONS).get(id)


@pytest.mark.looptime
async def test_silence_is_asked_about_written_and_taken_back() -> None:
    field = Field()
    field.silent_for["m1"]["w1"] = 0.0
    running = await field.start()
    await asyncio.sleep(2)
    assert field.row("m1") == Suspicions()

    field.silent_for["m1"]["w1"] = SILENCE
    await asyncio.sleep(3)
    assert field.row("m1") == Suspicions(), "it is silent, but its host answers"

    field.mute.add("w1")
    await asyncio.sleep(PROBE_TIMEOUT + 1)
    assert field.row("m1") == Suspicions(["w1"])
    await asyncio.sleep(LOST_AFTER)
    assert field.row("m1") == Suspicions(["w1"], ["w1"])
    assert field.row("m2") == Suspicions(), "m1 is its judge"

    field.silent_for["m1"]["w1"] = 0.0
    await asyncio.sleep(0.3)
    assert field.row("m1") == Suspicions(), "heard is heard, whatever the probe says"
    await stop(running)


@pytest.mark.looptime
async def test_a_manager_that_dies_takes_its_word_with_it_and_others_ask_its_hosts() -> None:
    field = Field()
    field.silent_for["m1"]["w1"] = 0.0
    running = await field.start()
    await asyncio.sleep(1)

    field.mute |= {"m1", "w1"}
    await stop(running[:1])
    await asyncio.sleep(2 * PROBE_TIMEOUT + 2)
    assert field.row("m2") == Suspicions(["m1", "w1"], ["m1"])
    await asyncio.sleep(SESSION_LEASE)
    assert field.row("m1") is None
    assert field.row("m2") == Suspicions(["m1", "w1"], ["m1", "w1"])
    await stop(running[1:])
