"""The memory that argosyd and the stand-in share."""

from __future__ import annotations

import os

from overlay.dns.pending_questions import SLOTS, PendingQuestions, memory

CLIENT = ("127.0.0.1", 40000)


def both() -> tuple[PendingQuestions, PendingQuestions]:
    fd = memory()
    ours, theirs = PendingQuestions(fd), PendingQuestions(fd)
    os.close(fd)
    return ours, theirs


def test_what_is_written_and_not_struck_out_is_seen_by_the_other_process() -> None:
    ours, theirs = both()
    sandbox = ours.of("c" * 64)
    slots = [sandbox.add(b"question %d" % number, CLIENT) for number in range(3)]
    sandbox.remove(slots[1])

    assert list(theirs.left()) == [("c" * 64, b"question 0", CLIENT), ("c" * 64, b"question 2", CLIENT)]
    sandbox.remove_all()
    assert list(theirs.left()) == []


def test_more_than_there_is_room_for_is_not_written_down_and_slots_are_used_again() -> None:
    ours, theirs = both()
    sandbox = ours.of("c1")
    slots = [sandbox.add(b"q", CLIENT) for _ in range(SLOTS)]
    assert None not in slots
    assert sandbox.add(b"q", CLIENT) is None
    sandbox.remove(None)
    sandbox.remove(slots[7])
    sandbox.remove(slots[7])
    assert sandbox.add(b"again", CLIENT) == slots[7]
    assert sandbox.add(b"q", CLIENT) is None
    assert ours.of("c2").add(b"q" * 600, CLIENT) is None
    assert len(list(theirs.left())) == SLOTS
