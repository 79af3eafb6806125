"""What is kept of containers is nobody else's: no way for other users into a directory, none to read an environment."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.runtime.interface import Image
from agent.runtime.oci_runtime import OciRuntime
from api.service.container import Mount
from tests.agent.runtime.hosts import make_runtime, output, plan, run

pytestmark = pytest.mark.root
SECRET = "correct-horse-battery"


def reachable(directory: Path) -> Iterator[Path]:
    """What other users reach below a directory: whatever is in a directory they may pass."""
    for path in directory.iterdir():
        yield path
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode) and mode & stat.S_IXOTH:
            yield from reachable(path)


def files_with(root: Path, text: str) -> Iterator[Path]:
    """Every file below that holds a text; images and what containers themselves wrote are not looked into."""
    for directory, below, names in os.walk(root):
        below[:] = [name for name in below if name not in ("rootfs", "upper", "storage")]
        for name in names:
            path = Path(directory, name)
            if stat.S_ISREG(path.lstat().st_mode) and text.encode() in path.read_bytes():
                yield path


async def test_others_reach_nothing_of_a_container_an_image_or_a_volume(
    runtime: OciRuntime, image: Image, root: Path
) -> None:
    id = await run(
        runtime, plan(image, "t", "sleep", "60", mounts=[Mount(type="volume", source="data", target="/data")])
    )
    await runtime.exec(id, ["true"], 30.0)

    for top in (root / "data", root / "exec"):
        found = {str(path.relative_to(top)) for path in reachable(top)}
        assert found <= {"containers", "volumes", "storage", "oci", "conmon"}, found


async def test_only_root_reads_a_file_with_an_environment(runtime: OciRuntime, image: Image, root: Path) -> None:
    id = await run(runtime, plan(image, "t", "sleep", "60", env=[f"PASSWORD={SECRET}"]))
    await runtime.exec(id, ["true"], 30.0)

    found = list(files_with(root, SECRET))

    assert {path.name for path in found} >= {"config.json", "process.json", "container.json"}
    assert [str(path) for path in found if path.stat().st_mode & 0o077] == []


async def test_the_arguments_of_the_monitor_say_nothing(runtime: OciRuntime, image: Image) -> None:
    id = await run(runtime, plan(image, "t", "sleep", "60", env=[f"PASSWORD={SECRET}"]))

    monitor = Path("/proc", str(runtime.inspect(id).conmon))

    assert SECRET.encode() not in (monitor / "cmdline").read_bytes() + (monitor / "environ").read_bytes()


async def test_what_an_earlier_version_left_open_is_closed_at_start(
    runtime: OciRuntime, image: Image, root: Path
) -> None:
    id = await run(runtime, plan(image, "t", "sleep", "60", env=[f"PASSWORD={SECRET}"]))
    directory = root / "data/containers" / id
    for path in (root / "data/containers", root / "data/volumes", root / "data/storage", root / "exec/oci", directory):
        path.chmod(0o755)
    (directory / "config.json").chmod(0o644)

    make_runtime(root)

    assert {path.name for path in reachable(root / "data")} <= {"containers", "volumes", "storage"}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "config.json").stat().st_mode) == 0o600


async def test_a_container_of_an_ordinary_user_sees_all_its_files(
    runtime: OciRuntime, image: Image, root: Path
) -> None:
    (root / "shared").mkdir()
    (root / "shared/word").write_text("bound\n")
    mounts = [
        Mount(type="volume", source="data", target="/data"),
        Mount(type="bind", source=str(root / "shared"), target="/shared"),
    ]
    script = "cat /etc/hosts /etc/resolv.conf >/tmp/x && ls /data && cat /etc/hostname /shared/word && umask && id -u"

    code, said = await output(
        runtime, plan(image, "t", "sh", "-c", script, user="1000", mounts=mounts, capability_drop=["ALL"])
    )

    assert (code, said.split()) == (0, ["t-host", "bound", "0022", "1000"])
