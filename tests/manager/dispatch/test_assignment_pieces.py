from __future__ import annotations

from api.codec import encode
from api.wire.assignments import PeerAssignment, SecretAssignment
from api.wire.host_bounds import MOST_MESSAGE, PIECE
from api.wire.session_messages import Assignments, Part
from manager.dispatch.assignment_pieces import messages


def test_a_small_set_is_one_message() -> None:
    put = [PeerAssignment("n.x", "x", "n", "192.0.2.1", "10.0.0.1")]
    assert list(messages(3, False, put, [("peer", "y")])) == [Assignments(3, False, put, [("peer", "y")])]
    assert list(messages(1, True, [], [])) == [Assignments(1, True)]


def test_a_big_set_comes_in_messages_that_fit_and_lack_nothing() -> None:
    put = [PeerAssignment(f"n{n}.x", "x", f"n{n}", "192.0.2.1", "10.0.0.1" + " " * 100) for n in range(30_000)]
    put += [SecretAssignment(f"s{n}", "s", bytes(1_000_000)) for n in range(3)]
    remove = [("peer", '"' * 10 + str(n)) for n in range(60_000)]
    made = list(messages(1, True, put, remove))
    assert len(made) > 5
    assert all(isinstance(message, Part) for message in made[:-1])
    assert isinstance(made[-1], Assignments)
    assert made[-1].full
    assert max(len(encode(message)) for message in made) < MOST_MESSAGE
    assert sorted(len(encode(message)) for message in made)[len(made) // 2] < 2 * PIECE
    assert [resource for message in made for resource in message.put] == put
    assert [key for message in made for key in message.remove] == remove


def test_what_no_message_can_hold_keeps_nothing_else_back() -> None:
    put = [SecretAssignment("huge", "s", bytes(MOST_MESSAGE)), SecretAssignment("small", "s", b"x")]
    assert [resource.id for message in messages(1, True, put, []) for resource in message.put] == ["small"]
