"""No request is lost while tasks are replaced: clients inside and outside, with new connections and with kept ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.app.caller import Caller
from tests.e2e.world import World

WEB, CALLER = 8501, 8502
STACK = Path(__file__).parent / "stacks" / "steady.yml"


@pytest.fixture(scope="module")
def steady(world: World) -> Iterator[World]:
    world.argosy("stack", "deploy", "-c", str(STACK), "steady")
    for host in world.hosts:
        world.until(lambda host=host: Caller(world.address(host), WEB, keep=False).ask_once())
        world.until(lambda host=host: world.ask(host, CALLER))
    yield world
    world.argosy("stack", "rm", "steady")


@pytest.fixture
def clients(steady: World) -> Iterator[Callable[[], None]]:
    """Clients at the published port of each host. What it returns asserts that they and the container's do well."""
    callers = [Caller(steady.address(host), WEB, keep) for host in steady.hosts for keep in (False, True)]
    for caller in callers:
        caller.start()

    def all_is_well() -> None:
        inside = steady.ask("m1", CALLER)
        assert [failure for caller in callers for failure in caller.failures] == []
        assert inside["failures"] == []
        assert min(*inside["asked"], *(caller.asked for caller in callers)) > 10

    yield all_is_well
    for caller in callers:
        caller.over.set()
    for caller in callers:
        caller.join(10)


def update(world: World, *arguments: str) -> None:
    """Change the web service, and wait until the change is through."""
    world.argosy("service", "update", *arguments, "steady_web")


def test_no_request_is_lost_in_updates_scaling_and_drains(steady: World, clients: Callable[[], None]) -> None:
    update(steady, "--env-add", "TURN=1")
    clients()
    update(steady, "--env-add", "TURN=2", "--update-order", "start-first", "--update-parallelism", "2")
    clients()
    update(steady, "--replicas", "6")
    steady.until_running("steady_web", 6)
    clients()
    update(steady, "--replicas", "2")
    steady.until(lambda: still_running(steady) == 2)
    clients()
    for worker in ("w1", "w2"):
        steady.argosy("node", "update", "--availability", "drain", worker)
        try:
            steady.until(lambda worker=worker: has_left(steady, worker))
            clients()
        finally:
            steady.argosy("node", "update", "--availability", "active", worker)


def still_running(world: World) -> int:
    """Tasks that run, those that were told to stop among them."""
    return sum(task["Status"]["State"] == "running" for task in world.api("/tasks", service="steady_web"))


def has_left(world: World, host: str) -> bool:
    """Whether both tasks run elsewhere."""
    tasks = world.tasks("steady_web")
    return len(tasks) == 2 and all(world.host_of(task) != host for task in tasks)
