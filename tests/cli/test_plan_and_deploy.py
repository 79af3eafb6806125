"""What `stack plan` says is what `stack deploy` does: random pairs of files, against the real API and planners.

For each pair the first is deployed; the plan for the second is kept; the second is deployed; and what has become of the
cluster's objects is compared with the plan. With real containers: tests/e2e/test_plan.py.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from api.objects.kinds import CONFIG, SECRET
from cli.client import Client
from cli.deploy.deployment import Deployment, compare
from cli.show.service_progress import Wait
from compose.deploy.deploy_plan import DeployPlan
from manager.store.state import State
from tests.cli.pairs import Shape, Sight, foretold, happened, project, stack_of
from tests.manager.http.world import World, control_plane

PAIRS = 200
SHAPE = Shape()
WAIT = Wait(detach=True, timeout=30, patience=5, quiet=True)


def deploy(client: Client, content: dict[str, Any], prune: bool) -> DeployPlan:
    """Deploy and tell what was planned."""
    changes, snapshot = compare(client, stack_of(content, "shop"), prune=prune, resolve="changed")
    Deployment(client, changes, snapshot, WAIT).run()
    return changes


def planned(client: Client, content: dict[str, Any], prune: bool) -> DeployPlan:
    return compare(client, stack_of(content, "shop"), prune=prune, resolve="changed")[0]


def sight(state: State) -> Sight:
    """What the store has."""
    return Sight(
        {service.spec.name: (service.id, service.revision) for service in state.services.values()},
        {n.spec.name: n.id for n in state.networks.values() if not n.removed and not n.spec.ingress},
        frozenset(
            f"{kind} {file.spec.name}"
            for kind, table in (("config", CONFIG), ("secret", SECRET))
            for file in state.table(table).values()
        ),
    )


@pytest.mark.parametrize("part", range(4))
async def test_a_deploy_does_what_the_plan_says_and_nothing_else(part: int, tmp_path: Path) -> None:
    rng = random.Random(part)
    async with control_plane(tmp_path, "") as world:
        client = Client(f"unix://{world.socket}")
        for number in range(PAIRS // 4):
            await _one(world, client, rng, f"pair {number} of part {part}")


async def _one(world: World, client: Client, rng: random.Random, where: str) -> None:
    prune = rng.random() < 0.5
    first, second = project(rng, prune, SHAPE), project(rng, prune, SHAPE)
    await asyncio.to_thread(deploy, client, first, True)
    assert not foretold(await asyncio.to_thread(planned, client, first, False)), where
    plan = await asyncio.to_thread(planned, client, second, prune)
    before = sight(world.manager.store.state)
    done = await asyncio.to_thread(deploy, client, second, prune)
    assert done.lines() == plan.lines(), where
    assert happened(before, sight(world.manager.store.state)) == foretold(plan), where
    assert not foretold(await asyncio.to_thread(planned, client, second, False)), where
