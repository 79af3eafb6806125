from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.runtime.containers import container_record, container_store
from agent.runtime.containers.container_record import Ended, Record, VolumeUse
from agent.runtime.containers.container_store import ContainerStore
from agent.runtime.runtime_events import RuntimeEvents
from api.errors import Conflict, NotFound
from api.service.service_spec import TaskSpec


def record(id: str = "c1", **more: object) -> Record:
    """Of a container that runs: this process."""
    fields = {"pid": os.getpid(), "pid_born": container_record.born(os.getpid()), "started": 5.0, **more}
    return Record(id, f"web.1.{id}", id, "demo:1", "sha256:i", "host", "", TaskSpec(), **fields)


def store(root: Path, *records: Record) -> tuple[ContainerStore, RuntimeEvents]:
    for one in records:
        (root / one.id).mkdir()
        one.save(root / one.id)
    events = RuntimeEvents(lambda: 7.0)
    return ContainerStore(root, events, lambda: 7.0), events


def actions(events: RuntimeEvents) -> list[str]:
    return [event.action for event in events.after(0)]


def test_what_a_former_agent_left_is_known(tmp_path: Path) -> None:
    found, _ = store(tmp_path, record("c1"), record("c2", volumes=[VolumeUse("data", "/v")]))

    assert {one.id for one in found.all()} == {"c1", "c2"}
    assert found.running("c1").pid == os.getpid()
    assert sorted(found.users_of_image("sha256:i")) == ["web.1.c1", "web.1.c2"]
    assert found.users_of_volume("data") == ["c2"]


def test_one_that_nobody_saw_end_is_lost(tmp_path: Path) -> None:
    found, events = store(tmp_path, record(pid_born=1))

    assert found.settled("c1").ended == Ended(container_store.LOST, False, 7.0)
    assert actions(events) == ["die"]
    assert container_record.read(tmp_path / "c1").ended == Ended(container_store.LOST, False, 7.0)


def test_an_end_is_told_once(tmp_path: Path) -> None:
    found, events = store(tmp_path, record(pid_born=1))
    for _ in range(2):
        found.settled("c1")

    assert actions(events) == ["die"]
    with pytest.raises(Conflict, match=r"container web\.1\.c1 is not running"):
        found.running("c1")


def test_a_container_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    found, _ = store(tmp_path)

    with pytest.raises(NotFound, match="No such container: c1"):
        found.settled("c1")
    assert found.find("c1") is None
