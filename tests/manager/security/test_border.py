"""Border checks: what a host may report. The same over gRPC is in tests/attacks/test_worker.py."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from api.errors import Conflict, Invalid
from api.objects.kinds import DESCRIPTION, NODE, SESSION
from api.objects.observed import EngineDescription, NodeDescription, NodeSession, PortStatus, TaskStatus
from api.objects.wanted import Node
from api.reasons.reason import Code, Reason, reason
from api.service.resources import DiscreteResource, GenericResource, NamedResource, Reservations, Resources
from api.states import TaskState
from api.wire import host_bounds as bounds
from api.wire.session_messages import Heartbeat, Statuses
from manager.security import border
from manager.store.in_memory import MemoryStore
from manager.store.interface import Put

GOOD = NodeDescription(
    hostname="web-1.example.org",
    architecture="x86_64",
    resources=Resources(
        reservations=Reservations(
            4_000_000_000,
            1 << 34,
            [
                GenericResource(named_resource_spec=NamedResource("gpu", "GPU-1")),
                GenericResource(discrete_resource_spec=DiscreteResource("ssd", 3)),
            ],
        )
    ),
    engine=EngineDescription("0.1.0", {"zone": "a", "note": "rack 3,\nleft"}),
    address="192.0.2.7",
    images=["docker.io/library/nginx:1.27", "docker.io/library/nginx@sha256:ab", "sha256:ab", "reg:5000/x:1"],
    tags={"docker.io/library/nginx:1.27": "sha256:ab"},
    devices=["nvidia.com/gpu=0"],
    troubles=["networks: the kernel has no vxlan"],
    prefixes=["10.3.0.0/16", "192.0.2.0/24"],
)
NOW = 1_800_000_000.0


def resources(**fields: Any) -> Resources:
    return Resources(reservations=Reservations(**fields))


def generic(*values: GenericResource) -> Resources:
    return resources(generic_resources=list(values))


def test_what_an_honest_host_says_is_taken() -> None:
    border.check_description(GOOD, "192.0.2.7")
    statuses = {"t1": TaskStatus(TaskState.FAILED, NOW, "it\nended", "\x1b[31mno\x1b[0m", "ab" * 32, 7, -1)}
    border.check_statuses(Statuses(1, statuses), NOW)
    border.check_heartbeat(Heartbeat(3), 3)


def nested(depth: int) -> Reason:
    """A reason with nested reasons."""
    found = reason(Code.TEXT)
    for _ in range(depth):
        found = reason(Code.HOST_FAILED, found)
    return found


@pytest.mark.parametrize(
    "change",
    [
        {"address": "not-an-ip"},
        {"address": ""},
        {"address": "0.0.0.0"},
        {"address": "224.0.0.1"},
        {"address": "255.255.255.255"},
        {"address": "127.0.0.1"},
        {"address": "2001:db8::1"},
        {"address": "192.0.2.7/24"},
        {"hostname": "a b"},
        {"hostname": "h\x1b[2J"},
        {"hostname": "h" * 300},
        {"os": "\n"},
        {"architecture": "x" * 20_000},
        {"host_port": 0},
        {"host_port": -5},
        {"host_port": 1 << 70},
        {"manager_port": 70_000},
        {"images": ["a b"]},
        {"images": ["x\n"]},
        {"images": ["x" * 600]},
        {"images": ["x"] * (bounds.MOST_IMAGES + 1)},
        {"images": ["x" * 500] * 4000},
        {"tags": {"nginx:1": "not a digest"}},
        {"tags": {"$(id)": "sha256:ab"}},
        {"devices": ["d"] * 2000},
        {"devices": ["\0"]},
        {"troubles": ["t"] * 100},
        {"troubles": ["t\n"]},
        {"prefixes": ["10.0.0.0/8"] * 200},
        {"prefixes": ["0.0.0.0/0"]},
        {"prefixes": ["10.1.2.3/8"]},
        {"prefixes": ["2001:db8::/64"]},
        {"prefixes": ["10.0.0.0/x", "all"]},
        {"engine": EngineDescription("v", {f"k{n}": "" for n in range(2000)})},
        {"engine": EngineDescription("v", {"k": "v" * 20_000})},
        {"engine": EngineDescription("v", {"k\n": "v"})},
        {"engine": EngineDescription("v" * 20_000)},
        {"resources": resources(nano_cpus=-1)},
        {"resources": resources(nano_cpus=10**18)},
        {"resources": resources(memory_bytes=1 << 63)},
        {"resources": generic(GenericResource())},
        {"resources": generic(GenericResource(discrete_resource_spec=DiscreteResource("ssd", -1)))},
        {"resources": generic(GenericResource(named_resource_spec=NamedResource("gpu", "x y")))},
        {"resources": generic(*[GenericResource(discrete_resource_spec=DiscreteResource("s", 1))] * 2000)},
    ],
    ids=str,
)
def test_a_description_that_is_none_is_refused_with_a_sentence(change: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refusal:
        border.check_description(replace(GOOD, **change), "192.0.2.7")
    assert 10 < len(str(refusal.value)) < 200


@pytest.mark.parametrize(
    "change",
    [
        {"timestamp": 1e308},
        {"timestamp": float("nan")},
        {"timestamp": float("inf")},
        {"timestamp": -1.0},
        {"timestamp": NOW + 7200},
        {"started_at": 1e308},
        {"started_at": float("nan")},
        {"pid": -1},
        {"pid": 1 << 40},
        {"exit_code": 1 << 40},
        {"old_message": "m" * 20_000},
        {"old_error": "e" * 20_000},
        {"reason": reason(Code.HOST_FAILED, text="e" * 20_000)},
        {"reason": reason(Code.HOST_FAILED, *[reason(Code.TEXT, text="e" * 16_000)] * 5)},
        {"reason": reason(Code.HOST_FAILED, *[reason(Code.TEXT)] * 17)},
        {"reason": Reason(Code.HOST_FAILED, {f"f{number}": 1 for number in range(17)})},
        {"reason": Reason(Code.HOST_FAILED, {"seconds": float("inf")})},
        {"reason": nested(20)},
        {"container_id": "../../etc"},
        {"ports": [PortStatus("tcp", 80, 70_000)]},
        {"ports": [PortStatus("icmp", 80, 80)]},
        {"ports": [PortStatus("tcp", 80, 80, "\n")]},
        {"ports": [PortStatus("tcp", 80, 80)] * 9000},
    ],
    ids=lambda change: str(change)[:60],
)
def test_a_status_that_is_none_is_refused(change: dict[str, Any]) -> None:
    status = replace(TaskStatus(TaskState.RUNNING, NOW), **change)
    with pytest.raises(Invalid):
        border.check_statuses(Statuses(1, {"t1": status}), NOW)


def test_too_many_statuses_odd_ids_and_foreign_confirmations_are_refused() -> None:
    one = TaskStatus(TaskState.RUNNING)
    for message in (
        Statuses(1, {f"t{n}": one for n in range(bounds.MOST_STATUSES + 1)}),
        Statuses(1, {"a/../b": one}),
        Statuses(1, {"x" * 200: one}),
        Statuses(-1, {}),
    ):
        with pytest.raises(Invalid):
            border.check_statuses(message, NOW)
    for number in (-1, 4, 1 << 80):
        with pytest.raises(Invalid):
            border.check_heartbeat(Heartbeat(number), 3)


@pytest.mark.parametrize("number", [0, 1, border.PORTION, border.PORTION + 1, bounds.MOST_STATUSES])
def test_a_message_is_checked_in_portions_that_are_all_of_it(number: int) -> None:
    message = Statuses(7, {f"t{n}": TaskStatus(TaskState.RUNNING, pid=n) for n in range(number)})
    portions = list(border.portions(message))

    assert all(1 <= len(portion.statuses) <= border.PORTION for portion in portions)
    assert {id: status for portion in portions for id, status in portion.statuses.items()} == message.statuses


def test_a_message_of_too_many_statuses_has_no_portions() -> None:
    message = Statuses(1, {f"t{n}": TaskStatus(TaskState.RUNNING) for n in range(bounds.MOST_STATUSES + 1)})
    with pytest.raises(Invalid):
        next(border.portions(message))


def every(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Values of all kinds in every field; hypothesis does not know the defaults of msgspec structs."""
    return st.builds(kind, **{name: st.from_type(hint) for name, hint in get_type_hints(kind).items()})


for nested in (EngineDescription, Reservations, PortStatus):
    st.register_type_strategy(nested, every(nested))


@given(every(NodeDescription))
def test_whatever_a_host_says_it_is_taken_or_refused_and_what_is_taken_is_usable(said: NodeDescription) -> None:
    try:
        border.check_description(said, "")
    except Invalid:
        return
    assert border.host_address(said.address)


@given(every(TaskStatus))
def test_whatever_is_said_of_a_task_it_is_taken_or_refused(said: TaskStatus) -> None:
    try:
        border.check_statuses(Statuses(1, {"t1": said}), NOW)
    except Invalid:
        return
    assert 0 <= said.timestamp <= NOW + bounds.FUTURE


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.1:4711", "192.0.2.1"),
        ("ipv6:%5B::ffff:192.0.2.1%5D:4711", "192.0.2.1"),
        ("ipv6:[::ffff:192.0.2.1]:4711", "192.0.2.1"),
        ("ipv6:%5Bfe80::1%5D:4711", ""),
        ("unix:/run/x", ""),
        ("", ""),
    ],
)
def test_the_address_of_a_peer(peer: str, address: str) -> None:
    assert border.peer_address(peer) == address


LIVES = NodeSession("m1")


async def holding(*, session: NodeSession | None = LIVES, known: bool = True) -> MemoryStore:
    """Node n1 has announced 192.0.2.1."""
    store = MemoryStore()
    rows = [Put(DESCRIPTION, "n1", NodeDescription(address="192.0.2.1")), Put(NODE, "n2", Node("n2"))]
    rows += [Put(NODE, "n1", Node("n1"))] if known else []
    rows += [Put(SESSION, "n1", session)] if session else []
    await store.commit(rows)
    return store


async def test_an_address_is_refused_to_others_while_its_node_lives() -> None:
    state = (await holding()).state
    with pytest.raises(Conflict, match="node n1"):
        border.check_holder(state, "n2", "192.0.2.1", "192.0.2.9")
    border.check_holder(state, "n1", "192.0.2.1", "192.0.2.9")
    border.check_holder(state, "n2", "192.0.2.2", "192.0.2.9")


async def test_who_connects_from_the_address_has_shown_that_it_is_his() -> None:
    border.check_holder((await holding()).state, "n2", "192.0.2.1", "192.0.2.1")


async def test_a_machine_that_was_set_up_anew_joins_at_the_address_of_its_former_node() -> None:
    gone = ({"session": None}, {"session": NodeSession("m1", left=True)}, {"known": False})
    for store in [await holding(**change) for change in gone]:  # type: ignore[arg-type]
        border.check_holder(store.state, "n2", "192.0.2.1", "192.0.2.9")
