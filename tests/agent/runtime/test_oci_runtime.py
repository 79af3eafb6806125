"""Containers on the real runtime."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from agent.runtime.interface import Image, RuntimeFailure
from agent.runtime.oci_runtime import OciRuntime
from agent.runtime.volumes.mount_syscalls import is_mount
from api.service.container import Driver, Mount, Privileges, TmpfsOptions, Ulimit, VolumeOptions
from api.service.resources import Limits, Resources
from api.service.service_spec import TaskSpec
from kit import process
from tests.agent.runtime.hosts import load, make_runtime, only, output, plan, run, text

pytestmark = pytest.mark.root


async def test_a_container_runs_and_its_exit_code_and_output_are_kept(runtime: OciRuntime, image: Image) -> None:
    wanted = plan(image, "t", "sh", "-c", "echo out; echo err >&2; exit 7")

    code, said = await output(runtime, wanted)

    assert (code, said) == (7, "out\n")
    assert await text(runtime, wanted.id, stdout=False, stderr=True) == "err\n"
    ended = only(await runtime.containers())
    assert ended.exit is not None
    assert (ended.exit.code, ended.pid, ended.command) == (7, 0, ("sh", "-c", "echo out; echo err >&2; exit 7"))


async def test_create_and_start_are_idempotent(runtime: OciRuntime, image: Image) -> None:
    wanted = plan(image, "t", "sleep", "60")

    await runtime.create(wanted)
    await runtime.create(wanted)
    pid = await runtime.start(wanted.id)

    assert await runtime.start(wanted.id) == pid
    assert only(await runtime.containers()).pid == pid


async def test_removing_leaves_no_mount_no_file_and_no_process(runtime: OciRuntime, image: Image, root: Path) -> None:
    wanted = plan(image, "t", "sleep", "60")
    id = await run(runtime, wanted)
    pid = only(await runtime.containers()).pid

    await runtime.remove(id)
    await runtime.remove(id)

    assert not process.alive(pid)
    assert not is_mount(root / "data/containers" / id / "rootfs")
    assert list((root / "data/containers").iterdir()) == []
    assert list((root / "exec/conmon").iterdir()) == []
    assert await runtime.containers() == []


async def test_what_the_process_sees_is_what_docker_shows(runtime: OciRuntime, image: Image) -> None:
    script = "id -u; id -g; id -G; pwd; hostname; echo $HOME $A $B; cat /etc/hostname; grep -i capbnd /proc/self/status"
    wanted = plan(
        image, "t", "sh", "-c", script, user="app", dir="/srv/x", env=["A=1", "B=2", "PATH=/bin"], groups=["33"]
    )

    _, said = await output(runtime, wanted)

    assert said.splitlines() == [
        "1000", "1000", "1000 33 2000", "/srv/x", "t-host", "/home/app 1 2", "t-host", "CapBnd:\t00000000a80425fb",
    ]  # fmt: skip


async def test_seccomp_and_no_new_privileges_are_on(runtime: OciRuntime, image: Image) -> None:
    wanted = plan(
        image,
        "t",
        "grep",
        "-E",
        "Seccomp:|NoNewPrivs",
        "/proc/self/status",
        privileges=Privileges(no_new_privileges=True),
    )

    _, said = await output(runtime, wanted)

    assert said.split() == ["NoNewPrivs:", "1", "Seccomp:", "2"]


async def test_init_is_process_one(runtime: OciRuntime, image: Image) -> None:
    _, said = await output(runtime, plan(image, "t", "sh", "-c", "cat /proc/1/comm; echo $$", init=True))

    first, own = said.split()
    assert first in ("tini-static", "init", "tini")
    assert own != "1"


async def test_limits_reach_the_control_groups(runtime: OciRuntime, image: Image) -> None:
    limits = TaskSpec(resources=Resources(limits=Limits(nano_cpus=500_000_000, memory_bytes=64 << 20, pids=50)))
    files = (
        "/sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max"
    )

    _, said = await output(runtime, plan(image, "t", "sh", "-c", f"cat {files}", task=limits))

    assert said.split() == ["50000", str(64 << 20), "50"]


async def test_running_out_of_memory_is_told(runtime: OciRuntime, image: Image) -> None:
    limits = TaskSpec(resources=Resources(limits=Limits(memory_bytes=16 << 20)))
    id = await run(runtime, plan(image, "t", "sh", "-c", "exec tail /dev/zero", task=limits))

    ended = await runtime.wait(id)

    assert (ended.code, ended.oom) == (137, True)


async def test_mounts_of_every_type(runtime: OciRuntime, image: Image, root: Path) -> None:
    (root / "shared").mkdir()
    (root / "shared/file").write_text("from the host\n")
    mounts = [
        Mount(type="bind", source=str(root / "shared"), target="/b", read_only=True),
        Mount(type="volume", source="data", target="/v"),
        Mount(type="tmpfs", target="/t", tmpfs_options=TmpfsOptions(size_bytes=1 << 20, mode=0o750)),
    ]
    script = (
        "cat /b/file; touch /b/x 2>&1 | grep -c Read-only; echo kept > /v/f; stat -c %a /t; grep -c ' /t ' /proc/mounts"
    )

    code, said = await output(runtime, plan(image, "t", "sh", "-c", script, mounts=mounts))

    assert (code, said.splitlines()) == (0, ["from the host", "1", "750", "1"])
    assert (root / "data/volumes/data/_data/f").read_text() == "kept\n"


async def test_a_missing_bind_source_is_a_clear_failure(runtime: OciRuntime, image: Image, root: Path) -> None:
    mounts = [Mount(type="bind", source="/no/such/place", target="/b")]

    with pytest.raises(RuntimeFailure) as failure:
        await runtime.create(plan(image, "t", "true", mounts=mounts))

    assert str(failure.value) == (
        'invalid mount config for type "bind": bind source path does not exist: /no/such/place'
    )
    assert await runtime.containers() == []
    assert list((root / "data/containers").iterdir()) == []


async def test_a_command_that_does_not_exist_is_a_clear_failure(runtime: OciRuntime, image: Image) -> None:
    with pytest.raises(RuntimeFailure, match=r"nope.*not found"):
        await runtime.create(plan(image, "t", "nope"))


async def test_a_read_only_root_cannot_be_written(runtime: OciRuntime, image: Image) -> None:
    code, _ = await output(runtime, plan(image, "t", "touch", "/x", read_only=True))

    assert code != 0


async def test_ulimits_and_oom_score_are_set_as_far_as_the_host_may(runtime: OciRuntime, image: Image) -> None:
    limits = [Ulimit(name="nofile", soft=1000, hard=10_000_000_000), Ulimit(name="core", soft=0, hard=0)]
    wanted = plan(image, "t", "sh", "-c", "ulimit -Sn; cat /proc/self/oom_score_adj", ulimits=limits, oom_score_adj=500)

    _, said = await output(runtime, wanted)

    assert said.split() == ["1000", "500"]


async def test_stop_signals_and_kills_after_the_grace_time(runtime: OciRuntime, image: Image) -> None:
    polite = await run(
        runtime, plan(image, "polite", "sh", "-c", "trap 'exit 5' USR1; echo up; while :; do sleep 0.05; done")
    )
    deaf = await run(runtime, plan(image, "deaf", "sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"))
    for id in (polite, deaf):
        while not await text(runtime, id):
            await asyncio.sleep(0.02)

    await runtime.stop(polite, "SIGUSR1", 30)
    await runtime.stop(deaf, "", 0.1)

    assert (await runtime.wait(polite)).code == 5
    assert (await runtime.wait(deaf)).code == 128 + signal.SIGKILL


async def test_a_program_that_waits_for_signals_hears_them(runtime: OciRuntime, image: Image) -> None:
    script = "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done"
    id = await run(runtime, plan(image, "t", "sh", "-c", script, init=True))
    while not await text(runtime, id):
        await asyncio.sleep(0.02)

    await runtime.stop(id, "", 60)  # tini is the first process; not killed, as that would be another code

    assert (await runtime.wait(id)).code == 5


async def test_a_program_told_to_stop_before_it_listens_hears_it_when_it_does(
    runtime: OciRuntime, image: Image
) -> None:
    script = "echo up; sleep 0.5; trap 'exit 5' TERM; while :; do sleep 0.05; done"
    id = await run(runtime, plan(image, "t", "sh", "-c", script))
    while not await text(runtime, id):
        await asyncio.sleep(0.02)

    await runtime.stop(id, "", 30)

    assert (await runtime.wait(id)).code == 5


async def test_exec_runs_as_the_container_does(runtime: OciRuntime, image: Image) -> None:
    id = await run(runtime, plan(image, "t", "sleep", "60", user="app", env=["A=1"]))

    done = await runtime.exec(id, ["sh", "-c", "id -u; echo $A; echo bad >&2; exit 3"], 10)

    # runc copies the two streams side by side, so their order is not known.
    assert (done.code, sorted(done.text.splitlines())) == (3, [b"1", b"1000", b"bad"])


async def test_exec_is_killed_when_its_time_is_up(runtime: OciRuntime, image: Image) -> None:
    id = await run(runtime, plan(image, "t", "sleep", "60"))

    with pytest.raises(TimeoutError):
        await runtime.exec(id, ["sleep", "59"], 0.3)

    assert b"sleep 59" not in (await runtime.exec(id, ["ps"], 10)).text


async def test_a_restarted_agent_finds_waits_for_and_controls_its_containers(
    runtime: OciRuntime, image: Image, root: Path
) -> None:
    id = await run(runtime, plan(image, "t", "sh", "-c", "sleep 0.3; echo late; exit 4"))

    successor = make_runtime(root)

    assert only(await successor.containers()).pid > 0
    assert (await successor.wait(id)).code == 4
    assert await text(successor, id) == "late\n"
    await successor.remove(id)
    assert list((root / "data/containers").iterdir()) == []


async def test_an_end_that_nobody_saw_is_told_after_a_restart(runtime: OciRuntime, image: Image, root: Path) -> None:
    id = await run(runtime, plan(image, "t", "sleep", "60"))
    kept = runtime.inspect(id)
    process.send_signal(kept.conmon, signal.SIGKILL)
    await process.wait_pid(kept.conmon)
    process.send_signal(kept.pid, signal.SIGKILL)
    await process.wait_pid(kept.pid)

    async with asyncio.timeout(20):
        ended = await make_runtime(root).wait(id)

    assert ended.code == 255


async def test_what_a_crash_left_half_made_is_made_anew(runtime: OciRuntime, image: Image, root: Path) -> None:
    wanted = plan(image, "t", "true")
    await runtime.create(wanted)
    record = root / "data/containers" / wanted.id / "container.json"
    pid = runtime.inspect(wanted.id).pid
    record.write_text(record.read_text().replace(f'"PID":{pid}', '"PID":0'))

    successor = make_runtime(root)
    assert await successor.containers() == []
    process.send_signal(pid, signal.SIGKILL)
    code, _ = await output(successor, wanted)

    assert code == 0
    await successor.remove(wanted.id)


async def test_image_volumes_are_filled_and_go_with_the_container(runtime: OciRuntime, root: Path) -> None:
    image = await load(runtime, root, "vol:1", {"Volumes": {"/etc": {}}})
    id = await run(runtime, plan(image, "t", "cat", "/etc/passwd"))
    await runtime.wait(id)
    assert "app:x:1000" in await text(runtime, id)
    (volume,) = runtime.volumes.all()
    assert volume.anonymous

    await runtime.remove(id)

    assert runtime.volumes.all() == []


async def test_a_named_volume_is_filled_once_and_stays(runtime: OciRuntime, image: Image, root: Path) -> None:
    filled = Mount(type="volume", source="conf", target="/etc", volume_options=VolumeOptions(labels={"a": "b"}))
    bare = Mount(type="volume", source="bare", target="/etc", volume_options=VolumeOptions(no_copy=True))
    await output(runtime, plan(image, "one", "rm", "/etc/group", mounts=[filled]))
    _, said = await output(runtime, plan(image, "two", "ls", "/etc", mounts=[filled]))
    _, nothing = await output(runtime, plan(image, "three", "ls", "/etc", mounts=[bare]))

    assert "passwd" in said
    assert "group" not in said.split()
    assert "passwd" not in nothing
    for container in await runtime.containers():
        await runtime.remove(container.id)
    assert [volume.name for volume in runtime.volumes.all()] == ["bare", "conf"]
    assert runtime.volumes.get("conf").labels == {"a": "b"}


async def test_a_volume_with_a_file_system_of_its_own_is_mounted_while_used(
    runtime: OciRuntime, image: Image, root: Path
) -> None:
    options = VolumeOptions(driver_config=Driver("local", {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}))
    mounts = [Mount(type="volume", source="ram", target="/v", volume_options=options)]
    code, _ = await output(
        runtime, plan(image, "t", "dd", "if=/dev/zero", "of=/v/f", "bs=1k", "count=2000", mounts=mounts)
    )
    data = root / "data/volumes/ram/_data"
    assert code != 0
    assert is_mount(data)

    await runtime.remove(only(await runtime.containers()).id)

    assert not is_mount(data)
    assert runtime.volumes.get("ram").options["type"] == "tmpfs"


async def test_a_volume_driver_that_is_not_here_is_a_clear_failure(runtime: OciRuntime, image: Image) -> None:
    options = VolumeOptions(driver_config=Driver("zfs"))
    mounts = [Mount(type="volume", source="z", target="/v", volume_options=options)]

    with pytest.raises(RuntimeFailure, match='volume driver "zfs" is not known here'):
        await runtime.create(plan(image, "t", "true", mounts=mounts))


async def test_many_containers_at_once(runtime: OciRuntime, image: Image) -> None:
    plans = [plan(image, f"t{n}", "sh", "-c", f"exit {n}") for n in range(10)]

    codes = await asyncio.gather(*(output(runtime, wanted) for wanted in plans))

    assert [code for code, _ in codes] == list(range(10))


async def test_a_terminal_is_one(runtime: OciRuntime, image: Image) -> None:
    code, said = await output(runtime, plan(image, "t", "sh", "-c", "tty; echo $TERM", tty=True))

    assert (code, said.split()) == (0, ["/dev/pts/0", "xterm"])
