"""The unmodified docker client against our API, with the real planners behind it."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.reasons.reason_text import text
from api.states import TaskState
from manager.images.registry import Manifest
from tests.manager.http.world import World, control_plane

DOCKER = next((path for path in ("/usr/local/bin/docker", shutil.which("docker") or "") if Path(path).is_file()), "")
pytestmark = pytest.mark.skipif(not DOCKER, reason="needs the docker client")
DIGEST = "sha256:" + "ab" * 32

STACK = """
services:
  web:
    image: demo:1
    command: ["serve", "from the shop"]
    ports: ["8080:80"]
    networks: [front]
    deploy: {replicas: 2, labels: {tier: front}, update_config: {monitor: 100ms}}
  worker:
    image: demo:1
    environment: {QUEUE: jobs}
    networks: [front]
    deploy: {update_config: {monitor: 100ms}}
networks:
  front:
    driver: overlay
"""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A control plane with the docker client's socket."""
    async with control_plane(tmp_path, DOCKER) as world:
        yield world


async def test_a_service_is_created_watched_scaled_updated_rolled_back_and_removed(world: World) -> None:
    docker = world.docker
    out = await docker(
        "service",
        "create",
        "--name",
        "web",
        "--replicas",
        "2",
        "-p",
        "8080:80",
        "--update-monitor",
        "100ms",
        "demo:1",
        "echo",
        "hi",
    )
    assert "converged" in out
    assert (await docker("service", "ls", "--format", "{{.Name}} {{.Mode}} {{.Replicas}} {{.Image}} {{.Ports}}")) == (
        "web replicated 2/2 demo:1 *:8080->80/tcp"
    )
    out = await docker("service", "ps", "web", "--format", "{{.Name}} {{.Node}} {{.DesiredState}} {{.CurrentState}}")
    assert sorted(line.split()[0] for line in out.splitlines()) == ["web.1", "web.2"]
    assert all(line.split()[2:4] == ["Running", "Running"] for line in out.splitlines())
    assert "Replicas:\t3" in (await docker("service", "scale", "web=3")) + await docker(
        "service", "inspect", "--pretty", "web"
    )
    await docker(
        "service", "update", "--env-add", "A=b", "--update-parallelism", "0", "--rollback-monitor", "100ms", "web"
    )
    spec = json.loads(await docker("service", "inspect", "web"))[0]
    assert spec["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] == ["A=b"]
    assert spec["UpdateStatus"]["State"] == "completed"
    await docker("service", "rollback", "web")
    spec = json.loads(await docker("service", "inspect", "web"))[0]
    assert "Env" not in spec["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert (await docker("service", "rm", "web")) == "web"
    assert (await docker("service", "ls", "-q")) == ""
    await world.until(lambda state: not state.tasks and not state.service_decisions)


async def test_logs_name_the_task_and_node_of_each_line(world: World) -> None:
    await world.start("--name", "web", "--replicas", "2", "demo:1", "say", "ahoy")
    lines = (await world.docker("service", "logs", "web")).splitlines()
    assert len(lines) == 2
    assert all(line.startswith("web.") and line.endswith("| ahoy") and "@" in line for line in lines)
    assert (await world.docker("service", "logs", "--raw", "web")).splitlines() == ["ahoy", "ahoy"]
    stamped = await world.docker("service", "logs", "-t", "--tail", "1", "web")
    assert all("T" in line.split()[0] for line in stamped.splitlines())


async def test_a_host_that_does_not_answer_does_not_hide_the_others_logs(world: World) -> None:
    await world.start("--name", "web", "--mode", "global", "demo:1", "say", "ahoy")
    victim = next(task.node_id for task in world.manager.store.state.tasks.values())
    world.manager.hosts.down.add(victim)
    result = await world.run("service", "logs", "web")
    assert result.ok
    assert result.stdout.decode().count("| ahoy") == len(world.manager.store.state.tasks) - 1
    assert "does not answer" in result.stderr.decode()


async def test_networks_are_made_listed_inspected_used_and_removed(world: World) -> None:
    docker = world.docker
    id = await docker("network", "create", "-d", "overlay", "--subnet", "10.77.0.0/24", "--label", "a=b", "back")
    assert "back" in (await docker("network", "ls", "--filter", "driver=overlay", "--format", "{{.Name}}")).splitlines()
    names = (await docker("network", "ls", "--format", "{{.Name}}")).splitlines()
    assert {"bridge", "host", "none", "ingress"} < set(names)
    view = json.loads(await docker("network", "inspect", "-v", "back"))[0]
    assert (view["Id"], view["Scope"], view["IPAM"]["Config"][0]["Subnet"]) == (id, "swarm", "10.77.0.0/24")
    await world.start("--name", "db", "--network", "name=back,alias=store", "demo:1")
    failed = await world.run("network", "rm", "back")
    assert not failed.ok
    assert "is in use by service db" in failed.stderr.decode()
    await docker("service", "rm", "db")
    assert (await docker("network", "rm", "back")) == "back"
    await docker("network", "create", "-d", "overlay", "back")
    await world.until(lambda state: len(state.networks) == 2)
    assert "back" in await docker("network", "prune", "-f")


async def test_nodes_are_listed_inspected_and_labelled(world: World) -> None:
    docker = world.docker
    out = await docker("node", "ls", "--format", "{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}")
    assert [line.split() for line in out.splitlines()] == [
        ["m1", "Ready", "Active", "Leader"], ["w1", "Ready", "Active"], ["w2", "Ready", "Active"],
    ]  # fmt: skip
    await docker("node", "update", "--label-add", "zone=a", "--availability", "drain", "w1")
    view = json.loads(await docker("node", "inspect", "w1"))[0]
    assert view["Spec"]["Labels"] == {"zone": "a"}
    assert view["Spec"]["Availability"] == "drain"
    assert "Hostname:" in await docker("node", "inspect", "--pretty", "self")
    failed = await world.run("node", "rm", "w2")
    assert "is not down and can't be removed" in failed.stderr.decode()
    await docker("node", "rm", "--force", "w2")
    assert len((await docker("node", "ls", "-q")).splitlines()) == 2


async def test_a_stack_is_deployed_listed_left_alone_when_nothing_changed_and_removed(
    world: World, tmp_path: Path
) -> None:
    docker, file = world.docker, tmp_path / "compose.yml"
    file.write_text(STACK)
    await docker("stack", "deploy", "--detach=false", "-c", str(file), "shop")
    assert (await docker("stack", "ls", "--format", "{{.Name}} {{.Services}}")) == "shop 2"
    out = await docker("stack", "services", "shop", "--format", "{{.Name}} {{.Replicas}} {{.Ports}}")
    assert sorted(out.splitlines()) == ["shop_web 2/2 *:8080->80/tcp", "shop_worker 1/1"]
    out = await docker("stack", "ps", "shop", "--format", "{{.Name}} {{.CurrentState}}")
    assert sorted(line.split()[0] for line in out.splitlines()) == ["shop_web.1", "shop_web.2", "shop_worker.1"]
    before = dict(world.manager.store.state.tasks)
    await docker("stack", "deploy", "--detach=false", "-c", str(file), "shop")
    assert dict(world.manager.store.state.tasks) == before
    assert all(service.revision == 1 for service in world.manager.store.state.services.values())
    await docker("stack", "rm", "shop")
    assert (await docker("network", "ls", "--filter", "label=com.docker.stack.namespace=shop", "-q")) == ""
    await docker("stack", "deploy", "--detach=false", "-c", str(file), "shop")
    await docker("stack", "rm", "shop")
    await world.until(lambda state: not state.tasks and set(state.networks) == {"ingress"})


async def test_a_task_that_no_node_takes_says_why_in_service_ps(world: World) -> None:
    await world.docker("service", "create", "-d", "--name", "picky", "--constraint", "node.labels.zone==moon", "demo:1")
    await world.until(lambda state: any(text(task.reason) for task in state.tasks.values()))
    out = await world.docker("service", "ps", "--no-trunc", "picky", "--format", "{{.CurrentState}} {{.Error}}")
    assert out.startswith("Pending")
    assert "no suitable node" in out


async def test_an_image_in_a_registry_is_pinned_by_the_client_without_a_warning(world: World) -> None:
    world.registry.manifests["docker.io/library/demo:1"] = Manifest(DIGEST, "m", 7, (("amd64", "linux", ""),))
    out = await world.start("--name", "web", "demo:1")
    assert "could not" not in out
    spec = json.loads(await world.docker("service", "inspect", "web"))[0]["Spec"]["TaskTemplate"]
    assert spec["ContainerSpec"]["Image"] == f"demo:1@{DIGEST}"
    assert spec["Placement"]["Platforms"] == [{"Architecture": "amd64", "OS": "linux"}]


async def test_every_flag_of_service_create_that_we_honour_is_taken(world: World) -> None:
    await world.docker("network", "create", "-d", "overlay", "net")
    await world.docker(
        "service", "create", "-d", "--name", "all", "--cap-add", "NET_ADMIN", "--cap-drop", "CHOWN",
        "--container-label", "c=d", "--dns", "1.1.1.1", "--dns-option", "ndots:1", "--dns-search", "x.org",
        "--endpoint-mode", "vip",
        "--entrypoint", "sh -c", "-e", "A=b", "--group", "7", "--health-cmd", "true", "--health-interval", "2s",
        "--health-retries", "3", "--health-start-period", "1s", "--health-start-interval", "1s",
        "--health-timeout", "1s", "--host", "db:10.0.0.9", "--hostname", "h", "--init", "-l", "a=b",
        "--limit-cpu", "0.5", "--limit-memory", "64M",
        "--limit-pids", "50", "--log-driver", "json-file", "--log-opt", "max-size=1m", "--mount",
        "type=volume,source=v,target=/v", "--mount", "type=tmpfs,target=/t,tmpfs-size=1m", "--mount",
        "type=bind,source=/tmp,target=/b,readonly", "--network", "net", "--oom-score-adj", "5", "--placement-pref",
        "spread=node.labels.zone", "-p", "published=9000,target=90,mode=host", "--read-only", "--replicas", "1",
        "--replicas-max-per-node", "1", "--reserve-cpu", "0.1", "--reserve-memory", "8M", "--restart-condition",
        "on-failure", "--restart-delay", "1s", "--restart-max-attempts", "3", "--restart-window", "1m",
        "--rollback-delay", "1s", "--rollback-failure-action", "continue", "--rollback-max-failure-ratio", "0.1",
        "--rollback-monitor", "1s", "--rollback-order", "start-first", "--rollback-parallelism", "2",
        "--stop-grace-period", "3s", "--stop-signal", "SIGINT", "--sysctl", "net.core.somaxconn=99", "-t",
        "--ulimit", "nofile=100:200", "--update-delay", "1s", "--update-failure-action", "rollback",
        "--update-max-failure-ratio", "0.2", "--update-monitor", "1s", "--update-order", "start-first",
        "--update-parallelism", "2", "-u", "1000:1000", "-w", "/w", "demo:1",
    )  # fmt: skip
    before = json.loads(await world.docker("service", "inspect", "all"))[0]
    assert before["Spec"]["TaskTemplate"]["ContainerSpec"]["Ulimits"] == [{"Name": "nofile", "Soft": 100, "Hard": 200}]
    await world.docker("service", "update", "-d", "all")
    assert json.loads(await world.docker("service", "inspect", "all"))[0]["Spec"] == before["Spec"]
    assert world.manager.store.state.service_named("all").revision == 1  # type: ignore[union-attr]


async def test_jobs_run_to_their_end(world: World) -> None:
    await world.docker(
        "service", "create", "-d", "--name", "job", "--mode", "replicated-job", "--replicas", "2", "demo:1"
    )
    await world.until(lambda state: len(state.tasks) >= 2)
    assert "replicated job" in await world.docker("service", "ls", "--format", "{{.Mode}} {{.Replicas}}")
    assert {task.desired for task in world.manager.store.state.tasks.values()} == {TaskState.COMPLETE}


async def test_info_and_the_join_command_are_printed(world: World) -> None:
    out = await world.docker("info", "--format", "{{.Swarm.LocalNodeState}} {{.Swarm.Nodes}} {{.Swarm.Managers}}")
    assert out == "active 3 1"
    first = await world.docker("swarm", "join-token", "-q", "worker")
    assert first.startswith("SWMTKN-1-")
    await world.docker("swarm", "join-token", "--rotate", "worker")
    assert await world.docker("swarm", "join-token", "-q", "worker") != first
    await world.docker("swarm", "update", "--task-history-limit", "9", "--dispatcher-heartbeat", "3s")
    cluster = world.manager.store.state.cluster
    assert cluster
    assert (cluster.task_history, cluster.heartbeat) == (9, 3.0)
    failed = await world.run("swarm", "update", "--autolock")
    assert "EncryptionConfig.AutoLockManagers: not supported" in failed.stderr.decode()
