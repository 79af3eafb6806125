"""The checkpoint: what it restores after a restart, and after a crash at any byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.tasks import checkpoint
from agent.tasks.checkpoint import Checkpoint
from api.objects.observed import TaskStatus
from api.states import TaskState
from api.wire.assignments import EndpointAssignment
from api.wire.session_messages import Assignments
from tests.agent.builders import NETWORK, a_spec, a_task, wanting

RAN = TaskStatus(TaskState.RUNNING, 1.0)


def opened(directory: Path) -> Checkpoint:
    """What a new agent finds."""
    found = Checkpoint(directory)
    found.load()
    return found


def test_an_empty_directory_is_an_empty_set(tmp_path: Path) -> None:
    assert opened(tmp_path / "new").assignments.all() == []


def test_everything_is_there_again(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.apply(Assignments(1, True, [NETWORK, a_spec(), a_task("t1"), a_task("t2")]))
    first.apply(Assignments(2, put=[wanting(a_task("t1"), TaskState.SHUTDOWN)], remove=[("task", "t2")]))
    first.note("t1", RAN)

    again = opened(tmp_path)

    assert again.assignments.all() == [wanting(a_task("t1"), TaskState.SHUTDOWN), a_spec(), NETWORK]
    assert again.statuses == {"t1": RAN}


def test_a_full_set_replaces_and_tells_only_what_differs(tmp_path: Path) -> None:
    found = opened(tmp_path)
    found.apply(Assignments(1, True, [NETWORK, a_task("t1"), a_task("t2")]))
    found.note("t1", RAN)

    change = found.apply(Assignments(1, True, [NETWORK, a_task("t2"), a_task("t3")]))

    assert change.ids("task") == {"t3"}
    assert change.removed == [("task", "t1")]
    assert change.tags == {"task"}
    assert found.statuses == {}


def test_a_crash_at_any_byte_loses_no_more_than_the_last_line(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.apply(Assignments(1, True, [NETWORK]))
    base = (tmp_path / "assignments.jsonl").stat().st_size
    first.apply(Assignments(2, put=[a_task("t1")]))
    data = (tmp_path / "assignments.jsonl").read_bytes()

    for size in range(base, len(data) - 1):
        (tmp_path / "assignments.jsonl").write_bytes(data[:size])
        assert opened(tmp_path).assignments.all() == [NETWORK]


def test_after_a_torn_line_new_lines_are_readable(tmp_path: Path) -> None:
    opened(tmp_path).apply(Assignments(1, True, [NETWORK]))
    with (tmp_path / "assignments.jsonl").open("ab") as file:
        file.write(b'{"type":"assi')
    opened(tmp_path).apply(Assignments(2, put=[a_task("t1")]))

    assert opened(tmp_path).assignments.all() == [a_task("t1"), NETWORK]


def test_the_file_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "REWRITE_BYTES", 10_000)
    found = opened(tmp_path)
    for number in range(1000):
        endpoint = EndpointAssignment("t1.net", "net", "s1", "t1", "web", "n1", "192.0.2.1", f"10.0.{number // 250}.9")
        found.apply(Assignments(number, put=[endpoint]))

    assert (tmp_path / "assignments.jsonl").stat().st_size <= 10_000
    assert opened(tmp_path).assignments.view().endpoints == {"t1.net": endpoint}


def test_a_disk_that_fails_stops_nothing_and_is_tried_again(tmp_path: Path) -> None:
    found = opened(tmp_path)
    (tmp_path / "assignments.new").mkdir()
    found.apply(Assignments(1, True, [NETWORK]))
    found.apply(Assignments(2, put=[a_task("t1")]))
    assert len(found.assignments.all()) == 2

    (tmp_path / "assignments.new").rmdir()
    found.note("t1", RAN)

    assert len(opened(tmp_path).assignments.all()) == 2


def test_a_line_that_cannot_be_read_hides_itself_only_and_the_file_is_kept(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.apply(Assignments(1, True, [NETWORK]))
    first.apply(Assignments(2, put=[a_task("t1")]))
    first.apply(Assignments(3, put=[a_task("t2")]))
    path = tmp_path / "assignments.jsonl"
    lines = path.read_bytes().splitlines()
    lines[1] = b"\xff" + lines[1][1:]
    path.write_bytes(b"\n".join(lines) + b"\n")

    assert opened(tmp_path).assignments.all() == [a_task("t2"), NETWORK]
    assert path.with_suffix(".damaged").read_bytes().splitlines() == lines


def test_a_resource_of_another_version_hides_itself_only(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.apply(Assignments(1, True, [NETWORK, a_task("t1")]))
    path = tmp_path / "assignments.jsonl"
    (line,) = path.read_bytes().splitlines()
    raw = json.loads(line)
    raw["Put"] += [{"type": "of the future", "Id": "x"}, raw["Put"][0] | {"Id": 5}]
    raw["Invention"] = 1
    path.write_text(json.dumps(raw) + "\n" + json.dumps({"type": "also of the future"}) + "\n")

    assert opened(tmp_path).assignments.all() == [a_task("t1"), NETWORK]
