"""Who is let in."""

from __future__ import annotations

import pytest

from kit.connection_gate import Admission, ConnectionGate, Limits, origin_of

LIMITS = Limits(strangers=6, each=4, known=3, known_each=2, rate=1000, burst=1000)


def entered(gate: ConnectionGate, origin: str) -> Admission:
    entry = gate.enter(origin, 0.0)
    assert entry is not None
    return entry


def test_one_origin_has_its_share_at_most_and_gets_it_back() -> None:
    gate = ConnectionGate(LIMITS)
    held = [entered(gate, "a") for _ in range(4)]
    assert gate.enter("a", 0.0) is None
    gate.leave(held[0].id)
    gate.leave(held[0].id)  # twice is once
    assert entered(gate, "a").instead is None
    assert len(gate) == 4


def test_when_all_places_are_taken_the_one_with_most_gives_one_to_who_has_fewer() -> None:
    gate = ConnectionGate(LIMITS)
    first = entered(gate, "a")
    for origin in ("a", "a", "a", "b", "b"):
        entered(gate, origin)
    assert entered(gate, "c").instead == first.id
    assert len(gate) == 6
    assert entered(gate, "c").instead is not None  # a 3 → 2
    assert gate.enter("c", 0.0) is None  # all have two: nobody has much more than another
    assert gate.enter("b", 0.0) is None


def test_who_shows_who_he_is_gives_his_place_back_and_cannot_be_put_out() -> None:
    gate = ConnectionGate(LIMITS)
    member = entered(gate, "a")
    assert gate.identify(member.id, "n1")
    taken = [entered(gate, origin).id for origin in "aaaabb"]
    assert member.id not in {entered(gate, "c").instead for _ in range(1)}
    assert gate.identify(taken[-1], "n1")
    assert not gate.identify(taken[-2], "n1")  # two of one node are enough
    gate.leave(member.id)
    assert gate.identify(taken[-2], "n1")


def test_too_fast_is_too_many() -> None:
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
def test_what_counts_as_one(address: str, origin: str) -> None:
    assert origin_of(address) == origin
