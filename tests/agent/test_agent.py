"""The whole agent over fakes, in virtual time: tasks from order to last trace."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from agent.runtime.interface import Image, Output, RuntimeFailure
from api.defaults import DRAIN_LIMIT, SECOND
from api.objects.observed import PortStatus
from api.service.container import ContainerSpec, Healthcheck
from api.service.ports import PortConfig
from api.service.service_spec import NetworkTarget, TaskSpec
from api.states import TaskState
from api.wire.assignments import ImageAssignment, SpecAssignment
from api.wire.session_messages import Heartbeat
from overlay.interface import NetworkFailure
from tests.agent.builders import IMAGE, NETWORK, Lab, a_host, a_spec, a_task, cid, wanting
from tests.texts import error_of, message_of

pytestmark = pytest.mark.looptime

CHECKED = Healthcheck(test=["CMD", "true"], interval=10 * SECOND, retries=2)


async def running(lab: Lab, *tasks: str, **spec: object) -> None:
    """Assign tasks and wait until they run."""
    connection = await lab.manager.talking()
    connection.assign(full=True, put=[NETWORK, a_spec(**spec), *[a_task(id) for id in tasks]])  # type: ignore[arg-type]
    await lab.manager.until(lambda: all(lab.manager.state(id) == "running" for id in tasks))


async def wanted(lab: Lab, desired: TaskState, state: str, task: str = "t1") -> None:
    """Want a task otherwise and wait until it is so."""
    (await lab.manager.talking()).assign(put=[wanting(a_task(task), desired)])
    await lab.manager.until(lambda: lab.manager.state(task) == state)


async def test_a_task_runs_in_its_sandbox_with_dockers_labels_and_names(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1", hosts=["192.0.2.9 db"])

        plan = lab.runtime.plans[cid()]
        assert plan.netns == f"/run/netns/{cid()}"
        assert plan.hostname == cid()[:12]
        assert plan.hosts == ("192.0.2.9 db", f"10.0.1.140 {cid()[:12]}")
        assert plan.labels["com.docker.swarm.task.name"] == "web.1.t1"
        assert plan.labels["com.docker.swarm.node.id"] == "node1"
        status = lab.manager.statuses["t1"][-1]
        assert (status.container_id, status.pid) == (cid(), 101)


async def test_ports_of_the_host_are_told_with_the_numbers_they_got(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        spec = msgspec.structs.replace(a_spec(), host_ports=[PortConfig(target_port=80, publish_mode="host")])
        (await lab.manager.talking()).assign(full=True, put=[NETWORK, spec, a_task()])
        await lab.manager.until(lambda: lab.manager.state("t1") == "running")
        assert lab.agent

        assert lab.manager.statuses["t1"][-1].ports == [PortStatus("tcp", 80, 32768)]
        assert lab.agent.network_name("net") == "shop_default"


async def test_a_task_on_the_hosts_network_gets_no_sandbox(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        task = TaskSpec(container_spec=ContainerSpec(image=IMAGE), networks=[NetworkTarget("host")])
        order = msgspec.structs.replace(a_task(), attachments=[])
        (await lab.manager.talking()).assign(full=True, put=[SpecAssignment("s1.1", task), order])
        await lab.manager.until(lambda: lab.manager.state("t1") == "running")

        assert lab.runtime.plans[cid()].netns == ""
        assert not lab.networks.open_sandboxes


async def test_a_status_says_since_when_the_task_ran(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1")
        started = lab.manager.statuses["t1"][-1].timestamp
        await asyncio.sleep(50)
        lab.runtime.end(cid(), 1)
        await lab.manager.until(lambda: lab.manager.state("t1") == "failed")

        last = lab.manager.statuses["t1"][-1]
        assert last.started_at == started
        assert last.timestamp >= started + 50


async def test_a_quick_start_is_told_in_one_status(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1")

        assert [status.state.value for status in lab.manager.statuses["t1"]] == ["running"]


async def test_a_task_waits_for_its_networks_and_can_be_given_up_meanwhile(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        (await lab.manager.talking()).assign(full=True, put=[a_spec(), a_task()])
        await lab.manager.until(lambda: lab.manager.state("t1") == "preparing")
        assert message_of(lab.manager.statuses["t1"][-1]) == "waiting for its networks"

        await wanted(lab, TaskState.SHUTDOWN, "shutdown")

        assert "create" not in lab.runtime.verbs(cid())


async def test_a_missing_image_rejects_the_task_with_its_sentence(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        del lab.runtime.store[IMAGE]
        order = ImageAssignment(IMAGE, ["node2@192.0.2.2:7946"])
        (await lab.manager.talking()).assign(full=True, put=[order, NETWORK, a_spec(), a_task()])
        await lab.manager.until(lambda: lab.manager.state("t1") == "rejected")

        assert "no such image" in error_of(lab.manager.statuses["t1"][-1])
        assert lab.runtime.peers_asked == [("node2@192.0.2.2:7946",)]


@pytest.mark.parametrize(("verb", "state"), [("create", "rejected"), ("start", "failed")])
async def test_what_the_runtime_refuses_ends_the_task_and_leaves_nothing(tmp_path: Path, verb: str, state: str) -> None:
    async with a_host(tmp_path) as lab:
        lab.runtime.failures[(verb, "web.1.t1")] = RuntimeFailure("bind source /nowhere does not exist")
        (await lab.manager.talking()).assign(full=True, put=[NETWORK, a_spec(), a_task()])
        await lab.manager.until(lambda: lab.manager.state("t1") == state)

        assert error_of(lab.manager.statuses["t1"][-1]) == "bind source /nowhere does not exist"
        assert not lab.runtime.all
        assert not lab.networks.open_sandboxes


async def test_a_host_port_in_use_rejects_the_task(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        lab.networks.failures["web.1.t1"] = NetworkFailure("port 80/tcp is in use on this host")
        (await lab.manager.talking()).assign(full=True, put=[NETWORK, a_spec(), a_task()])
        await lab.manager.until(lambda: lab.manager.state("t1") == "rejected")

        assert error_of(lab.manager.statuses["t1"][-1]) == "port 80/tcp is in use on this host"


@pytest.mark.parametrize(("code", "state"), [(0, "complete"), (3, "failed")])
async def test_an_ended_container_is_kept_but_its_sandbox_is_closed(tmp_path: Path, code: int, state: str) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1")
        lab.runtime.end(cid(), code)
        await lab.manager.until(lambda: lab.manager.state("t1") == state)

        assert lab.manager.statuses["t1"][-1].exit_code == code
        assert cid() in lab.runtime.all
        assert not lab.networks.open_sandboxes
        await wanted(lab, TaskState.REMOVE, state)
        await settled()
        assert not lab.runtime.all


async def settled() -> None:
    """A moment in which everything that can happen happens."""
    await asyncio.sleep(1)


async def test_shutdown_stops_within_the_grace_period(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        lab.runtime.stubborn.add("web.1.t1")
        await running(lab, "t1", stop_grace_period=3 * SECOND)
        before = lab.clock()
        await wanted(lab, TaskState.SHUTDOWN, "shutdown")

        assert lab.clock() - before == pytest.approx(3, abs=0.1)
        assert lab.manager.statuses["t1"][-1].exit_code == 137


async def stopped_after(lab: Lab, released_after: float | None) -> float:
    """Seconds until a task is stopped that is told to drain, and after some time that it has."""
    before, talk = lab.clock(), await lab.manager.talking()
    order = msgspec.structs.replace(wanting(a_task(), TaskState.SHUTDOWN), draining=True, linger=0.5)
    talk.assign(put=[order])
    if released_after is not None:
        await asyncio.sleep(released_after)
        assert "stop" not in lab.runtime.verbs(cid())
        talk.assign(put=[msgspec.structs.replace(order, draining=False)])
    await lab.manager.until(lambda: lab.manager.state("t1") == "shutdown")
    return lab.clock() - before


async def test_a_task_is_signalled_when_all_hosts_have_let_go_of_it_and_what_was_under_way_has_come(
    tmp_path: Path,
) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1")

        assert await stopped_after(lab, 0.4) == pytest.approx(0.9, abs=0.1)


async def test_hosts_that_do_not_answer_hold_up_a_stop_for_a_limited_time(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1")

        assert await stopped_after(lab, None) == pytest.approx(DRAIN_LIMIT + 0.5, abs=0.1)


async def test_a_task_that_drains_is_stopped_at_once_when_its_service_is_gone(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1")
        talk = await lab.manager.talking()
        talk.assign(put=[msgspec.structs.replace(wanting(a_task(), TaskState.SHUTDOWN), draining=True, linger=0.5)])
        await asyncio.sleep(0.1)
        talk.assign(remove=[("task", "t1")])
        await asyncio.sleep(0.1)

        assert lab.runtime.verbs(cid())[-1] == "remove"


async def test_assignments_are_confirmed_once_the_networks_follow_them(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        lab.networks.routing.clear()
        (await lab.manager.talking()).assign(full=True, put=[NETWORK])
        await settled()
        assert Heartbeat(1) not in lab.manager.heard
        lab.networks.routing.set()
        await lab.manager.until(lambda: Heartbeat(1) in lab.manager.heard)


async def test_a_signal_that_does_not_exist_makes_no_container_unstoppable(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1", stop_signal="SIGNONSENSE")

        await wanted(lab, TaskState.SHUTDOWN, "shutdown")


@pytest.mark.parametrize("stopping", [False, True])
async def test_a_container_removed_by_hand_fails_its_task(tmp_path: Path, stopping: bool) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1")
        if stopping:
            lab.runtime.failures["stop", "web.1.t1"] = RuntimeFailure("busy")
            (await lab.manager.talking()).assign(put=[wanting(a_task(), TaskState.SHUTDOWN)])
            await asyncio.sleep(0.01)
        await lab.runtime.remove(cid())

        await lab.manager.until(lambda: lab.manager.state("t1") == "failed")
        assert not lab.networks.open_sandboxes


async def test_a_removed_task_is_stopped_and_leaves_no_trace(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1")
        (await lab.manager.talking()).assign(remove=[("task", "t1"), ("spec", "s1.1")])
        await settled()

        assert lab.runtime.verbs(cid()) == ["create", "start", "stop", "remove"]
        assert not lab.networks.open_sandboxes
        assert [status.state.value for status in lab.manager.statuses["t1"]] == ["running"]


async def test_cleaning_up_is_tried_until_it_works(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1")
        lab.runtime.failures[("stop", "web.1.t1")] = RuntimeFailure("cgroup is busy")
        await wanted(lab, TaskState.SHUTDOWN, "shutdown")

        assert lab.runtime.verbs(cid()).count("stop") == 2


async def test_a_registry_that_is_away_is_told_and_asked_again(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        lab.runtime.outages = 4
        (await lab.manager.talking()).assign(full=True, put=[NETWORK, a_spec(), a_task()])
        await lab.manager.until(lambda: lab.manager.state("t1") == "running")

        messages = [message_of(status) for status in lab.manager.statuses["t1"]]
        assert f"getting image {IMAGE}: the registry does not answer" in messages


async def test_a_new_image_is_told_to_the_managers(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        await settled()
        lab.runtime.add_image("docker.io/library/other:2")
        await lab.manager.until(
            lambda: "docker.io/library/other:2" in lab.manager.hellos()[-1].description.images, deadline=5
        )


async def test_what_the_host_uses_of_the_address_space_is_told_to_the_managers_and_kept_current(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        lab.networks.host_prefixes = ("192.0.2.0/24",)
        await settled()
        lab.networks.host_prefixes = ("10.9.0.0/16", "192.0.2.0/24")
        await lab.manager.until(
            lambda: lab.manager.hellos()[-1].description.prefixes == ["10.9.0.0/16", "192.0.2.0/24"], deadline=20
        )


async def test_a_task_with_a_health_check_is_starting_until_it_is_healthy(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        before = lab.clock()
        await running(lab, "t1", healthcheck=CHECKED)

        assert [status.state.value for status in lab.manager.statuses["t1"]] == ["starting", "running"]
        assert lab.clock() - before == pytest.approx(10, abs=0.2)


async def test_an_unhealthy_container_is_stopped_and_its_task_fails(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1", healthcheck=CHECKED)
        lab.runtime.probe = lambda _: Output(1, b"connection refused\n")
        await lab.manager.until(lambda: lab.manager.state("t1") == "failed")

        # from the moment it is unhealthy nobody is sent there
        assert [status.closing for status in lab.manager.statuses["t1"]][1:] == [False, True, True, False]
        error = error_of(lab.manager.statuses["t1"][-1])
        assert error.startswith("task: non-zero exit (143): unhealthy container")
        assert error.endswith("connection refused")


async def test_the_images_own_health_check_counts(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        lab.runtime.add_image(IMAGE, Image("sha256:1", (IMAGE,), (), healthcheck=CHECKED))
        await running(lab, "t1")

        assert "exec" in lab.runtime.verbs(cid())


async def test_no_more_containers_are_started_at_once_than_there_are_places(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        lab.runtime.create_delay = 1.0
        before = lab.clock()
        await running(lab, *[f"t{number}" for number in range(40)])

        assert lab.runtime.most_creating == 8
        assert lab.clock() - before == pytest.approx(5, abs=0.5)


async def test_a_slow_image_holds_up_nobody_else(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        lab.runtime.pull_delay = 1000.0
        far = SpecAssignment("s2.1", TaskSpec(container_spec=ContainerSpec(image="far:1")))
        slow = [a_task(f"slow{number}", spec_id="s2.1") for number in range(20)]
        put = [NETWORK, far, a_spec(), *slow, a_task("quick")]
        (await lab.manager.talking()).assign(full=True, put=put)
        await lab.manager.until(lambda: lab.manager.state("quick") == "running", deadline=10)


async def test_a_lost_session_touches_no_task_and_everything_is_told_again(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1", "t2")
        lab.manager.accepting = False
        (await lab.manager.talking()).break_off()
        await lab.manager.until(lambda: lab.manager.connection is None)
        lab.manager.statuses.clear()
        await lab.manager.talking()
        await lab.manager.until(lambda: lab.manager.state("t1") == lab.manager.state("t2") == "running")

        assert lab.runtime.verbs(cid("t1")) == lab.runtime.verbs(cid("t2")) == ["create", "start"]


async def test_the_full_set_of_a_new_session_removes_what_is_gone(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        await running(lab, "t1", "t2")
        (await lab.manager.talking()).break_off()
        await lab.manager.until(lambda: lab.manager.connection is None)
        (await lab.manager.talking()).assign(full=True, put=[NETWORK, a_spec(), a_task("t2")])
        await settled()

        assert list(lab.runtime.all) == [cid("t2")]
        assert list(lab.networks.open_sandboxes) == [cid("t2")]
