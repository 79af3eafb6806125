"""A container, and the program in it, against its host and its neighbours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.runtime.containers.cgroup_usage import Cgroups
from agent.runtime.interface import Image
from agent.runtime.oci.container_defaults import PIDS_LIMIT, ContainerDefaults
from agent.runtime.oci_runtime import OciRuntime
from api.service.container import Driver, Mount
from api.service.resources import Limits, Resources
from api.service.service_spec import TaskSpec
from kit.process import alive
from tests.agent.runtime.calls import made, mounts
from tests.agent.runtime.hosts import load, output, plan, run, runtime_at
from tests.attacks.intruder import NOBODY, can_read, run_as_nobody
from tests.e2e.world import World

# ── on its host: files, system calls, processes ──────────────────────────────────────────────────────────────────────


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that other users may pass, as /var/lib is."""
    path = tmp_path_factory.mktemp("host")
    for directory in (path, path.parent, path.parent.parent):
        directory.chmod(0o755)
    return path


@pytest.fixture
async def runtime(place: Path) -> AsyncIterator[OciRuntime]:
    async with runtime_at(place) as runtime:
        yield runtime


@pytest.fixture
async def image(runtime: OciRuntime, place: Path) -> Image:
    return await load(runtime, place)


@pytest.mark.root
@pytest.mark.parametrize("where", ["/evil", "/data/evil"])
async def test_a_setuid_program_makes_no_local_user_root(
    runtime: OciRuntime, image: Image, place: Path, where: str
) -> None:
    """Left by the container's root in its own file system, or in a volume, for an accomplice on the host."""
    script = f"cp /usr/bin/id {where} && chmod 4755 {where} && echo done >&2 && sleep 60"
    volume = Mount(type="volume", source="data", target="/data")
    id = await run(runtime, plan(image, "t", "sh", "-c", script, mounts=[volume, *mounts()]))
    base = place / "data/containers" / id / "upper" if where == "/evil" else place / "data/volumes/data/_data"
    program = base / "evil"
    async with asyncio.timeout(30.0):
        while not (program.exists() and program.stat().st_mode & 0o4000):
            await asyncio.sleep(0.02)

    for path in (program, place / "data/containers" / id / "rootfs/evil"):
        done = run_as_nobody(str(path), "-u")
        assert (done.returncode != 0, done.stdout) == (True, ""), f"an ordinary user became {done.stdout}"


@pytest.mark.root
async def test_no_local_user_reads_the_environment_of_a_container(
    runtime: OciRuntime, image: Image, place: Path
) -> None:
    id = await run(runtime, plan(image, "t", "sleep", "60", env=["PASSWORD=hunter2"]))
    directory = place / "data/containers" / id

    read = [name for name in ("config.json", "process.json", "container.json") if can_read(directory / name)]
    told = run_as_nobody("/bin/grep", "-r", "-s", "-l", "hunter2", str(place / "data"), str(place / "exec"))

    assert (read, told.stdout) == ([], "")


NEW_USER, NEW_MOUNTS, CHILD = 0x10000000, 0x20000, 17
NOTHING = -1


@pytest.mark.root
async def test_no_namespace_is_made_or_entered(runtime: OciRuntime, image: Image) -> None:
    """A user namespace gives every capability over a kernel's less tried parts."""
    ended = await made(
        runtime,
        image,
        [
            ["unshare", NEW_USER],
            ["unshare", NEW_USER | NEW_MOUNTS],
            ["clone", NEW_USER | CHILD, 0, 0, 0, 0],
            ["setns", NOTHING, 0],
        ],
        user="1000",
    )

    assert ended == ["EPERM"] * 4
    assert await made(runtime, image, [["clone3", 0, 0]]) == ["ENOSYS"]


@pytest.mark.root
async def test_nothing_is_mounted(runtime: OciRuntime, image: Image) -> None:
    calls: list[list[object]] = [["mount", 0, 0, 0, 0, 0], ["fsopen", 0, 0], ["open_tree", NOTHING, 0, 0]]

    assert await made(runtime, image, calls) == ["EPERM"] * 3


@pytest.mark.root
async def test_the_hosts_keyrings_are_out_of_reach(runtime: OciRuntime, image: Image) -> None:
    """They know no containers: a user's keys are those of the host's user of that number."""
    calls: list[list[object]] = [
        ["keyctl", 0, -3, 0],
        ["add_key", "user", "name", "x", 1, -3],
        ["request_key", 0, 0, 0, 0],
    ]

    assert await made(runtime, image, calls) == ["EPERM"] * 3


@pytest.mark.root
async def test_the_kernels_wide_doors_are_shut(runtime: OciRuntime, image: Image) -> None:
    """Calls never get as far as the checks of parts where the kernel's bugs have been."""
    calls: list[list[object]] = [
        ["io_uring_setup", 1, 0],
        ["bpf", 9999, 0, 0],
        ["userfaultfd", 1],
        ["perf_event_open", 0, 0, 0, 0, 0],
        ["socket", 38, 5, 0],
        ["personality", 0x40000],
    ]

    assert await made(runtime, image, calls) == ["EPERM"] * 6


@pytest.mark.root
async def test_a_fork_bomb_ends_at_the_hosts_limit(place: Path) -> None:
    """Nobody set a limit for it; a service that needs more says so, or says that it wants none."""
    bomb = "(while :; do sleep 1000 & done) 2>/dev/null; exec sleep 1000"
    async with runtime_at(place, usual=ContainerDefaults(pids_limit=64)) as runtime:
        image = await load(runtime, place)

        id = await run(runtime, plan(image, "t", "sh", "-c", bomb))

        async with asyncio.timeout(30.0):
            while Path(f"/proc/{runtime.inspect(id).pid}/comm").read_text() != "sleep\n":
                await asyncio.sleep(0.05)
        assert 60 < len(Cgroups(runtime.inspect(id).pid).processes()) <= 64


@pytest.mark.root
async def test_every_container_has_a_limit_of_processes_unless_its_service_says_otherwise(
    runtime: OciRuntime, image: Image
) -> None:
    async def limit(pids: int) -> str:
        task = TaskSpec(resources=Resources(limits=Limits(pids=pids)))
        return (await output(runtime, plan(image, f"t{pids}", "cat", "/sys/fs/cgroup/pids/pids.max", task=task)))[1]

    assert [await limit(pids) for pids in (0, 9000, -1)] == [f"{PIDS_LIMIT}\n", "9000\n", "max\n"]


@pytest.mark.root
async def test_a_flood_of_output_fills_no_disk_when_nobody_rotates(
    runtime: OciRuntime, image: Image, place: Path
) -> None:
    """The daemon is down, or the container is faster: its monitor begins the file anew. The latest lines stay."""
    small = TaskSpec(log_driver=Driver("json-file", {"max-size": "1m", "max-file": "2"}))
    flood = f"yes {'x' * 4000} | head -c 100000000; sleep 0.1; echo; echo the end"

    code, _ = await output(runtime, plan(image, "t", "sh", "-c", flood, task=small))

    directory = place / "data/containers" / plan(image, "t").id
    kept = sum(path.stat().st_size for path in directory.glob("log*"))
    assert code == 0
    assert kept < 70 << 20
    assert (directory / "log").read_bytes().endswith(b"the end\n")


@pytest.mark.root
async def test_a_health_check_that_hangs_leaves_no_process_behind(runtime: OciRuntime, image: Image) -> None:
    """One more with each probe: daemons that have left its session and ignore what tells them to end."""
    id = await run(runtime, plan(image, "t", "sleep", "1000"))
    daemon = "busybox setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 0.1; done' </dev/null >/dev/null 2>&1 &"

    for _ in range(2):
        with pytest.raises(TimeoutError):
            await runtime.exec(id, ["sh", "-c", f"{daemon} {daemon} sleep 1000"], 0.5)

    left = [pid for pid in Cgroups(runtime.inspect(id).pid).processes() if alive(pid)]
    assert left == [runtime.inspect(id).pid]


def test_an_ordinary_user_of_a_host_finds_nothing_in_its_directories(world: World) -> None:
    """What hosts keep is behind directories that he cannot pass, and the API's sockets are not for him to write to."""
    user = f"setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups sh -c"
    for host in world.hosts:
        seen = world.inside(host, f"{user} 'find /var/lib/argosy /run/argosy 2>/dev/null; true'").split()
        inside = [path for path in seen if path.startswith("/var/lib/argosy/") or path.count("/") > 3]
        assert inside == []
        assert world.inside(host, f"{user} 'test -w /run/docker.sock || test -w /run/argosy/docker.sock'", code=1) == ""
