from __future__ import annotations

from kit.stdcopy import frame, frames


def test_frames_are_those_of_docker() -> None:
    assert frame("stdout", b"hi\n") == b"\x01\x00\x00\x00\x00\x00\x00\x03hi\n"
    assert frame("stderr", b"") == b"\x02\x00\x00\x00\x00\x00\x00\x00"


def test_frames_are_read_however_they_are_cut() -> None:
    sent = frame("stdout", b"one") + frame("stderr", b"two" * 100) + frame("stdout", b"")
    parts = [("stdout", b"one"), ("stderr", b"two" * 100), ("stdout", b"")]

    for size in (1, 7, 8, 9, 1000):
        assert list(frames(sent[at : at + size] for at in range(0, len(sent), size))) == parts


def test_half_a_frame_at_the_end_is_dropped() -> None:
    assert list(frames([frame("stderr", b"whole"), frame("stdout", b"half")[:-1]])) == [("stderr", b"whole")]


def test_stream_0_counts_as_output() -> None:
    """Docker defines stream 0 (standard input), which is never sent."""
    assert list(frames([b"\x00" + frame("stdout", b"x")[1:]])) == [("stdout", b"x")]
