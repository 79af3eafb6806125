"""A rogue worker against what decides who is alive, and where managers are found."""

from __future__ import annotations

import grpc
import pytest

from api.objects.kinds import NODE, SESSION, SUSPICIONS
from api.objects.observed import NodeDescription, NodeSession, Suspicions
from api.objects.wanted import Node
from api.wire import rpc
from api.wire.host_messages import MANAGERS_METHOD, ManagersNotice
from manager.hosts.host_detector import probe
from manager.hosts.suspicion import is_suspected
from tests import make
from tests.agent.serving.test_host_service import calling


async def test_it_does_not_lead_other_hosts_to_a_manager_of_its_own() -> None:
    """Else it would hand out assignments: code of its own on every host."""
    told: list[ManagersNotice] = []
    async with calling("worker", found=told.append) as channel:
        notice = ManagersNotice(["192.0.2.66:7946"], ["192.0.2.66:2377"], {"192.0.2.66:7946": "x1"})
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await rpc.unary_stream(channel, MANAGERS_METHOD, bytes)(notice).read()

    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert told == []


async def test_an_address_it_announces_is_never_looked_up_as_a_name() -> None:
    """A name would be resolved on the event loop, by a server of the attacker's choice."""
    for address in ("attacker.example", "127.0.0.1; reboot", "::1%lo\n", "0x7f.1"):
        assert await probe(NodeDescription(address=address).address, 7946) is None


def test_one_manager_that_it_has_cut_off_does_not_make_the_others_look_dead() -> None:
    """It may drop packets between two managers that go through it; the third one's word counts as well."""
    state = make.state(
        *((NODE, id, Node(id)) for id in ("m1", "m2", "m3", "w1")),
        *((SESSION, id, NodeSession(holder)) for id, holder in (("m1", "m1"), ("m2", "m2"), ("w1", "m2"))),
        (SUSPICIONS, "m1", Suspicions(["m2", "w1"], ["m2", "w1"])),
        (SUSPICIONS, "m2", Suspicions(["m1"], ["m1"])),
        (SUSPICIONS, "m3", Suspicions()),
    )
    assert not any(is_suspected(state, id) for id in ("m1", "m2", "w1"))
