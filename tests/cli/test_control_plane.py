"""The command against the real HTTP API and the real planners; only the containers are words."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.objects.decided import ServiceDecision
from api.objects.kinds import CONFIG, SECRET
from api.reasons.reason_text import text
from kit.process import Result, run
from manager.store.state import State
from tests.cli.conftest import ROOT
from tests.manager.http.world import World, control_plane

COMPOSE = """
services:
  web:
    image: demo:1
    command: ["serve", "from the shop"]
    ports: ["8080:80"]
    networks: [front]
    depends_on: [queue]
    deploy: {replicas: 2, labels: {tier: front}}
  queue:
    image: demo:1
    environment: {B: 2, A: 1}
    networks: {front: {aliases: [jobs]}}
    volumes: ["data:/data"]
    healthcheck: {test: exit 0}
networks: {front: {}}
volumes: {data: {}}
"""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with control_plane(tmp_path, _client(tmp_path)) as world:
        yield world


def _client(directory: Path) -> str:
    import sys

    script = directory / "argosy"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m cli.main "$@"\n')
    script.chmod(0o755)
    return str(script)


def sentence(result: Result) -> str:
    assert result.code == 1, result.stdout.decode()
    return result.stderr.decode().strip()


async def test_a_stack_is_deployed_once_changed_and_removed(world: World, tmp_path: Path) -> None:
    argosy, file = world.docker, tmp_path / "shop.yml"
    file.write_text(COMPOSE)

    out = await argosy("stack", "deploy", "-c", str(file), "shop")
    assert out.splitlines()[:3] == [
        "Created network shop_front",
        "Created service shop_queue",
        "Created service shop_web",
    ]
    assert "shop_web: 2/2 converged" in out.splitlines()

    assert set((await argosy("stack", "deploy", "--dry-run", "-c", str(file), "shop")).splitlines()) == {
        "unchanged service shop_queue",
        "unchanged service shop_web",
    }
    before = await argosy("service", "inspect", "shop_web")
    await argosy("stack", "deploy", "-c", str(file), "shop")
    assert await argosy("service", "inspect", "shop_web") == before

    file.write_text(
        COMPOSE.replace("replicas: 2", "replicas: 3").replace("  queue:", "  line:").replace("[queue]", "[line]")
    )
    out = await argosy("stack", "deploy", "--prune", "-c", str(file), "shop")
    assert {"Updated service shop_web", "Removed service shop_queue", "shop_web: 3/3 converged"} <= set(
        out.splitlines()
    )

    assert (await argosy("stack", "ls")).split() == ["NAME", "SERVICES", "shop", "2"]
    services = await argosy("stack", "services", "--format", "{{.Name}} {{.Replicas}} {{.Ports}}", "shop")
    assert services.splitlines() == ["shop_line 1/1 ", "shop_web 3/3 *:8080->80/tcp"]
    assert len((await argosy("stack", "ps", "-q", "shop")).split()) >= 4

    assert "Removing network shop_front" in await argosy("stack", "rm", "shop")
    assert await argosy("network", "ls", "--filter", "name=shop", "-q") == ""
    assert sentence(await world.run("stack", "rm", "shop")) == "Error: there is no stack 'shop'"


async def test_a_service_is_created_scaled_updated_read_and_removed(world: World) -> None:
    argosy = world.docker
    flags = ("-q", "--name", "web", "-p", "9000:80", "-e", "A=1", "--update-monitor", "100ms")
    out = await argosy("service", "create", *flags, "--rollback-monitor", "100ms", "demo:1", "say", "hello")
    assert len(out.splitlines()[0]) == 25
    await argosy("service", "scale", "-q", "web=3")
    await argosy("service", "update", "-q", "--env-add", "B=2", "--env-rm", "A", "--publish-rm", "80", "web")
    shape = "{{.Spec.Mode.Replicated.Replicas}} {{json .Spec.TaskTemplate.ContainerSpec.Env}}"
    assert await argosy("service", "inspect", "--format", shape, "web") == '3 ["B=2"]'
    assert "web.1." in await argosy("service", "logs", "web")
    assert await argosy("service", "logs", "--raw", "--tail", "1", "web")
    await argosy("service", "rollback", "-q", "web")
    assert await argosy("service", "inspect", "--format", shape, "web") == '3 ["A=1"]'
    assert await argosy("service", "rm", "web") == "web"
    assert await argosy("service", "ls", "-q") == ""


async def test_what_finds_no_node_is_told_with_its_reason(world: World) -> None:
    flags = ("--name", "lost", "--constraint", "node.labels.x == y", "--patience", "300ms")
    result = await world.run("service", "create", *flags, "demo:1")
    assert "lost did not converge: 1 task found no node: no suitable node" in sentence(result)
    about = await world.docker("service", "explain", "lost")
    assert about.startswith("lost (replicated): ")
    assert "task 1: pending" in about
    assert "→ " in about
    assert "  it is converging" in about
    listed = await world.run("service", "ps", "lost")
    assert b"lost is converging" in listed.stderr
    assert b"lost is " not in listed.stdout


async def test_any_kept_revision_can_be_gone_back_to(world: World) -> None:
    argosy = world.docker
    await argosy("service", "create", "-d", "--name", "web", "-e", "A=1", "demo:1")
    for value in (2, 3):
        await argosy("service", "update", "-d", "--env-add", f"A={value}", "web")
        await world.until(lambda state, n=value: any(d.wanted == d.revision == n for d in decisions(state)))
    lines = (await argosy("service", "history", "web")).splitlines()
    assert lines[0].split() == ["REVISION", "CREATED", "IMAGE", "STATE", "TASKS"]
    assert lines[1].split()[0] == "3"
    assert "    TaskTemplate.ContainerSpec.Env[A]: 2 → 3" in lines
    assert "goes back to revision 1" in await argosy("service", "rollback", "-d", "--to", "1", "web")
    await world.until(lambda state: any(d.revision == 4 for d in decisions(state)))
    shape = "{{json .Spec.TaskTemplate.ContainerSpec.Env}}"
    assert await argosy("service", "inspect", "--format", shape, "web") == '["A=1"]'
    assert (await argosy("service", "history", "--format", "{{.Number}} {{.SameAs}}", "web")).splitlines()[0] == "4 1"
    assert "revision 9" in sentence(await world.run("service", "rollback", "--to", "9", "web"))


def decisions(state: State) -> list[ServiceDecision]:
    return list(state.service_decisions.values())


async def test_what_a_service_depends_on_comes_first_without_a_client_that_waits(world: World, tmp_path: Path) -> None:
    file = tmp_path / "shop.yml"
    file.write_text(
        "services:\n"
        "  web: {image: demo:1, depends_on: {db: {condition: service_healthy}}}\n"
        "  db: {image: demo:1, deploy: {placement: {constraints: [node.labels.disk == fast]}}}\n"
    )
    await world.docker("stack", "deploy", "-q", "--detach=true", "-c", str(file), "shop")
    await world.until(lambda state: any("waiting for" in text(task.reason) for task in state.tasks.values()))
    errors = await world.docker("stack", "ps", "--no-trunc", "--format", "{{.Name}} {{.Error}}", "shop")
    assert 'shop_web.1 "waiting for service shop_db to be healthy"' in errors.splitlines()
    await world.docker("node", "update", "--label-add", "disk=fast", "w1")
    await world.docker("stack", "deploy", "-q", "-c", str(file), "shop")
    assert await world.docker("stack", "services", "--format", "{{.Replicas}}", "shop") == "1/1\n1/1"


async def test_a_host_is_drained_and_its_tasks_run_elsewhere(world: World) -> None:
    argosy = world.docker
    await argosy("service", "create", "-q", "--name", "web", "--replicas", "4", "demo:1")
    out = await argosy("node", "update", "--availability", "drain", "--wait", "w1")
    assert out.splitlines()[-1] == "w1: drained"
    running = await argosy("node", "ps", "w1", "--filter", "desired-state=running", "-q")
    assert running == ""
    assert await argosy("service", "ls", "--format", "{{.Replicas}}") == "4/4"
    assert "w1: drained" in await argosy("node", "drain", "--wait", "w1")


async def test_nodes_are_listed_labelled_and_shown(world: World) -> None:
    argosy = world.docker
    rows = (await argosy("service", "ls", "--format", "json"), await argosy("network", "ls", "--format", "{{.Name}}"))
    assert rows[0] == ""
    assert "ingress" in rows[1].split()
    await argosy("node", "update", "--label-add", "zone=a", "--availability", "drain", "w1")
    found = json.loads(await argosy("node", "inspect", "w1"))[0]["Spec"]
    assert (found["Labels"], found["Availability"]) == ({"zone": "a"}, "drain")
    assert "Label:           zone=a" in await argosy("node", "inspect", "--pretty", "w1")


async def test_a_network_that_differs_is_replaced(world: World, tmp_path: Path) -> None:
    argosy, file = world.docker, tmp_path / "shop.yml"
    services = "services: {web: {image: demo:1}, all: {image: demo:1, deploy: {mode: global}}}\n"
    file.write_text(services)
    await argosy("stack", "deploy", "-q", "-c", str(file), "shop")
    file.write_text(f"{services}networks: {{default: {{internal: true}}}}\n")
    planned = (await argosy("stack", "plan", "-c", str(file), "shop")).splitlines()
    assert planned[:2] == ["replace network shop_default", "    Internal: false → true"]
    assert {"restart service shop_web", "restart service shop_all"} <= set(planned)
    assert "Created network shop_default" in await argosy("stack", "deploy", "-c", str(file), "shop")
    assert await argosy("network", "inspect", "--format", "{{.Internal}}", "shop_default") == "true"
    assert (await world.run("stack", "plan", "--exit-code", "-c", str(file), "shop")).code == 0
    file.write_text(services)
    assert (await world.run("stack", "plan", "--exit-code", "-c", str(file), "shop")).code == 3
    await argosy("service", "create", "-d", "--name", "guest", "--network", "shop_default", "demo:1")
    told = sentence(await world.run("stack", "deploy", "-c", str(file), "shop"))
    assert told.endswith("and guest of other stacks is on it; take them off it first")


async def test_a_config_that_changes_rolls_its_users_and_is_collected(world: World, tmp_path: Path) -> None:
    argosy, file, conf = world.docker, tmp_path / "shop.yml", tmp_path / "conf"
    file.write_text(
        "services:\n"
        "  web: {image: demo:1, configs: [conf], secrets: [key], deploy: {update_config: {monitor: 100ms}}}\n"
        "  other: {image: demo:1}\n"
        "configs: {conf: {file: ./conf}}\n"
        "secrets: {key: {environment: KEY}}\n"
    )
    deploy = ("stack", "deploy", "-c", str(file), "shop")

    async def once(text: str) -> list[str]:
        conf.write_text(text)
        result = await run(*[world.client, *deploy], env=environment(world) | {"KEY": "k"}, timeout=60)
        assert result.ok, result.stderr.decode()
        return result.stdout.decode().splitlines()

    first = await once("one")
    assert sum(line.startswith(("Created config shop_conf-", "Created secret shop_key-")) for line in first) == 2
    again = await once("one")
    assert not [line for line in again if line.startswith(("Created", "Updated", "Removed"))]
    changed = await once("two")
    done = [line for line in changed if line.startswith(("Created", "Updated", "Removed"))]
    assert [line.partition("-")[0] for line in done] == ["Created config shop_conf", "Updated service shop_web"]
    assert len(world.manager.store.state.table(CONFIG)) == 2
    assert "Removing config shop_conf-" in await argosy("stack", "rm", "shop")
    state = world.manager.store.state
    assert not state.table(CONFIG)
    assert not state.table(SECRET)


def environment(world: World) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "HOME": str(world.socket.parent), "DOCKER_HOST": f"unix://{world.socket}"}
