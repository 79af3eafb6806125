"""`docker cp`, driven by the docker command line."""

from __future__ import annotations

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
    mounts = [Mount(type="volume", source="data", target="/v")]
    return await run(runtime, plan(await load(runtime, root), "box", "sleep", "600", mounts=mounts))


async def test_files_and_directories_go_in_and_come_out(docker: Docker, container: str, tmp_path: Path) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    (tmp_path / "in/deep/file").write_text("text")
    (tmp_path / "in/deep/file").chmod(0o640)

    await docker("cp", str(tmp_path / "in"), "box:/v/")
    assert (await docker("exec", "box", "cat", "/v/in/deep/file")).stdout == b"text"
    assert (await docker("exec", "box", "stat", "-c", "%u:%g %a", "/v/in/deep/file")).stdout == b"0:0 640\n"
    await docker("cp", "box:/v/in", str(tmp_path / "out"))
    await docker("cp", "box:/v/in/deep/file", str(tmp_path / "copy"))

    assert (tmp_path / "out/deep/file").read_text() == (tmp_path / "copy").read_text() == "text"


async def test_links_do_not_lead_out_of_the_container(docker: Docker, container: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the host")
    await docker("exec", "box", "/bin/busybox", "ln", "-s", str(tmp_path), "/out")

    said = await docker("cp", "-L", "box:/out/secret", str(tmp_path / "stolen"), fails=True)

    assert b"Could not find the file" in said.stderr
    assert not (tmp_path / "stolen").exists()


async def test_what_cannot_be_copied_is_told(docker: Docker, container: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")

    assert b"Could not find the file /no" in (await docker("cp", "box:/no", str(tmp_path), fails=True)).stderr
    assert (await docker("cp", str(tmp_path / "file"), "box:/no/where/", fails=True)).stderr
    assert b"No such container" in (await docker("cp", "nobody:/etc", str(tmp_path), fails=True)).stderr


async def test_of_a_container_that_has_ended(
    docker: Docker, runtime: OciRuntime, container: str, tmp_path: Path
) -> None:
    await docker("exec", "box", "sh", "-c", "echo late > /late")
    await runtime.stop(container, "", 0.1)

    await docker("cp", "box:/late", str(tmp_path / "late"))

    assert (tmp_path / "late").read_text() == "late\n"
