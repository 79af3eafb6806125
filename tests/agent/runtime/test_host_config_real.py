"""What containers ask of their host, in real ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.runtime.interface import Image, RuntimeFailure
from agent.runtime.oci_runtime import OciRuntime
from agent.runtime.volumes import mount_syscalls
from api.service.container import BindOptions, Mount
from api.service.host_config import Device, Hook, HostConfig
from api.service.resources import Limits, Resources
from api.service.service_spec import TaskSpec
from tests.agent.runtime.hosts import CGROUP_PARENT, output, plan, run

pytestmark = pytest.mark.root


async def test_a_privileged_container_sees_the_hosts_devices_and_may_mount(runtime: OciRuntime, image: Image) -> None:
    script = "mkdir /m && mount -t tmpfs x /m && echo mounted; ls -1 /dev | wc -l; touch /proc/sys/kernel/hostname"
    code, said = await output(runtime, plan(image, "t", "sh", "-c", script, host_config=HostConfig(privileged=True)))

    assert code == 0
    assert said.splitlines()[0] == "mounted"


async def test_a_device_is_there_under_its_name(runtime: OciRuntime, image: Image) -> None:
    device = Device("/dev/zero", "/dev/nought", "r")
    wanted = plan(image, "t", "sh", "-c", "head -c 3 /dev/nought | wc -c; stat -c %t:%T /dev/nought",
                  host_config=HostConfig(devices=[device]))  # fmt: skip

    assert await output(runtime, wanted) == (0, "3\n1:5\n")


async def test_a_device_that_is_not_there_fails_with_its_name(runtime: OciRuntime, image: Image) -> None:
    wanted = plan(image, "t", "true", host_config=HostConfig(devices=[Device("/dev/no-such")]))

    with pytest.raises(RuntimeFailure, match="custom device '/dev/no-such': No such file or directory"):
        await runtime.create(wanted)


async def test_shared_namespaces_are_the_hosts(runtime: OciRuntime, image: Image) -> None:
    script = "for n in pid ipc uts; do readlink /proc/self/ns/$n; done; hostname"
    shared = HostConfig(pid_mode="host", ipc_mode="host", uts_mode="host")
    code, said = await output(runtime, plan(image, "t", "sh", "-c", script, host_config=shared))

    own = [os.readlink(f"/proc/self/ns/{name}") for name in ("pid", "ipc", "uts")]
    assert (code, said.splitlines()) == (0, [*own, os.uname().nodename])


async def test_shm_and_domain_and_groups(runtime: OciRuntime, image: Image) -> None:
    script = "df -k /dev/shm | tail -1 | awk '{print $2}'; cat /proc/sys/kernel/domainname; id -G"
    wanted = plan(image, "t", "sh", "-c", script, host_config=HostConfig(shm_size=2 << 20), domainname="example.org",
                  groups=["44"])  # fmt: skip

    assert await output(runtime, wanted) == (0, "2048\nexample.org\n0 44\n")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (BindOptions(), "read-only"),
        (BindOptions(read_only_force_recursive=True), "read-only"),
        (BindOptions(read_only_non_recursive=True), "written"),
        (BindOptions(non_recursive=True), "nothing there"),
    ],
)
async def test_what_is_mounted_below_a_read_only_bind(
    runtime: OciRuntime, image: Image, tmp_path: Path, options: BindOptions, expected: str
) -> None:
    below = tmp_path / "below"
    below.mkdir()
    mount_syscalls.mount_tmpfs(below, 1 << 16)
    try:
        (below / "file").touch()
        mount = Mount(type="bind", source=str(tmp_path), target="/data", read_only=True, bind_options=options)
        script = "test -e /data/below/file || { echo nothing there; exit; }; \
            touch /data/below/new 2>/dev/null && echo written || echo read-only"
        assert await output(runtime, plan(image, "t", "sh", "-c", script, mounts=[mount])) == (0, f"{expected}\n")
    finally:
        mount_syscalls.unmount(below)


async def test_a_hook_runs_as_it_says(runtime: OciRuntime, image: Image) -> None:
    id = await run(runtime, plan(image, "t", "sleep", "60", env=["A=spec", "B=spec"]))
    script = ["sh", "-c", "id -u; pwd; echo $A $B; grep -c '^CapEff:.*ffff' /proc/self/status"]
    hook = Hook(script, user="7:8", privileged=True, environment=["A=hook"], working_dir="/tmp")

    done = await runtime.exec(id, script, 10.0, hook)

    assert done.text.decode().splitlines()[:3] == ["7", "/tmp", "hook spec"]
    plain = await runtime.exec(id, ["sh", "-c", "id -u; echo $A"], 10.0)
    assert plain.text == b"0\nspec\n"


async def test_another_runtime_than_the_hosts_is_refused(runtime: OciRuntime, image: Image) -> None:
    assert await output(runtime, plan(image, "t", "echo", "hi", host_config=HostConfig(runtime=runtime.name))) == (
        0,
        "hi\n",
    )
    with pytest.raises(RuntimeFailure, match="not with 'kata'"):
        await runtime.create(plan(image, "u", "true", host_config=HostConfig(runtime="kata")))


async def test_limits_are_in_the_containers_cgroup(runtime: OciRuntime, image: Image) -> None:
    if not Path("/sys/fs/cgroup/memory").is_dir():
        pytest.skip("reads the files of cgroup v1")
    wanted = plan(
        image, "t", "sleep", "60",
        host_config=HostConfig(cpu_shares=512, memory_reservation=8 << 20, oom_kill_disable=True,
                               cgroup_parent=f"{CGROUP_PARENT}/low"),
        task=TaskSpec(resources=Resources(Limits(memory_bytes=16 << 20))),
    )  # fmt: skip
    id = await run(runtime, wanted)

    path = f"{CGROUP_PARENT[1:]}/low/{id}"
    assert Path(f"/sys/fs/cgroup/cpu/{path}/cpu.shares").read_text() == "512\n"
    memory = Path(f"/sys/fs/cgroup/memory/{path}")
    assert (memory / "memory.soft_limit_in_bytes").read_text() == f"{8 << 20}\n"
    assert "oom_kill_disable 1" in (memory / "memory.oom_control").read_text()
    await runtime.remove(id)
    for group in Path("/sys/fs/cgroup").glob(f"*{CGROUP_PARENT}/low"):
        group.rmdir()
