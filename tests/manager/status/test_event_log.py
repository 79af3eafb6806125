"""The event log: events from the store's changes."""

from __future__ import annotations

import msgspec
import pytest

from api.network.network_spec import NetworkSpec
from api.node_spec import NodeSpec
from api.objects.decided import NodeDecision, Revision, ServiceDecision, Task, UpdateStatus  # fmt: skip
from api.objects.kinds import (
    CONFIG,
    CURRENT_LEADER,
    DESCRIPTION,
    LEADERSHIP,
    NETWORK,
    NODE,
    NODE_DECISION,
    REVISION,
    SERVICE,
    SERVICE_DECISION,
    STATUS,
    TASK,
    revision_id,
)
from api.objects.observed import Leadership, NodeDescription, TaskStatus
from api.objects.wanted import Config, Network, Node, Service
from api.reasons.reason import Code, reason
from api.service.container import ContainerSpec
from api.service.mode import Mode, Replicated
from api.service.service_spec import ServiceSpec, TaskSpec
from api.states import Availability, NodeState, TaskState
from api.stored_file import ConfigSpec
from manager.status import event_log
from manager.status.event_log import EventLog
from manager.store.in_memory import MemoryStore
from manager.store.interface import Delete, Put

replace = msgspec.structs.replace


def spec(image: str, replicas: int) -> ServiceSpec:
    return ServiceSpec("web", task_template=TaskSpec(ContainerSpec(image)), mode=Mode(replicated=Replicated(replicas)))


class LoggedStore:
    """A store with an event log and a clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.store = MemoryStore()
        self.log = EventLog(self.store.state, lambda: self.now)

    async def by(self, *changes: Put | Delete) -> list[tuple[str, str, dict[str, str]]]:
        """The events of changes: (type, action, attributes)."""
        before = self.log.last
        await self.store.commit(changes)
        return [(h.type, h.action, self.log.attributes(h)) for h in self.log.after(before)]


@pytest.fixture
async def logged() -> LoggedStore:
    logged = LoggedStore()
    await logged.by(Put(NODE, "n1", Node("n1")), Put(DESCRIPTION, "n1", NodeDescription(hostname="host1")))
    return logged


async def test_the_event_of_a_service_says_what_changed_in_it(logged: LoggedStore) -> None:
    one = Service("s1", spec=spec("a:1", 1))
    assert await logged.by(Put(SERVICE, "s1", one)) == [("service", "create", {"name": "web"})]
    two = replace(one, spec=spec("a:2", 3), revision=2)
    assert await logged.by(Put(SERVICE, "s1", two)) == [(
        "service", "update",
        {"name": "web", "image.new": "a:2", "image.old": "a:1", "replicas.new": "3", "replicas.old": "1"},
    )]  # fmt: skip
    decision = ServiceDecision(update=UpdateStatus("updating"))
    assert await logged.by(Put(SERVICE_DECISION, "s1", decision)) == [
        ("service", "update", {"name": "web", "updatestate.new": "updating"})
    ]
    decision = ServiceDecision(update=UpdateStatus("completed"))
    assert await logged.by(Put(SERVICE_DECISION, "s1", decision)) == [
        ("service", "update", {"name": "web", "updatestate.new": "completed", "updatestate.old": "updating"})
    ]
    assert await logged.by(Put(SERVICE_DECISION, "s1", replace(decision, wanted=9))) == []
    assert await logged.by(Delete(SERVICE, "s1")) == [("service", "remove", {"name": "web"})]


async def test_events_of_a_node_say_state_availability_and_leadership(logged: LoggedStore) -> None:
    drained = Node("n1", spec=NodeSpec(availability=Availability.DRAIN))
    assert await logged.by(Put(NODE, "n1", drained)) == [
        ("node", "update", {"name": "host1", "availability.new": "drain", "availability.old": "active"})
    ]
    await logged.by(Put(NODE_DECISION, "n1", NodeDecision(NodeState.READY)))
    assert await logged.by(Put(NODE_DECISION, "n1", NodeDecision(NodeState.DOWN))) == [
        ("node", "update", {"name": "host1", "state.new": "down", "state.old": "ready"})
    ]
    assert await logged.by(Put(LEADERSHIP, CURRENT_LEADER, Leadership("n1"))) == [
        ("node", "update", {"name": "host1", "leader.new": "true", "leader.old": "false"})
    ]


async def test_a_network_has_its_event_when_it_is_marked_and_a_config_is_named(logged: LoggedStore) -> None:
    network = Network("x1", spec=NetworkSpec("net"))
    await logged.by(Put(NETWORK, "x1", network))
    assert [t[:2] for t in await logged.by(Put(NETWORK, "x1", replace(network, removed=True)))] == [
        ("network", "remove")
    ]
    assert await logged.by(Delete(NETWORK, "x1")) == []
    config = Config("c1", spec=ConfigSpec("conf", data=b"x"))
    assert await logged.by(Put(CONFIG, "c1", config)) == [("config", "create", {"name": "conf"})]


async def test_a_task_has_an_event_whenever_its_state_changes(logged: LoggedStore) -> None:
    await logged.by(Put(SERVICE, "s1", Service("s1", spec=spec("a:1", 1))))
    task = Task("t1", "s1", 1, 1)
    assert [t[:2] for t in await logged.by(Put(TASK, "t1", task))] == [("task", "new")]
    task = replace(task, node_id="n1", state=TaskState.ASSIGNED)
    assert [t[1] for t in await logged.by(Put(TASK, "t1", task))] == ["assigned"]
    assert await logged.by(Put(TASK, "t1", replace(task, desired=TaskState.SHUTDOWN))) == []
    failed = TaskStatus(
        TaskState.FAILED, exit_code=3, container_id="c1", reason=reason(Code.NON_ZERO_EXIT, exit_code=3)
    )
    ((kind, action, attributes),) = await logged.by(Put(STATUS, "t1", failed))
    assert (kind, action) == ("task", "failed")
    assert attributes == {
        "name": "web.1.t1", "service": "s1", "service.name": "web", "node": "n1", "node.name": "host1",
        "desired": "shutdown", "message": "task: non-zero exit (3)", "exitCode": "3", "container": "c1",
    }  # fmt: skip
    assert [t[1] for t in await logged.by(Delete(TASK, "t1"), Delete(STATUS, "t1"))] == ["remove"]


async def test_the_past_is_found_by_time_and_is_bounded(logged: LoggedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        logged.now = 200.0 + number
        await logged.by(Put(NETWORK, f"x{number}", Network(f"x{number}", spec=NetworkSpec(f"net{number}"))))
    log = logged.log
    assert [h.id for h in log.after(log.since(203.0))] == ["x3", "x4"]
    assert log.after(log.since(300.0)) == []
    assert len(log.after(log.since(0.0))) == log.last
    assert event_log.MOST == 4096
    for number in range(event_log.MOST):
        await logged.by(Put(NETWORK, "y", Network("y", float(number), spec=NetworkSpec("y"))))
    assert len(log.after(0)) == event_log.MOST


async def test_a_kept_revision_does_not_double_the_name_of_a_task_whose_service_is_gone(logged: LoggedStore) -> None:
    revision = Revision("s1", 1, spec=spec("demo:1", 1))
    await logged.by(
        Put(SERVICE, "s1", Service("s1", spec=spec("demo:1", 1))), Put(REVISION, revision_id("s1", 1), revision),
        Put(TASK, "t1", Task("t1", "s1", 1, 1)),
    )  # fmt: skip
    await logged.by(Delete(SERVICE, "s1"))
    ((_, _, attributes),) = await logged.by(Put(STATUS, "t1", TaskStatus(TaskState.SHUTDOWN)))
    assert attributes["name"] == "web.1.t1"


async def test_events_of_tasks_name_a_service_that_is_gone(logged: LoggedStore) -> None:
    await logged.by(Put(SERVICE, "s1", Service("s1", spec=spec("demo:1", 1))), Put(TASK, "t1", Task("t1", "s1", 1, 1)))
    ((kind, action, _),) = await logged.by(Delete(SERVICE, "s1"))
    assert (kind, action) == ("service", "remove")
    ((kind, action, attributes),) = await logged.by(Delete(TASK, "t1"))
    assert (kind, action) == ("task", "remove")
    assert (attributes["name"], attributes["service.name"]) == ("web.1.t1", "web")
