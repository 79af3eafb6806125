"""A command that has limited time leaves nothing when the time is up, whatever it has started, on every runtime."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from agent.runtime.containers.cgroup_usage import Cgroups
from agent.runtime.execs.exec_cgroups import Subgroup, Subgroups, hierarchies
from agent.runtime.host_features import CgroupMode
from agent.runtime.interface import Image
from agent.runtime.oci_runtime import OciRuntime
from api.service.host_config import Hook
from kit.process import alive
from tests.agent.runtime.hosts import CGROUP_PARENT, make_runtime, plan, run

PATIENCE = 30.0
DAEMON = "busybox setsid sh -c 'trap \"\" TERM HUP INT; while :; do sleep 0.1; done' </dev/null >/dev/null 2>&1"
LEAVES_A_DAEMON = ["sh", "-c", f"({DAEMON} &) & ({DAEMON} &) & sleep 1000"]
FORKS = ["sh", "-c", "hop() { sleep 0.02; hop & }; hop & hop & while :; do sleep 1000 & sleep 0.01; done"]
"""Processes that give birth to the next and end, and some that stay."""


def commands(runtime: OciRuntime, id: str) -> list[str]:
    """What runs in a container."""
    found = []
    for pid in Cgroups(runtime.inspect(id).pid).processes():
        with suppress(OSError):
            if alive(pid):
                found.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip())
    return sorted(found)


async def until_only(runtime: OciRuntime, id: str, *wanted: str) -> None:
    """Until nothing but this runs in a container; what was killed takes a moment to go."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while commands(runtime, id) != sorted(wanted):
                await asyncio.sleep(0.05)
    assert commands(runtime, id) == sorted(wanted)


def containers_groups(id: str) -> list[Path]:
    """The control groups of a container itself."""
    root = Path("/sys/fs/cgroup")
    found = [top / CGROUP_PARENT[1:] / id for top in (root, *root.iterdir())]
    return [path for path in found if (path / "tasks").exists() or (path / "cgroup.controllers").exists()]


def groups(id: str) -> list[Path]:
    """The control groups below a container's."""
    return [path for top in containers_groups(id) for path in top.iterdir() if path.is_dir()]


def test_hierarchies_are_found_in_every_mode() -> None:
    assert hierarchies(CgroupMode.V2, "0::/user.slice\n") == [""]
    assert hierarchies(CgroupMode.HYBRID, "3:cpu,cpuacct:/a\n2:freezer:/a:b\n1:name=systemd:/\n0::/\n") == [
        "cpu,cpuacct",
        "freezer",
        "systemd",
    ]


def test_without_a_freezer_runc_is_told_another_hierarchy(tmp_path: Path) -> None:
    (tmp_path / "cpu,cpuacct/a/id").mkdir(parents=True)

    with Subgroups(CgroupMode.V1, False, tmp_path, "2:cpu,cpuacct:/\n1:name=systemd:/\n").one("/a/id") as group:
        assert group.argument == f"cpu:{group.directories[0].name}"
        assert [path.parent for path in group.directories] == [tmp_path / "cpu,cpuacct/a/id"]


def test_what_the_runtime_is_told(tmp_path: Path) -> None:
    v1 = "2:memory:/\n1:freezer:/\n0::/\n"
    for name in ("memory", "freezer"):
        (tmp_path / name / "a/id").mkdir(parents=True)

    found = []
    for is_crun in (False, True):
        with Subgroups(CgroupMode.V1, is_crun, tmp_path, v1).one("/a/id") as group:
            found.append(group)

    runc, crun = found
    name = runc.directories[0].name
    assert (runc.argument, list(runc.directories)) == (f"freezer:{name}", [tmp_path / "freezer/a/id" / name])
    name = crun.directories[0].name
    assert (crun.argument, [path.parent.parent.parent.name for path in crun.directories]) == (
        name,
        ["freezer", "memory"],
    )


@pytest.mark.root
@pytest.mark.parametrize("command", [LEAVES_A_DAEMON, FORKS], ids=["daemons", "forks"])
async def test_nothing_is_left_when_the_time_is_up(runtime: OciRuntime, image: Image, command: list[str]) -> None:
    id = await run(runtime, plan(image, "t", "sleep", "1000"))

    for hook in (None, Hook(command=command, user="1000")):
        with pytest.raises(TimeoutError):
            await runtime.exec(id, command, 1.0, hook)

        await until_only(runtime, id, "sleep 1000")
    assert len({path.name for path in groups(id)}) == 1
    await runtime.remove(id)
    assert containers_groups(id) == []


@pytest.mark.root
async def test_nothing_is_left_when_the_caller_gives_up_twice(runtime: OciRuntime, image: Image) -> None:
    id = await run(runtime, plan(image, "t", "sleep", "1000"))
    work = asyncio.get_running_loop().create_task(runtime.exec(id, LEAVES_A_DAEMON, 1000.0))
    async with asyncio.timeout(PATIENCE):
        while len(commands(runtime, id)) < 4:
            await asyncio.sleep(0.05)

    work.cancel()
    await asyncio.sleep(0)
    work.cancel()
    await asyncio.wait([work])

    await until_only(runtime, id, "sleep 1000")


@pytest.mark.root
async def test_what_ended_in_time_leaves_its_daemon_to_the_container(runtime: OciRuntime, image: Image) -> None:
    id = await run(runtime, plan(image, "t", "sleep", "1000"))

    done = await runtime.exec(
        id, ["sh", "-c", "busybox setsid sleep 500 </dev/null >&- 2>&- & cat /proc/self/cgroup"], PATIENCE
    )

    assert done.code == 0
    elsewhere = [line for line in done.text.decode().split() if id not in line]
    assert elsewhere in ([], ["0::/"])  # limits of the container hold for the command
    await until_only(runtime, id, "sleep 1000", "sleep 500")
    assert [path for path in groups(id) if (path / "cgroup.procs").read_text()] == []
    await runtime.exec(id, ["true"], PATIENCE)
    assert len({path.name for path in groups(id)}) == 1
    await runtime.remove(id)
    assert containers_groups(id) == []


DIES_MEANWHILE = """
import asyncio, sys
from pathlib import Path
from tests.agent.runtime import hosts
hosts.CGROUP_PARENT = sys.argv[3]
asyncio.run(hosts.make_runtime(Path(sys.argv[1])).exec(sys.argv[2], sys.argv[4:], 1000.0))
"""


@pytest.mark.root
async def test_a_daemon_that_died_meanwhile_leaves_nothing_either(
    runtime: OciRuntime, image: Image, root: Path
) -> None:
    id = await run(runtime, plan(image, "t", "sleep", "1000"))
    program = [sys.executable, "-c", DIES_MEANWHILE, str(root), id, CGROUP_PARENT, *LEAVES_A_DAEMON]
    former = subprocess.Popen(program, cwd=Path(__file__).parents[4])
    async with asyncio.timeout(PATIENCE):
        while len(commands(runtime, id)) < 4:
            await asyncio.sleep(0.05)
    former.send_signal(signal.SIGKILL)
    former.wait()

    work = asyncio.get_running_loop().create_task(make_runtime(root).run())

    await until_only(runtime, id, "sleep 1000")
    async with asyncio.timeout(PATIENCE):
        while groups(id):
            await asyncio.sleep(0.05)
    work.cancel()
    await asyncio.wait([work])


UNIFIED = next(
    (
        path
        for path in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
        if (path / "cgroup.procs").exists() and (path / "cgroup.controllers").exists()
    ),
    None,
)


@pytest.mark.root
@pytest.mark.skipif(UNIFIED is None, reason="no cgroup v2 is mounted here")
async def test_a_group_of_cgroup_v2_is_killed_as_a_whole() -> None:
    assert UNIFIED is not None
    top = UNIFIED / f"argosy-subgroup-test-{os.getpid()}"
    top.mkdir()
    group = Subgroup([top / "one"], "one")
    try:
        group.make()
        child = subprocess.Popen(
            ["sh", "-c", f"echo $$ >{top}/one/cgroup.procs; echo in; setsid sleep 1000 & wait"], stdout=subprocess.PIPE
        )
        assert child.stdout
        assert child.stdout.readline() == b"in\n"

        await group.kill()

        assert child.wait() == -signal.SIGKILL
        assert group.processes() == []
        group.remove()
    finally:
        top.rmdir()
