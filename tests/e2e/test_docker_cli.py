"""The unmodified docker command line drives a cluster: services, nodes, events, and the containers of each host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kit.timing import wall_clock
from tests.e2e.world import IMAGE, World

SERVICE = "dock"
PEER = ("python3", "/app/peer.py")


@pytest.fixture
def service(world: World) -> Iterator[str]:
    """Two replicas, updated one after the other."""
    flags = ["--replicas", "2", "--env", "STEP=one", "--update-monitor", "500ms", "--stop-grace-period", "1s"]
    flags += ["--update-failure-action", "rollback", "--rollback-monitor", "500ms", "--restart-delay", "500ms"]
    said = world.docker("service", "create", "--name", SERVICE, *flags, IMAGE, *PEER)
    assert f"Service {said.splitlines()[0]} converged" in said
    yield SERVICE
    world.docker("service", "rm", SERVICE)


def _events(world: World, host: str, since: float, *filters: str) -> list[dict[str, Any]]:
    options = [word for text in filters for word in ("--filter", text)]
    until = f"{wall_clock():.6f}"
    told = world.docker(
        *("events", "--since", f"{since:.6f}", "--until", until, "--format", "{{json .}}", *options), host=host
    )
    return [json.loads(line) for line in told.splitlines()]


def test_update_rollback_ps_inspect_and_events(world: World, service: str) -> None:
    begin = wall_clock()
    assert f"Service {service} converged" in world.docker("service", "update", "--env-add", "STEP=two", service)
    assert "STEP=two" in world.docker("service", "inspect", "--pretty", service)
    assert f"Service {service} converged" in world.docker("service", "rollback", service)
    pretty = world.docker("service", "inspect", "--pretty", service)
    assert "STEP=one" in pretty
    assert "rollback_completed" in pretty

    rows = world.docker("service", "ps", service, "--format", "{{.Name}} {{.DesiredState}} {{.CurrentState}}")
    assert rows.count(" Running Running ") == 2
    assert rows.count(" Shutdown ") == 4

    states = [
        event["Actor"]["Attributes"].get("updatestate.new")
        for event in _events(world, "m1", begin, "type=service", f"service={service}")
    ]
    assert [state for state in states if state] == [
        "updating", "completed", "rollback_started", "rollback_completed",
    ]  # fmt: skip
    tasks = _events(world, "m1", begin, "type=task", f"service={service}", "event=running")
    assert len(tasks) == 4


def test_an_update_that_fails_is_rolled_back_while_the_client_waits(world: World, service: str) -> None:
    # on a slow machine python3 needs a while to find that there is no such file
    flags = ["--update-monitor", "10s", "--args", "/app/nosuch.py", "--entrypoint", "python3"]
    said = world.docker("service", "update", *flags, service)

    assert "rollback: update rolled back due to failure or early termination of task" in said
    assert f"Service {service} converged" in said
    world.until(lambda: "rollback_completed" in world.docker("service", "inspect", "--pretty", service))
    assert len(world.until_running(service, 2)) == 2


def test_jobs_end_for_the_client_that_waits(world: World) -> None:
    try:
        flags = ["--name", "dockjob", "--mode", "replicated-job", "--replicas", "3", "--max-concurrent", "2"]
        assert "job complete" in world.docker("service", "create", *flags, IMAGE, "python3", "-c", "pass")
        assert "job complete" in world.docker("service", "update", "--force", "dockjob")
        row = world.docker("service", "ls", "-f", "name=dockjob", "--format", "{{.Mode}} {{.Replicas}}")
        assert row.strip() == "replicated job 0/0 (3/3 completed)"
    finally:
        world.docker("service", "rm", "dockjob")


def test_node_update_inspect_ps_and_events(world: World, service: str) -> None:
    begin = wall_clock()
    world.docker("node", "update", "--label-add", "rack=7", "--availability", "pause", "w1")
    try:
        pretty = world.docker("node", "inspect", "--pretty", "w1")
        assert "rack=7" in pretty
        assert "Pause" in pretty
        assert world.docker("node", "ls", "-f", "node.label=rack=7", "--format", "{{.Hostname}}").strip() == "w1"
    finally:
        world.docker("node", "update", "--label-rm", "rack", "--availability", "active", "w1")
    names = {world.host_of(task) for task in world.tasks(service)}
    for name in names:
        assert service in world.docker("node", "ps", name)

    told = [event["Actor"]["Attributes"] for event in _events(world, "m1", begin, "type=node", "node=w1")]
    assert [one["availability.new"] for one in told if "availability.new" in one] == ["pause", "active"]


def test_exec_stats_top_and_events_on_the_host_that_runs_it(world: World, service: str) -> None:
    task = next(task for task in world.tasks(service))
    host, id = world.host_of(task), task["Status"]["ContainerStatus"]["ContainerID"]
    begin = wall_clock()

    script = "import os, sys; print(sys.stdin.read(), os.environ['A'], os.environ['STEP']); sys.exit(3)"
    command = ("exec", "-i", "-e", "A=b", id, "python3", "-c", script)
    said = world.docker(*command, host=host, stdin="hello", code=3)
    assert said == "hello b one\n"
    assert "/app/peer.py" in world.docker("top", id, host=host)
    assert int(world.docker("stats", "--no-stream", "--format", "{{.PIDs}}", id, host=host)) >= 1

    # one that did not end in time would be killed, which is another event
    world.docker("stop", "-t", "20", id, host=host)
    assert len(world.until_running(service, 2)) == 2
    told = [event["Action"] for event in _events(world, host, begin, f"container={id}")]
    assert [action for action in told if not action.startswith("exec_")] == ["kill", "die", "stop"]
    assert "exec_die" in told
