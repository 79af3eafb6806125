"""What `stack plan` says is what `stack deploy` does: random pairs of files, against the real API and planners.

For each pair the first is deployed; the plan for the second is kept; the second is deployed; and what has become of the
cluster's objects is compared with the plan.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.objects import CONFIG
from cli.changes import Changes
from cli.client import Client
from cli.deploy import Deployment, compare
from cli.waiting import Wait
from compose.load import load
from compose.stack import Stack
from manager.store.state import State
from tests.manager.http.world import World, control_plane

PAIRS = 200
NAMES = ("db", "api", "web", "job")
WAIT = Wait(detach=True, timeout=30, patience=5, quiet=True)


def project(rng: random.Random, prune: bool) -> dict[str, Any]:
    """A random compose project. Ports move between services only where none that holds one is left behind."""
    names = [name for name in NAMES if rng.random() < 0.8] or ["web"]
    services = {
        name: service(rng, names[:number], number if prune else NAMES.index(name)) for number, name in enumerate(names)
    }
    networks = {name: {"internal": rng.random() < 0.05} for name in ("front", "back")}
    configs = {"conf": {"content": rng.choice(["one", "two"])}}
    return {"services": services, "networks": networks, "configs": configs}


def service(rng: random.Random, before: list[str], number: int) -> dict[str, Any]:
    """A random service that may depend on those before it."""
    found: dict[str, Any] = {"image": rng.choice(["demo:1", "demo:2"])}
    deploy: dict[str, Any] = {"labels": {"tier": rng.choice("ab")}}
    if rng.random() < 0.2:
        deploy["mode"] = "global"
    else:
        deploy["replicas"] = rng.randint(0, 3)
    if rng.random() < 0.3:
        deploy["placement"] = {"constraints": [rng.choice(["node.role == worker", "node.hostname != w9"])]}
    found["deploy"] = deploy
    if rng.random() < 0.5:
        found["environment"] = {name: str(rng.randint(0, 2)) for name in "AB" if rng.random() < 0.7}
    if rng.random() < 0.6:
        found["networks"] = sorted(rng.sample(["front", "back"], rng.randint(1, 2)))
    if rng.random() < 0.4:
        found["configs"] = ["conf"]
    if rng.random() < 0.3:
        found["ports"] = [f"{8000 + number}:80"]
    if before and rng.random() < 0.5:
        found["depends_on"] = {rng.choice(before): {"condition": "service_started", "restart": rng.random() < 0.5}}
    return found


def stack_of(content: dict[str, Any]) -> Stack:
    text = yaml.safe_dump(content)
    return load(["c.yml"], {}, "shop", "/nowhere", lambda path: text if path.endswith("c.yml") else None).stack


def deploy(client: Client, content: dict[str, Any], prune: bool) -> Changes:
    """Deploy and tell what was planned."""
    changes, present = compare(client, stack_of(content), prune=prune, resolve="changed")
    Deployment(client, changes, present, WAIT).run()
    return changes


def planned(client: Client, content: dict[str, Any], prune: bool) -> Changes:
    return compare(client, stack_of(content), prune=prune, resolve="changed")[0]


Sight = tuple[dict[str, tuple[str, int]], dict[str, str], set[str]]


def sight(state: State) -> Sight:
    """Names of services with their revisions, of networks with their ids, and of configs."""
    return (
        {service.spec.name: (service.id, service.revision) for service in state.services.values()},
        {n.spec.name: n.id for n in state.networks.values() if not n.removed and not n.spec.ingress},
        {config.spec.name for config in state.table(CONFIG).values()},
    )


def happened(old: Sight, new: Sight) -> set[str]:
    """The differences, in the words of a plan."""
    lines = {f"create service {name}" for name in new[0].keys() - old[0].keys()}
    lines |= {f"remove service {name}" for name in old[0].keys() - new[0].keys()}
    for name in old[0].keys() & new[0].keys():
        (old_id, was), (new_id, now) = old[0][name], new[0][name]
        if old_id != new_id:
            lines.add(f"replace service {name}")
        elif was != now:
            lines.add(f"change service {name}")
    lines |= {f"create network {name}" for name in new[1].keys() - old[1].keys()}
    lines |= {f"remove network {name}" for name in old[1].keys() - new[1].keys()}
    lines |= {f"replace network {name}" for name in old[1].keys() & new[1].keys() if old[1][name] != new[1][name]}
    lines |= {f"create config {name}" for name in new[2] - old[2]}
    return lines | {f"remove config {name}" for name in old[2] - new[2]}


def foretold(changes: Changes) -> set[str]:
    """The plan's own lines, without fields, reasons, and what stays as it is."""
    lines = {line for line in changes.lines() if not line.startswith((" ", "unchanged"))}
    users = {service.spec.name for change in changes.networks for service in change.users}
    gone = {service.spec.name for service in changes.prune}
    gone |= {change.spec.name for change in changes.services if change.is_made_anew}
    lines |= {f"change service {name}" for name in users - gone}
    return {line.replace("update service", "change service").replace("restart service", "change service")
            for line in lines}  # fmt: skip


@pytest.mark.parametrize("part", range(4))
async def test_a_deploy_does_what_the_plan_says_and_nothing_else(part: int, tmp_path: Path) -> None:
    rng = random.Random(part)
    async with control_plane(tmp_path, "") as world:
        client = Client(f"unix://{world.socket}")
        for number in range(PAIRS // 4):
            await _one(world, client, rng, f"pair {number} of part {part}")


async def _one(world: World, client: Client, rng: random.Random, where: str) -> None:
    prune = rng.random() < 0.5
    first, second = project(rng, prune), project(rng, prune)
    await asyncio.to_thread(deploy, client, first, True)
    assert not foretold(await asyncio.to_thread(planned, client, first, False)), where
    plan = await asyncio.to_thread(planned, client, second, prune)
    before = sight(world.manager.store.state)
    done = await asyncio.to_thread(deploy, client, second, prune)
    assert done.lines() == plan.lines(), where
    assert happened(before, sight(world.manager.store.state)) == foretold(plan), where
    assert not foretold(await asyncio.to_thread(planned, client, second, False)), where
