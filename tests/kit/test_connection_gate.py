"""Admission of connections."""

from __future__ import annotations

import pytest

from kit.connection_gate import Admission, ConnectionGate, Limits, origin_of

LIMITS = Limits(strangers=6, each=4, known=3, known_each=2, rate=1000, burst=1000)


def entered(gate: ConnectionGate, origin: str) -> Admission:
    entry = gate.enter(origin, 0.0)
    assert entry is not None
    return entry


def test_an_origin_is_limited_and_its_places_are_freed() -> None:
    gate = ConnectionGate(LIMITS)
    held = [entered(gate, "a") for _ in range(4)]
    assert gate.enter("a", 0.0) is None
    gate.leave(held[0].id)
    gate.leave(held[0].id)  # leaving twice is harmless
    assert entered(gate, "a").instead is None
    assert len(gate) == 4


def test_a_full_gate_replaces_a_connection_of_the_origin_with_the_most() -> None:
    gate = ConnectionGate(LIMITS)
    first = entered(gate, "a")
    for origin in ("a", "a", "a", "b", "b"):
        entered(gate, origin)
    assert entered(gate, "c").instead == first.id
    assert len(gate) == 6
    assert entered(gate, "c").instead is not None  # a 3 → 2
    assert gate.enter("c", 0.0) is None  # both have two: no origin holds much more than another
    assert gate.enter("b", 0.0) is None


def test_an_identified_connection_frees_its_place_and_is_not_replaced() -> None:
    gate = ConnectionGate(LIMITS)
    member = entered(gate, "a")
    assert gate.identify(member.id, "n1")
    taken = [entered(gate, origin).id for origin in "aaaabb"]
    assert member.id not in {entered(gate, "c").instead for _ in range(1)}
    assert gate.identify(taken[-1], "n1")
    assert not gate.identify(taken[-2], "n1")  # the limit per identity
    gate.leave(member.id)
    assert gate.identify(taken[-2], "n1")


def test_a_fast_origin_is_refused() -> None:
    gate = ConnectionGate(Limits(strangers=100, each=100, known=0, known_each=0, rate=1, burst=2))
    assert [gate.enter("a", 0.0) is not None for _ in range(3)] == [True, True, False]
    assert gate.enter("b", 0.0) is not None
    assert gate.enter("a", 1.0) is not None


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("10.0.0.1", "10.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"), ("fe80::1%eth0", "fe80::/64"), ("", ""),
    ],
)  # fmt: skip
def test_the_origin_of_an_address(address: str, origin: str) -> None:
    assert origin_of(address) == origin
