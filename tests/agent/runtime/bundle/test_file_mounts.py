"""Secrets and configs in real containers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from agent.runtime.interface import Image, PlannedFile
from agent.runtime.oci_runtime import OciRuntime
from agent.runtime.volumes.mount_syscalls import is_mount
from tests.agent.runtime.hosts import make_runtime, output, plan, run

pytestmark = pytest.mark.root


async def test_files_are_there_with_owner_and_mode_on_memory_and_read_only(
    runtime: OciRuntime, image: Image, root: Path
) -> None:
    script = (
        "cat /run/secrets/word /etc/deep/conf; stat -c '%u %g %a' /run/secrets/word; echo x > /etc/deep/conf;"
        " stat -f -c %T /run/secrets/word"
    )
    wanted = dataclasses.replace(
        plan(image, "t", "sh", "-c", script),
        files=(PlannedFile("/run/secrets/word", b"sesame\n", 1, 2, 0o400), PlannedFile("/etc/deep/conf", b"port\n")),
    )

    code, said = await output(runtime, wanted)

    assert (code, said.splitlines()) == (0, ["sesame", "port", "1 2 400", "tmpfs"])
    here = root / "data/containers" / wanted.id / "files"
    assert is_mount(here)
    await runtime.remove(wanted.id)
    assert not is_mount(here)
    assert not here.exists()


async def test_they_stay_when_the_agent_is_restarted(runtime: OciRuntime, image: Image, root: Path) -> None:
    wanted = dataclasses.replace(plan(image, "t", "sleep", "60"), files=(PlannedFile("/run/secrets/word", b"sesame"),))
    id = await run(runtime, wanted)

    again = make_runtime(root)

    assert (await again.exec(id, ["cat", "/run/secrets/word"], 10.0)).text == b"sesame"
    await again.remove(id)
    assert not is_mount(root / "data/containers" / id / "files")
