"""The host's part of the Engine API, driven by the docker command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agent.runtime.oci_runtime import OciRuntime
from api.service.container import Mount
from kit import process
from tests.agent.runtime.hosts import plan, run, text
from tests.agent.runtime.registries import push, registry
from tests.images import docker_archive

pytestmark = pytest.mark.root
Docker = Callable[..., Awaitable[process.Result]]
HEALTHY = {"Healthcheck": {"Test": ["CMD", "true"]}, "ExposedPorts": {"80/tcp": {}}, "Labels": {"a": "b"}}


@pytest.fixture
async def archive(root: Path) -> Path:
    docker_archive(root / "demo.tar", ["demo:1"], config=HEALTHY, compressed=True)
    return root / "demo.tar"


@pytest.fixture
async def loaded(docker: Docker, archive: Path) -> str:
    result = await docker("load", "-i", str(archive))
    assert result.stdout == b"Loaded image: demo:1\n"
    return docker_archive(archive.with_name("same.tar"), ["demo:1"], config=HEALTHY)


async def test_images_inspect_and_history(docker: Docker, loaded: str) -> None:
    table = await docker("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
    assert table.stdout.decode() == f"demo:1 {loaded}\n"

    (found,) = json.loads((await docker("image", "inspect", "demo:1")).stdout)
    assert found["Id"] == loaded
    assert found["RepoTags"] == ["demo:1"]
    assert found["Config"]["Healthcheck"] == {"Test": ["CMD", "true"]}
    assert found["Config"]["ExposedPorts"] == {"80/tcp": {}}

    assert b"layer 0" in (await docker("history", "demo:1")).stdout
    assert (await docker("images", "-q", "--filter", "label=a=b")).stdout
    assert not (await docker("images", "-q", "--filter", "reference=other*")).stdout


async def test_tag_save_and_remove(docker: Docker, loaded: str, root: Path) -> None:
    await docker("tag", "demo:1", "shop/web:2")
    await docker("save", "-o", str(root / "saved.tar"), "shop/web:2")
    removed = await docker("rmi", "demo:1")
    assert removed.stdout == b"Untagged: demo:1\n"
    assert f"Deleted: {loaded}" in (await docker("rmi", "shop/web:2")).stdout.decode()
    assert b"No such image" in (await docker("image", "inspect", "demo:1", fails=True)).stderr

    again = await docker("load", "-i", str(root / "saved.tar"))

    assert again.stdout == b"Loaded image: shop/web:2\n"
    assert (await docker("images", "-q", "--no-trunc")).stdout.decode().strip() == loaded


async def test_what_is_no_image_is_refused(docker: Docker, root: Path) -> None:
    (root / "bad.tar").write_bytes(b"x" * 2000)

    assert b"the archive cannot be read" in (await docker("load", "-i", str(root / "bad.tar"), fails=True)).stderr


async def test_ps_inspect_and_logs(docker: Docker, loaded: str, runtime: OciRuntime) -> None:
    image = runtime.image_store.get("demo:1")
    mounts = [Mount(type="volume", source="data", target="/v")]
    busy = await run(runtime, plan(image, "busy", "sleep", "60", mounts=mounts))
    done = await run(runtime, plan(image, "done", "sh", "-c", "echo out; echo err >&2; exit 3"))
    await runtime.wait(done)

    form = "{{.ID}} {{.Names}} {{.Image}} {{.State}}"
    running = (await docker("ps", "--no-trunc", "--format", form)).stdout.decode()
    assert running == f"{busy} busy demo:1 running\n"
    assert (await docker("ps", "--format", "{{.Ports}}")).stdout == b"0.0.0.0:8080->80/tcp\n"
    everything = (await docker("ps", "-a", "--format", "{{.Names}} {{.Status}}")).stdout.decode().splitlines()
    assert len(everything) == 2
    assert everything[0].startswith("done Exited (3)")
    assert everything[1].startswith("busy Up")
    assert (await docker("ps", "-aq", "--filter", "name=done", "--no-trunc")).stdout.decode().strip() == done
    assert (await docker("ps", "-aq", "--filter", "volume=data", "--no-trunc")).stdout.decode().strip() == busy

    (found,) = json.loads((await docker("inspect", "busy")).stdout)
    assert found["State"]["Running"]
    assert found["NetworkSettings"]["Networks"]["front"]["IPAddress"] == "10.0.1.7"
    assert found["Mounts"][0]["Name"] == "data"
    (found,) = json.loads((await docker("inspect", done[:12])).stdout)
    assert (found["State"]["Status"], found["State"]["ExitCode"]) == ("exited", 3)

    logs = await docker("logs", "done")
    assert (logs.stdout, logs.stderr) == (b"out\n", b"err\n")
    assert b"No such container" in (await docker("logs", "nobody", fails=True)).stderr


async def test_following_logs_ends_with_the_container(docker: Docker, loaded: str, runtime: OciRuntime) -> None:
    image = runtime.image_store.get("demo:1")
    id = await run(runtime, plan(image, "t", "sh", "-c", "for i in 1 2 3 4; do echo $i; sleep 0.2; done"))

    followed = await docker("logs", "-f", "t")
    tail = await docker("logs", "--tail", "2", "-t", id[:12])

    assert followed.stdout == b"1\n2\n3\n4\n"
    lines = tail.stdout.decode().splitlines()
    assert [line.split()[1] for line in lines] == ["3", "4"]
    assert all(line[:2] == "20" and "T" in line for line in lines)


async def test_a_client_that_goes_away_ends_following(
    socket: Path, docker: Docker, loaded: str, runtime: OciRuntime
) -> None:
    image = runtime.image_store.get("demo:1")
    id = await run(runtime, plan(image, "quiet", "sleep", "60"))
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket))) as client:
        url = f"http://d/containers/{id}/logs?follow=1&stdout=1"
        async with asyncio.timeout(10), client.get(url) as response:
            assert response.status == 200
    before = len(asyncio.all_tasks())
    async with asyncio.timeout(10):
        while any("client watch" in task.get_name() for task in asyncio.all_tasks()):
            await asyncio.sleep(0.05)
    assert len(asyncio.all_tasks()) <= before


async def test_a_terminals_output_is_raw(docker: Docker, loaded: str, runtime: OciRuntime) -> None:
    id = await run(runtime, plan(runtime.image_store.get("demo:1"), "t", "echo", "hi", tty=True))
    await runtime.wait(id)

    assert await text(runtime, id) == "hi\r\n"
    assert (await docker("logs", "t")).stdout == b"hi\r\n"


async def test_containers_are_not_made_by_hand(docker: Docker, loaded: str) -> None:
    assert b"made and ended by services" in (await docker("create", "demo:1", fails=True)).stderr


async def test_pull(docker: Docker, root: Path) -> None:
    id = docker_archive(root / "i.tar", ["demo:1"])
    async with registry(root) as address:
        await push(root / "i.tar", f"{address}/demo:1")

        pulled = await docker("pull", f"{address}/demo:1")
        again = await docker("pull", "-q", f"{address}/demo:1")
        missing = await docker("pull", f"{address}/demo:2", fails=True)

    assert b"Downloaded newer image" in pulled.stdout
    assert again.stdout.decode().strip() == f"{address}/demo:1"
    assert b"manifest unknown" in missing.stderr
    assert (await docker("images", "-q", "--no-trunc")).stdout.decode().strip() == id


async def test_volumes(docker: Docker, loaded: str, runtime: OciRuntime) -> None:
    assert (await docker("volume", "create", "--label", "a=b", "data")).stdout == b"data\n"
    (found,) = json.loads((await docker("volume", "inspect", "data")).stdout)
    assert found["Labels"] == {"a": "b"}
    assert Path(found["Mountpoint"]).is_dir()
    mounts = [Mount(type="volume", source="data", target="/v")]
    id = await run(runtime, plan(runtime.image_store.get("demo:1"), "t", "true", mounts=mounts))

    assert b"volume is in use" in (await docker("volume", "rm", "data", fails=True)).stderr
    assert not (await docker("volume", "ls", "-q", "--filter", "dangling=true")).stdout
    await runtime.remove(id)
    await docker("volume", "rm", "data")

    assert not (await docker("volume", "ls", "-q")).stdout
    assert b"no such volume" in (await docker("volume", "inspect", "data", fails=True)).stderr
    assert b'only "local"' in (await docker("volume", "create", "-d", "zfs", "x", fails=True)).stderr


async def test_info_and_version(docker: Docker, loaded: str) -> None:
    info: dict[str, Any] = json.loads((await docker("info", "--format", "{{json .}}")).stdout)
    plain = await docker("info")

    assert (info["Name"], info["Images"], info["OSType"]) == ("host1", 1, "linux")
    assert not info.get("ServerErrors")
    assert plain.stderr == b""
    assert b"Argosy" in (await docker("version")).stdout


async def test_there_are_no_plugins(docker: Docker) -> None:
    assert not (await docker("plugin", "ls", "-q")).stdout
