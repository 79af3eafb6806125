"""What hangs below us is given up with a reason, and holds nobody else up."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.runtime.containers import conmon
from agent.runtime.interface import RuntimeFailure
from agent.runtime.oci_runtime import OciRuntime
from agent.runtime.volumes import local_volumes, mount_syscalls
from agent.runtime.volumes.mount_syscalls import mount_volume
from api.service.container import Mount
from kit import process
from tests.agent.runtime.hosts import load, plan

pytestmark = pytest.mark.root


def script(path: Path, text: str) -> Path:
    """An executable."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


async def test_a_runtime_that_hangs_is_ended_and_said_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conmon, "PATIENCE", 0.5)
    (root / "box").mkdir()
    script(root / "conmon", f"echo $$ > {root}/box/conmon.pid; exec sleep 600")
    monkeypatch.setenv("PATH", f"{root}:{os.environ['PATH']}")

    with pytest.raises(RuntimeFailure, match=r"crun did not make the container within 0\.5 s"):
        await conmon.create("box", root / "box", root, ("/usr/bin/crun",), tty=False, stdin=False, log_size=0)

    pid = int((root / "box/conmon.pid").read_text())
    async with asyncio.timeout(20):
        while process.alive(pid):
            await asyncio.sleep(0.02)


async def test_a_mount_that_hangs_is_given_up(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "data").mkdir()
    script(root / "mount", "exec sleep 600")
    monkeypatch.setenv("PATH", f"{root}:{os.environ['PATH']}")
    monkeypatch.setattr(mount_syscalls, "PATIENCE", 0.5)

    with pytest.raises(RuntimeFailure, match=r"cannot mount volume .* \(nfs 192.0.2.1:/x\): no answer within 0.5 s"):
        await mount_volume("nfs", ":/x", "addr=192.0.2.1", root / "data")


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Looks into volumes hang until this is set."""
    over = threading.Event()
    monkeypatch.setattr(local_volumes, "PATIENCE", 0.5)
    monkeypatch.setattr(local_volumes, "_is_empty", lambda _: over.wait())
    yield over
    over.set()


async def test_a_volume_that_hangs_rejects_its_container_and_no_other(
    hang: threading.Event, runtime: OciRuntime, root: Path
) -> None:
    image = await load(runtime, root)
    dead = [Mount(type="volume", source="dead", target="/x")]
    runtime.volumes.workers = local_volumes.ThreadPool("volumes", 2, 0.5)

    for number in range(3):
        with pytest.raises(RuntimeFailure, match=r"looking into volume dead did not end within 0\.5 s"):
            await runtime.create(plan(image, f"box{number}", "true", mounts=dead))
    await runtime.create(plan(image, "other", "true"))

    assert [container.name for container in await runtime.containers()] == ["other"]
