"""What people do with the containers, images and volumes of a host, driven by the docker command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agent.runtime.oci_runtime import OciRuntime
from api.service.container import Mount
from kit import process
from tests.agent.runtime.hosts import load, plan, run

pytestmark = pytest.mark.root
Docker = Callable[..., Awaitable[process.Result]]


@pytest.fixture
async def container(runtime: OciRuntime, root: Path) -> str:
    """It writes a line when it hears SIGHUP, and ends with 7 at SIGTERM."""
    image = await load(runtime, root)
    script = "trap 'echo heard' HUP; trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done"
    mounts = [Mount(type="volume", source="data", target="/v")]
    id = await run(runtime, plan(image, "box", "sh", "-c", script, mounts=mounts))
    async with asyncio.timeout(30):
        async for _ in runtime.logs(id, follow=True, since=0, tail=-1, stdout=True, stderr=True):
            return id
    raise AssertionError("it said nothing")


async def test_stats_and_top(docker: Docker, container: str) -> None:
    (line,) = (await docker("stats", "--no-stream", "--format", "{{json .}}", "box")).stdout.splitlines()
    found = json.loads(line)
    assert found["Name"] == "box"
    assert float(found["CPUPerc"].rstrip("%")) > 0
    assert not found["MemUsage"].startswith("0B")
    assert int(found["PIDs"]) >= 1

    rows = (await docker("top", "box")).stdout.decode().splitlines()
    assert "PID" in rows[0]
    assert any("trap" in row for row in rows[1:])
    assert (await docker("top", "box", "-o", "pid,comm")).stdout.split()[:2] == [b"PID", b"COMMAND"]
    assert b"no PID column" in (await docker("top", "box", "-o", "comm", fails=True)).stderr


async def test_kill_sends_a_signal_and_stop_ends(docker: Docker, container: str, runtime: OciRuntime) -> None:
    attached = asyncio.ensure_future(docker("attach", "--no-stdin", "box", fails=None))
    waiting = asyncio.ensure_future(docker("wait", "box"))
    await docker("kill", "-s", "HUP", "box")
    async with asyncio.timeout(30):
        while b"heard" not in (await docker("logs", "box")).stdout:
            await asyncio.sleep(0.1)
    await docker("stop", "box")

    assert (await waiting).stdout == b"7\n"
    assert (await attached).code == 7
    assert (await docker("stop", "box")).stdout == b"box\n"
    assert b"is not running" in (await docker("kill", "box", fails=True)).stderr
    assert b"not running" in (await docker("top", "box", fails=True)).stderr


async def test_disk_usage_and_pruning(docker: Docker, container: str, runtime: OciRuntime, root: Path) -> None:
    await docker("volume", "create", "idle")
    rows = (await docker("system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Active}}")).stdout.decode()
    assert rows.splitlines() == ["Images 1 1", "Containers 1 1", "Local Volumes 2 1", "Build Cache 0 0"]
    assert b"idle" in (await docker("system", "df", "-v")).stdout

    assert b"idle" not in (await docker("volume", "prune", "-f")).stdout
    assert b"idle" in (await docker("volume", "prune", "-af")).stdout
    assert b"0B" in (await docker("image", "prune", "-af")).stdout  # a container has it
    await runtime.remove(container)
    assert b"demo:1" in (await docker("image", "prune", "-af", "--filter", "until=1s")).stdout
    assert b"0B" in (await docker("container", "prune", "-f")).stdout
    assert b"0B" in (await docker("builder", "prune", "-f")).stdout
    assert b"is no time" in (await docker("image", "prune", "-f", "--filter", "until=soon", fails=True)).stderr


REFUSED = [
    (("restart", "box"), "docker service update --force"),
    (("pause", "box"), "scale it to 0"),
    (("rm", "-f", "box"), "removed with its task"),
    (("rename", "box", "x"), "cannot be changed"),
    (("update", "--memory", "10m", "box"), "docker service update"),
    (("diff", "box"), "docker diff"),
    (("export", "box"), "docker cp"),
    (("commit", "box", "x"), "making images of containers"),
    (("run", "demo:1", "true"), "made and ended by services"),
    (("push", "demo:1"), "pushing images is not supported"),
    (("search", "demo"), "searching a registry"),
    (("plugin", "install", "x"), "plugins are not supported"),
    (("pull", "--platform", "windows/amd64", "demo:1"), "platform windows/amd64: a host pulls images for itself only"),
    (
        ("login", "-u", "me", "-p", "secret", "registry.example"),
        "`docker login`) is not supported by Argosy: use `skopeo",
    ),
    (
        ("volume", "create", "--type", "block", "x"),
        "ClusterVolumeSpec: cluster volumes (CSI) are not supported by Argosy",
    ),
]


async def test_what_is_not_supported_says_so_by_name(docker: Docker, container: str) -> None:
    for arguments, words in REFUSED:
        assert words in (await docker(*arguments, fails=True)).stderr.decode()
