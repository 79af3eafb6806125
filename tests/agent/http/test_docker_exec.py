"""`docker exec`, driven by the docker command line against a runtime of its own."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agent.runtime.execs.exec_terminal import set_size
from agent.runtime.execs.execs import ExecConfig
from agent.runtime.oci_runtime import OciRuntime
from api.service.host_config import Hook
from kit import process
from tests.agent.runtime.hosts import load, plan, run

pytestmark = pytest.mark.root
Docker = Callable[..., Awaitable[process.Result]]


@pytest.fixture
async def container(runtime: OciRuntime, root: Path) -> str:
    image = await load(runtime, root)
    return await run(runtime, plan(image, "box", "sleep", "600", env=["A=b"], init=True))


async def test_streams_and_exit_code_are_the_commands(docker: Docker, container: str) -> None:
    script = "echo out; echo err >&2; exit 7"
    result = await docker("exec", "-w", "/tmp", "-e", "B=c", "box", "sh", "-c", f"pwd; echo $A$B; {script}", fails=True)

    assert result == process.Result(7, b"/tmp\nbc\nout\n", b"err\n")


async def test_input_is_fed_and_its_end_told(docker: Docker, container: str) -> None:
    data = os.urandom(300_000)

    result = await docker("exec", "-i", "box", "cat", stdin=data)

    assert result.stdout == data


async def test_as_another_user(docker: Docker, container: str) -> None:
    assert (await docker("exec", "-u", "1234:99", "box", "id", "-u")).stdout == b"1234\n"
    assert b"nobody-here" in (await docker("exec", "-u", "nobody-here", "box", "id", fails=True)).stderr


async def test_what_cannot_be_run_has_a_shells_exit_code(docker: Docker, container: str) -> None:
    missing = await docker("exec", "box", "nosuch", fails=True)
    barred = await docker("exec", "box", "/etc", fails=True)

    assert (missing.code, barred.code) == (127, 126)
    assert b"nosuch" in missing.stderr


async def test_only_in_containers_that_run(docker: Docker, runtime: OciRuntime, container: str) -> None:
    await runtime.stop(container, "", 0.1)

    assert b"container box is not running" in (await docker("exec", "box", "true", fails=True)).stderr
    assert b"No such container: nobody" in (await docker("exec", "nobody", "true", fails=True)).stderr


async def test_detached_it_runs_on(docker: Docker, runtime: OciRuntime, container: str) -> None:
    await docker("exec", "-d", "box", "sh", "-c", "echo done > /tmp/mark; sleep 600")

    async with asyncio.timeout(30):
        while (await docker("exec", "box", "cat", "/tmp/mark", fails=None)).stdout != b"done\n":
            await asyncio.sleep(0.1)
    (found,) = json.loads((await docker("inspect", "box")).stdout)
    assert found["ExecIDs"] == runtime.execs.of(container)
    assert len(found["ExecIDs"]) == 1


async def test_what_is_left_running_does_not_hold_the_client(
    docker: Docker, runtime: OciRuntime, container: str
) -> None:
    if runtime.name == "runc":
        pytest.skip("runc itself waits for the streams' end")
    result = await docker("exec", "box", "sh", "-c", "sleep 600 & echo hi", timeout=30)

    assert result.stdout == b"hi\n"


async def test_a_terminal_with_its_size(docker: Docker, socket: Path, root: Path, container: str) -> None:
    assert await _on_terminal(socket, root, "tty; stty size; exit 4") == (4, b"/dev/pts/0\r\n33 111\r\n")


async def test_a_terminal_hears_of_its_new_size(runtime: OciRuntime, root: Path) -> None:
    image = await load(runtime, root)
    id = await run(runtime, plan(image, "box", "sleep", "600"))
    made = runtime.execs.create(id, _wish('while read x; do [ "$x" ] && exit 5; stty size; done'))
    await runtime.execs.start(made.id)
    heard: list[bytes] = []

    async def hear() -> None:
        async for _, data in made.output():
            heard.append(data)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(hear())
        for rows, columns in ((24, 80), (33, 111)):
            made.resize(rows, columns)
            while f"{rows} {columns}".encode() not in b"".join(heard):
                await made.write(b"\n")
                await asyncio.sleep(0.1)
        await made.write(b"end\n")
        await made.ended.wait()

    assert made.code == 5


def _wish(script: str) -> ExecConfig:
    return ExecConfig(Hook(command=["sh", "-c", script]), tty=True, stdin=True)


async def _on_terminal(socket: Path, root: Path, script: str) -> tuple[int, bytes]:
    """Run `docker exec -it` on a terminal of 33 rows and 111 columns."""
    master, slave = pty.openpty()
    set_size(slave, 33, 111)
    env = {**os.environ, "DOCKER_CONFIG": str(root / "client")}
    client = await asyncio.create_subprocess_exec(
        *("docker", "-H", f"unix://{socket}", "exec", "-it", "box", "sh", "-c", script),
        stdin=slave, stdout=slave, stderr=subprocess.STDOUT, env=env,
    )  # fmt: skip
    os.close(slave)
    async with asyncio.timeout(30):
        code = await client.wait()
    said = os.read(master, 4096)
    os.close(master)
    return code, said
