"""The command against the real HTTP API and the real planners; only the containers are words."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit.process import Result
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
    result = await world.run("service", "create", "--name", "lost", "--constraint", "node.labels.x == y", "demo:1")
    assert "lost did not converge: 1 task found no node: no suitable node" in sentence(result)


async def test_nodes_are_listed_labelled_and_shown(world: World) -> None:
    argosy = world.docker
    rows = (await argosy("service", "ls", "--format", "json"), await argosy("network", "ls", "--format", "{{.Name}}"))
    assert rows[0] == ""
    assert "ingress" in rows[1].split()
    await argosy("node", "update", "--label-add", "zone=a", "--availability", "drain", "w1")
    found = json.loads(await argosy("node", "inspect", "w1"))[0]["Spec"]
    assert (found["Labels"], found["Availability"]) == ({"zone": "a"}, "drain")
    assert "Label:           zone=a" in await argosy("node", "inspect", "--pretty", "w1")


async def test_a_network_that_differs_is_not_passed_over(world: World, tmp_path: Path) -> None:
    file = tmp_path / "shop.yml"
    file.write_text("services: {web: {image: demo:1}}\n")
    await world.docker("stack", "deploy", "-q", "-c", str(file), "shop")
    file.write_text("services: {web: {image: demo:1}}\nnetworks: {default: {internal: true}}\n")
    result = await world.run("stack", "deploy", "-c", str(file), "shop")
    assert sentence(result) == (
        "Error: network shop_default exists with other internal; remove the stack first to have it changed"
    )
