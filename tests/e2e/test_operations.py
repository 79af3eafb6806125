"""Services in operation: updates, rollbacks, drains and jobs with real containers."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from tests.e2e.world import World

PORT = 8301
SECOND = 1_000_000_000
PEER = ["python3", "peer.py"]
ANSWERS = ["CMD", "python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 8000), 20)"]
FAILS = ["CMD", "python3", "-c", "raise SystemExit(1)"]
KILL_ARGOSYD = "until kill -9 $(cat /run/argosy/argosyd.pid); do sleep 0.05; done"
"""The file may still name the one that was killed before."""


def post(world: World, path: str, body: object) -> Any:
    """POST to the Engine API."""
    connection = http.client.HTTPConnection("localhost", timeout=60)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(60)
    connection.sock.connect(world.socket())
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    value = json.loads(answer.read() or b"null")
    connection.close()
    assert answer.status < 300, value
    return value


def spec(
    name: str, mode: dict[str, Any], command: list[str], health: list[str] | None = None, **rest: Any
) -> dict[str, Any]:
    """A service's spec, with quick restarts."""
    container: dict[str, Any] = {"Image": "argosy-peer:1", "Command": command, "StopGracePeriod": 2 * SECOND}
    if health:
        # one wrong answer is enough; a slow one is none, as on a loaded machine each probe starts a python3
        quick = SECOND // 4
        container["Healthcheck"] = {
            "Test": health, "Interval": 5 * SECOND if health is ANSWERS else quick, "Timeout": 30 * SECOND,
            "Retries": 1, "StartPeriod": 60 * SECOND if health is ANSWERS else 0, "StartInterval": quick,
        }  # fmt: skip
    task = {"ContainerSpec": container, "RestartPolicy": {"Condition": "any", "Delay": SECOND // 2}}
    return {"Name": name, "Mode": mode, "TaskTemplate": task, **rest}


def replicated(number: int) -> dict[str, Any]:
    return {"Replicated": {"Replicas": number}}


def change(world: World, name: str, new: dict[str, Any]) -> None:
    """Want another spec of a service."""
    version = world.api(f"/services/{name}")["Version"]["Index"]
    post(world, f"/services/{name}/update?version={version}", new)


def ids(world: World, name: str) -> set[str]:
    """Tasks that run."""
    return {task["ID"] for task in world.tasks(name)}


def seen_while_updating(world: World, name: str) -> tuple[int, int, int]:
    """Until the update is completed: fewest slots with a running task, most running tasks, most that are to run."""
    least, most, most_wanted = 99, 0, 0

    def completed() -> bool:
        nonlocal least, most, most_wanted
        tasks = world.api("/tasks", service=name)
        running = [task for task in tasks if task["Status"]["State"] == "running"]
        least = min(least, len({task["Slot"] for task in running}))
        most = max(most, len(running))
        most_wanted = max(most_wanted, sum(task["DesiredState"] == "running" for task in tasks))
        return update_state(world, name) == "completed"

    world.until(completed)
    return least, most, most_wanted


def update_state(world: World, name: str) -> str:
    return str(world.api(f"/services/{name}").get("UpdateStatus", {}).get("State", ""))


@contextmanager
def service(world: World, wanted: dict[str, Any]) -> Iterator[str]:
    """A service for the time of a test."""
    post(world, "/services/create", wanted)
    try:
        yield wanted["Name"]
    finally:
        world.argosy("service", "rm", wanted["Name"])


class Client(threading.Thread):
    """Asks a published port again and again, and counts what fails."""

    def __init__(self, world: World) -> None:
        super().__init__(daemon=True)
        self.world, self.asked, self.failures, self.least = world, 0, list[str](), 99
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.05):
            host = self.world.hosts[self.asked % len(self.world.hosts)]
            try:
                self.world.ask(host, PORT)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{host}: {error!r}")
            self.asked += 1

    def __enter__(self) -> Client:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join(10)


def published() -> dict[str, Any]:
    return {"Ports": [{"TargetPort": 8000, "PublishedPort": PORT}]}


def version(wanted: dict[str, Any], number: int, **update: Any) -> dict[str, Any]:
    """The same with another environment, and so with new tasks."""
    task = wanted["TaskTemplate"]
    container = {**task["ContainerSpec"], "Env": [f"GREETING={number}"]}
    return {**wanted, "TaskTemplate": {**task, "ContainerSpec": container}, "UpdateConfig": update}


def test_ten_replicas_are_updated_start_first_without_a_failed_request_and_then_stop_first(world: World) -> None:
    wanted = spec("web", replicated(10), PEER, ANSWERS, EndpointSpec=published())
    with service(world, wanted):
        world.until_running("web", 10)
        slots = sorted(task["Slot"] for task in world.tasks("web"))
        for host in world.hosts:
            world.until(lambda host=host: world.ask(host, PORT))
        old = ids(world, "web")
        with Client(world) as client:
            how = {"Parallelism": 5, "Order": "start-first", "Monitor": SECOND}
            change(world, "web", version(wanted, 2, **how))
            least, most, most_wanted = seen_while_updating(world, "web")
        assert {task["Status"].get("Err", "") for task in world.api("/tasks", service="web")} == {""}
        assert client.asked > 20
        assert client.failures == []
        assert least == 10
        assert most > 10, "old and new tasks side by side"
        assert 10 < most_wanted <= 15, "as many new ones at once as the parallelism"
        assert sorted(task["Slot"] for task in world.until_running("web", 10)) == slots
        assert not ids(world, "web") & old
        assert {world.ask("m1", PORT)["greeting"] for _ in range(20)} == {"2"}

        old = ids(world, "web")
        change(world, "web", version(wanted, 3, Parallelism=4, Order="stop-first", Monitor=SECOND))
        least, most, _ = seen_while_updating(world, "web")
        assert 6 <= least < 10
        assert most == 10
        assert sorted(task["Slot"] for task in world.until_running("web", 10)) == slots
        assert not ids(world, "web") & old
        assert {world.ask("m1", PORT)["greeting"] for _ in range(20)} == {"3"}

        old = ids(world, "web")
        world.argosy("service", "update", "-q", "--label-add", "a=b", "--replicas", "12", "web")
        assert ids(world, "web") > old, "labels and scale restart nothing"
        world.argosy("service", "scale", "-q", "web=9")
        assert len(ids(world, "web") & old) >= 7, "of the 3 that went, 2 at least might be the new ones"


def test_what_crashes_and_what_is_unhealthy_is_rolled_back_and_says_why(world: World) -> None:
    good = spec("fragile", replicated(3), PEER)
    how = {"FailureAction": "rollback", "Order": "start-first", "Monitor": 3 * SECOND, "Delay": 2 * SECOND}
    crashing = spec("fragile", replicated(3), ["python3", "-c", "raise SystemExit(3)"])
    unhealthy = spec("fragile", replicated(3), PEER, FAILS)
    with service(world, good):
        before = {task["ID"] for task in world.until_running("fragile", 3)}
        # one that crashes ran for a moment: as many slots as the parallelism have gone over to it
        for bad, most, error in ((crashing, 1, "non-zero exit (3)"), (unhealthy, 0, "unhealthy")):
            change(world, "fragile", {**bad, "UpdateConfig": how})
            world.until(lambda: update_state(world, "fragile") == "rollback_completed")
            after = {task["ID"] for task in world.until_running("fragile", 3)}
            assert len(before - after) <= most
            assert world.api("/services/fragile")["Spec"]["TaskTemplate"]["ContainerSpec"]["Command"] == PEER
            failed = [task["Status"].get("Err", "") for task in world.api("/tasks", service="fragile")]
            assert any(error in text for text in failed), failed
            told = " ".join(world.argosy("service", "explain", "fragile").split())
            assert "was rolled back to revision" in told
            assert error in told
            before = after


def test_each_worker_can_be_drained_without_a_task_missing(world: World) -> None:
    with service(world, spec("moving", replicated(4), PEER)):
        world.until_running("moving", 4)
        for worker in ("w1", "w2"):
            world.argosy("node", "update", "--availability", "drain", worker)
            try:
                least = 4

                def left(worker: str = worker) -> bool:
                    nonlocal least
                    tasks = world.tasks("moving")
                    least = min(least, len({task["Slot"] for task in tasks}))
                    return len(tasks) == 4 and all(world.host_of(task) != worker for task in tasks)

                world.until(left)
                assert least == 4
            finally:
                world.argosy("node", "update", "--availability", "active", worker)


def test_a_job_of_twenty_completes_each_of_its_tasks_once(world: World) -> None:
    mode = {"ReplicatedJob": {"MaxConcurrent": 6, "TotalCompletions": 20}}
    with service(world, spec("twenty", mode, ["python3", "-c", "print('done')"])):
        most = 0

        def done() -> bool:
            nonlocal most
            states = Counter(task["Status"]["State"] for task in world.api("/tasks", service="twenty"))
            most = max(most, states["running"])
            return states == {"complete": 20}

        world.until(done)
        assert most <= 6
        assert sorted(task["Slot"] for task in world.api("/tasks", service="twenty")) == list(range(1, 21))


def test_a_job_of_every_two_seconds_misses_and_doubles_no_run_when_the_manager_is_killed(world: World) -> None:
    schedule = {"Cron": "*/2 * * * * *", "Overlap": "allow", "MissedWindow": 60 * SECOND, "History": 100}
    wanted = spec("tick", {"ReplicatedJob": {"TotalCompletions": 1}}, ["python3", "-c", "print('tick')"])
    with service(world, {**wanted, "Schedule": schedule}):

        def completed(number: int) -> bool:
            runs = world.api("/argosy/v1/services/tick/runs")["Runs"]
            return sum(run["Outcome"] == "completed" for run in runs) >= number

        world.until(lambda: completed(3))
        world.inside("m1", KILL_ARGOSYD)
        world.until(lambda: completed(10))
        runs = world.api("/argosy/v1/services/tick/runs")["Runs"]
        due = sorted(seconds(run["DueAt"]) for run in runs)
        assert [other - one for one, other in pairwise(due)] == [2] * (len(due) - 1)
        assert {run["Outcome"] for run in runs} <= {"completed", "running"}
        assert len({run["Number"] for run in runs}) == len(runs)
        made = Counter(task["JobIteration"]["Index"] for task in world.api("/tasks", service="tick"))
        assert set(made.values()) == {1}, "one task for each run"
    world.until(lambda: world.node_states() == dict.fromkeys(world.hosts, "ready"))


def seconds(text: str) -> int:
    """Seconds since 1970 of a time such as 2026-01-02T03:04:05.000000000Z."""
    return int(time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")))
