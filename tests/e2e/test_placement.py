"""Where tasks run: what they reserve, constraints that cease to hold, nested spread, nodes that leave and return."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.world import World

PEER = ("argosy-peer:1", "python3", "peer.py")
TELL = (
    "import os, time; print(os.environ['DOCKER_RESOURCE_GPU'], os.environ['DOCKER_RESOURCE_SSD'], flush=True);"
    " time.sleep(600)"
)
QUICK = ("-q", "--stop-grace-period", "1s", "--update-monitor", "1s")


@contextmanager
def service(world: World, name: str, *arguments: str) -> Iterator[None]:
    """A service for the time of a test."""
    world.argosy("service", "create", "--name", name, *QUICK, *arguments)
    try:
        yield
    finally:
        world.argosy("service", "rm", name)


@contextmanager
def labels(world: World, of: dict[str, list[str]]) -> Iterator[None]:
    """Labels of nodes for the time of a test."""
    for host, texts in of.items():
        world.argosy("node", "update", *[f"--label-add={text}" for text in texts], host)
    try:
        yield
    finally:
        for host, texts in of.items():
            world.argosy("node", "update", *[f"--label-rm={text.partition('=')[0]}" for text in texts], host)


def hosts(world: World, name: str) -> Counter[str]:
    """How many tasks run on each host."""
    return Counter(world.host_of(task) for task in world.tasks(name))


def test_generic_resources_are_given_to_one_task_each_which_finds_them_in_its_environment(world: World) -> None:
    wants = ("--generic-resource", "gpu=1", "--generic-resource", "ssd=1", "--detach")
    with service(world, "miner", "--replicas", "7", *wants, "argosy-peer:1", "python3", "-c", TELL):
        tasks = world.until_running("miner", 6)
        held = []
        for task in tasks:
            told = world.until(lambda task=task: world.argosy("service", "logs", "--raw", task["ID"]).split())
            assert told[1:] == ["1"]
            held.append((world.host_of(task), told[0]))
        assert sorted(held) == [(host, gpu) for host in sorted(world.hosts) for gpu in ("one", "two")]
        waiting = "no suitable node (insufficient resources on 3 nodes)"
        assert waiting in " ".join(world.argosy("service", "explain", "miner").split())
        world.argosy("service", "scale", "-q", "miner=6")


def test_tasks_leave_a_node_whose_labels_no_longer_meet_their_constraints(world: World) -> None:
    with (
        labels(world, {"w1": ["disk=ssd"]}),
        service(world, "fast", "--replicas", "2", "--constraint", "node.labels.disk == ssd", *PEER),
    ):
        assert hosts(world, "fast") == {"w1": 2}
        world.argosy("node", "update", "--label-add", "disk=hdd", "w1")
        told = world.until(lambda: "no suitable" in (text := world.argosy("service", "explain", "fast")) and text)
        assert "node.labels.disk == ssd" in told
        assert "--label-add disk=ssd" in told
        assert hosts(world, "fast") == {}
        with labels(world, {"w2": ["disk=ssd"]}):
            world.until(lambda: hosts(world, "fast") == {"w2": 2})


def test_preferences_spread_over_zones_first_and_within_them_over_racks(world: World) -> None:
    over = ("--placement-pref", "spread=node.labels.az", "--placement-pref", "spread=node.labels.rack")
    where = {"m1": ["az=a", "rack=1"], "w1": ["az=b", "rack=1"], "w2": ["az=b", "rack=2"]}
    with labels(world, where), service(world, "even", "--replicas", "8", *over, *PEER):
        assert hosts(world, "even") == {"m1": 4, "w1": 2, "w2": 2}
        world.argosy("service", "scale", "-q", "even=4")
        assert hosts(world, "even") == {"m1": 2, "w1": 1, "w2": 1}


def test_a_drain_waits_until_the_node_is_empty_and_tasks_come_back_when_it_does(world: World) -> None:
    with service(world, "moving", "--replicas", "6", "--rebalance", "--update-parallelism", "2", *PEER):
        assert hosts(world, "moving") == {"m1": 2, "w1": 2, "w2": 2}
        try:
            world.argosy("node", "drain", "--wait", "w1")
            assert hosts(world, "moving") == {"m1": 3, "w2": 3}
        finally:
            world.argosy("node", "update", "--availability", "active", "w1")
        least = 6

        def even() -> bool:
            nonlocal least
            tasks = world.tasks("moving")
            least = min(least, len({task["Slot"] for task in tasks}))
            return hosts(world, "moving") == {"m1": 2, "w1": 2, "w2": 2} and len(tasks) == 6

        world.until(even)
        assert least == 6


def test_an_update_that_finds_no_place_ends_at_its_deadline_with_the_reason(world: World) -> None:
    nowhere = ("--constraint-add", "node.labels.nowhere == yes", "--env-add", "A=1", "--update-order", "start-first")
    with service(world, "stuck", "--replicas", "2", *PEER):
        before = {task["ID"] for task in world.tasks("stuck")}
        for action, state in (("rollback", "rollback_completed"), ("pause", "paused")):
            how = ("--update-progress-deadline", "2s", "--update-failure-action", action, "--force", "--detach")
            world.argosy("service", "update", *how, *nowhere, "stuck")
            world.until(lambda state=state: world.api("/services/stuck")["UpdateStatus"]["State"] == state)
            told = " ".join(world.argosy("service", "explain", "stuck").split())
            assert "no progress for 2 seconds" in told, told
            assert "scheduling constraints not satisfied on 3 nodes" in told
        assert {task["ID"] for task in world.until_running("stuck", 2)} == before
