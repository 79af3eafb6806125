"""What `stack plan` says is what `stack deploy` does, with real containers: chains of random compose files.

Each file is deployed over the one before it. What became of services, networks, secrets and configs, and which tasks
were replaced and which kept, is compared with the plan; and what the plan does not name must not have changed at all.
Several stacks at once. ARGOSY_PLAN_PAIRS says how many pairs there are in all.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from api.engine.networks import NetworkAnswer
from api.engine.services import ServiceAnswer
from api.engine.stored_files import StoredFileAnswer
from api.engine.tasks import TaskAnswer
from api.service.service_spec import ServiceSpec
from cli.client import Client
from cli.deploy.deployment import Deployment, compare, stack_filter
from cli.deploy.stack_removal import StackRemoval
from cli.show.service_progress import Wait
from compose.deploy.deploy_plan import DeployPlan, DeploySnapshot
from compose.deploy.plan_files import FILE_KINDS
from tests.cli.pairs import Shape, Sight, foretold, happened, project, restarts, stack_of
from tests.e2e.world import World
from tests.images import docker_archive

PAIRS = int(os.environ.get("ARGOSY_PLAN_PAIRS", "30"))
CHAINS = 5
IMAGES = ("argosy-pair:1", "argosy-pair:2")
WORKERS_ONLY = "node.role == worker"
# nothing to wait for when a task stops
SLEEPS = {"command": ["sleep", "1000000"], "stop_signal": "SIGKILL"}
DEADLINE = 120.0
"""Seconds for one deploy to settle; all chains share the machine."""


@dataclass(frozen=True)
class Looked:
    """What the cluster has of a stack."""

    sight: Sight
    objects: Mapping[str, tuple[int, str]]
    """Id of each object → version and time of the last change."""
    tasks: Mapping[str, Mapping[str, str]]
    """By service: ids of the tasks that run and are to → their nodes."""
    specs: Mapping[str, ServiceSpec] = field(default_factory=dict)


@pytest.fixture(scope="module")
def images(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in IMAGES:
        archive = tmp_path_factory.mktemp("pair") / "image.tar"
        docker_archive(archive, [name], config={"Labels": {"name": name}})
        world.argosy("image", "load", "-i", str(archive))


@pytest.mark.usefixtures("images")
def test_a_deploy_does_what_the_plan_says_to_objects_and_tasks(world: World) -> None:
    # msgspec prepares a type when it is first decoded, and crashes when two threads do so at once
    first = Chain(world, 0)
    first.compare(first.project(), True)
    first.look()
    with ThreadPoolExecutor(CHAINS) as pool:
        runs = [pool.submit(Chain(world, number).run, share(number)) for number in range(CHAINS)]
    for run in runs:
        run.result()


def share(number: int) -> int:
    """Pairs of a chain."""
    return PAIRS // CHAINS + (number < PAIRS % CHAINS)


class Chain:
    """One stack that becomes one random file after another."""

    def __init__(self, world: World, number: int) -> None:
        self.client = Client(f"unix://{world.socket()}")
        self.managers = {node["ID"] for node in world.api("/nodes") if node["Spec"]["Role"] == "manager"}
        self.name = f"pairs{number}"
        self.rng = random.Random(number)
        self.ports_move = number % 2 == 0
        """From one service to another; then none may be left behind with one."""
        self.shape = Shape(IMAGES, most_replicas=2, first_port=8500 + 10 * number, common=SLEEPS)

    def run(self, pairs: int) -> None:
        """Deploy a first file, then so many others."""
        self.deploy(self.project(), True)
        before = self.settled()
        for number in range(pairs):
            prune = self.ports_move or self.rng.random() < 0.5
            before = self.step(before, self.project(), prune, f"{self.name}, pair {number}")
        StackRemoval(self.client, self.name).run(detach=False, timeout=DEADLINE)

    def project(self) -> dict[str, Any]:
        return project(self.rng, self.ports_move, self.shape)

    def step(self, before: Looked, content: dict[str, Any], prune: bool, where: str) -> Looked:
        """One pair: plan, deploy, compare; plan and deploy again, which must do nothing."""
        changes, snapshot = self.compare(content, prune)
        print(where)
        where += "\n" + "\n".join(changes.lines())
        assert self.look() == before, f"something changed after all had settled: {where}"
        self.do(changes, snapshot)
        after = self.settled()
        assert happened(before.sight, after.sight) == foretold(changes), where
        self.check_objects(before, after, where)
        for service, is_restarted in restarts(changes).items():
            self.check_tasks(before, after, service, is_restarted, where)
        again, snapshot = self.compare(content, prune=False)
        assert again.is_empty, f"{where}\nand again: {again.lines()}"
        self.do(again, snapshot)
        return after

    def check_objects(self, before: Looked, after: Looked, where: str) -> None:
        """What the plan does not name has the version and the times it had."""
        changed = {
            id for name, (id, number) in before.sight.services.items() if after.sight.services.get(name) != (id, number)
        }
        for id in (before.objects.keys() & after.objects.keys()) - changed:
            assert after.objects[id] == before.objects[id], f"{id}: {where}"

    def check_tasks(self, before: Looked, after: Looked, service: str, is_restarted: bool, where: str) -> None:
        """All tasks are others where the plan says so; else as many as can be are the same."""
        old, new = before.tasks.get(service, {}), after.tasks.get(service, {})
        kept = old.keys() & new.keys()
        if is_restarted:
            assert not kept, f"{service} was to restart: {where}"
            return
        constraints = _constraints(after.specs[service])
        may_stay = {id for id, node in old.items() if WORKERS_ONLY not in constraints or node not in self.managers}
        assert len(kept) >= min(len(may_stay), len(new)), f"{service} was not to restart: {where}\n{old} {new}"

    # ── doing and looking ────────────────────────────────────────────────────────────────────────────────────────

    def compare(self, content: dict[str, Any], prune: bool) -> tuple[DeployPlan, DeploySnapshot]:
        return compare(self.client, stack_of(content, self.name), prune=prune, resolve="changed")

    def deploy(self, content: dict[str, Any], prune: bool) -> None:
        self.do(*self.compare(content, prune))

    def do(self, changes: DeployPlan, snapshot: DeploySnapshot) -> None:
        wait = Wait(detach=True, timeout=DEADLINE, patience=DEADLINE, quiet=True)
        Deployment(self.client, changes, snapshot, wait).run()

    def settled(self) -> Looked:
        """What there is once every service runs as it is wanted."""
        end = time.monotonic() + DEADLINE
        while problem := self.unsettled():
            assert time.monotonic() < end, f"{self.name}: {problem}"
            time.sleep(0.2)
        return self.look()

    def unsettled(self) -> str:
        """What is not yet as it is wanted; "" when all is."""
        services = self.client.get("/services", list[ServiceAnswer], filters=stack_filter(self.name))
        ids = {"service": [service.id for service in services]}
        tasks = self.client.get("/tasks", list[TaskAnswer], filters={**ids, "desired-state": ["running", "ready"]})
        current = {
            task.id for task in self.client.get("/tasks", list[TaskAnswer], filters={**ids, "_up-to-date": ["true"]})
        }
        for service in services:
            own = [task for task in tasks if task.service_id == service.id]
            if service.update_status and service.update_status.state in ("updating", "rollback_started"):
                return f"{service.spec.name} is updated: {service.update_status}"
            if len(own) != _wanted(service.spec) or any(task.id not in current for task in own):
                return f"{service.spec.name} has {len(own)} tasks: {[task.status for task in own]}"
            if late := [task.status for task in own if task.status.state != "running"]:
                return f"{service.spec.name}: {late}"
        return ""

    def look(self) -> Looked:
        """All of the stack."""
        mine = stack_filter(self.name)
        services = self.client.get("/services", list[ServiceAnswer], filters=mine)
        networks = self.client.get("/networks", list[NetworkAnswer], filters=mine)
        files = {kind: self.client.get(f"/{kind}s", list[StoredFileAnswer], filters=mine) for kind in FILE_KINDS}
        tasks = self.client.get("/tasks", list[TaskAnswer], filters={**mine, "desired-state": ["running"]})
        objects = {service.id: (service.version.index, service.updated_at) for service in services}
        raw = [item for kind in FILE_KINDS for item in self.client.get_json(f"/{kind}s", {}, mine)]
        objects |= {item["ID"]: (item["Version"]["Index"], item["UpdatedAt"]) for item in raw}
        return Looked(
            Sight(
                {service.spec.name: (service.id, service.version.index) for service in services},
                {network.name: network.id for network in networks},
                frozenset(f"{kind} {file.spec.name}" for kind, found in files.items() for file in found),
            ),
            objects,
            {s.spec.name: {task.id: task.node_id for task in tasks if task.service_id == s.id} for s in services},
            {service.spec.name: service.spec for service in services},
        )


def _wanted(spec: ServiceSpec) -> int:
    """Tasks on one manager and two workers."""
    if spec.mode.global_ is not None:
        return 2 if WORKERS_ONLY in _constraints(spec) else 3
    assert spec.mode.replicated is not None
    return spec.mode.replicated.replicas or 0


def _constraints(spec: ServiceSpec) -> list[str]:
    placement = spec.task_template.placement
    return placement.constraints if placement else []
