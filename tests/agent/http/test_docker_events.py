"""`docker events` and `docker ps` of one host, driven by the docker command line."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agent.lifecycle.health import Health, HealthState, Probe
from agent.runtime.oci_runtime import OciRuntime
from kit import process
from kit.timing import wall_clock
from tests.agent.http.conftest import Context
from tests.agent.runtime.hosts import load, plan, run

pytestmark = pytest.mark.root
Docker = Callable[..., Awaitable[process.Result]]


@pytest.fixture
async def ended(runtime: OciRuntime, root: Path) -> str:
    """A container that was started, signalled and has ended; and before it an image."""
    image = await load(runtime, root)
    id = await run(runtime, plan(image, "box", "sleep", "600"))
    await runtime.stop(id, "KILL", 60)
    return id


async def _events(docker: Docker, *options: str) -> list[dict[str, Any]]:
    told = await docker("events", "--since", "1", "--until", f"{wall_clock():.6f}", "--format", "{{json .}}", *options)
    return [json.loads(line) for line in told.stdout.splitlines()]


async def test_a_container_s_life_is_told(docker: Docker, ended: str, runtime: OciRuntime) -> None:
    await runtime.remove(ended)

    told = await _events(docker, "--filter", "type=container")

    assert [event["Action"] for event in told] == ["create", "start", "kill", "die", "stop", "destroy"]
    assert {event["Actor"]["ID"] for event in told} == {ended}
    assert told[0]["Actor"]["Attributes"] == {
        "image": "demo:1", "name": "box", "com.docker.swarm.task.id": "box",
    }  # fmt: skip
    assert told[2]["Actor"]["Attributes"]["signal"] == "9"
    assert told[3]["Actor"]["Attributes"]["exitCode"] == "137"


async def test_filters_choose(docker: Docker, ended: str) -> None:
    assert [e["Action"] for e in await _events(docker, "--filter", "event=die")] == ["die"]
    assert len(await _events(docker, "--filter", "container=box", "--filter", "image=demo")) == 5
    assert not await _events(docker, "--filter", "container=other")
    assert not await _events(docker, "--filter", "scope=swarm")
    assert [e["Action"] for e in await _events(docker, "--filter", "type=image")] == ["load"]
    assert len(await _events(docker, "--filter", "label=com.docker.swarm.task.id=box")) == 5


async def test_volumes_and_images_have_events_too(docker: Docker, ended: str) -> None:
    await docker("volume", "create", "data")
    await docker("volume", "rm", "data")
    await docker("tag", "demo:1", "shop:2")
    await docker("rmi", "shop:2")

    told = await _events(docker, "--filter", "type=volume", "--filter", "type=image")

    assert [(e["Type"], e["Action"]) for e in told] == [
        ("image", "load"), ("volume", "create"), ("volume", "destroy"), ("image", "tag"), ("image", "untag"),
    ]  # fmt: skip


async def test_execs_and_health_have_events(docker: Docker, runtime: OciRuntime, root: Path) -> None:
    id = await run(runtime, plan(await load(runtime, root), "box", "sleep", "600"))
    await docker("exec", "box", "sh", "-c", "exit 3", fails=True)
    runtime.publish_health(id, "healthy")

    told = await _events(docker, "--filter", "event=exec_create", "--filter", "event=exec_die")
    health = await _events(docker, "--filter", "event=health_status")

    assert [event["Action"] for event in told] == ["exec_create: sh -c exit 3", "exec_die"]
    assert told[1]["Actor"]["Attributes"]["exitCode"] == "3"
    assert [event["Action"] for event in health] == ["health_status: healthy"]


async def test_ps_knows_health_and_filters(docker: Docker, runtime: OciRuntime, context: Context, root: Path) -> None:
    image = await load(runtime, root)
    await run(runtime, plan(image, "one", "sleep", "600"))
    await run(runtime, plan(image, "two", "sleep", "600"))
    context.healths["one"] = Health(HealthState.UNHEALTHY, 3, (Probe(1.0, 2.0, 1, "no"),))

    async def names(*filters: str) -> list[str]:
        options = [word for text in filters for word in ("--filter", text)]
        return sorted((await docker("ps", "--format", "{{.Names}}", *options)).stdout.decode().split())

    assert b"(unhealthy)" in (await docker("ps", "--format", "{{.Status}}", "--filter", "name=one")).stdout
    assert await names("health=unhealthy") == ["one"]
    assert await names("is-task=true") == ["one", "two"]
    assert await names("before=two") == ["one"]
    assert await names("since=one") == ["two"]
    assert await names("publish=8080") == ["one", "two"]
    assert await names("expose=81/tcp") == []
    assert b"is no port" in (await docker("ps", "--filter", "publish=x", fails=True)).stderr
    (found,) = json.loads((await docker("inspect", "one")).stdout)
    assert found["State"]["Health"]["FailingStreak"] == 3
