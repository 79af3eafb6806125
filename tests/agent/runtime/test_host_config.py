"""What a container asks of its host, in the OCI's terms: one attribute at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.runtime.bundle.bundle_builder import cgroup_of
from agent.runtime.interface import ContainerPlan, Image, RuntimeFailure
from agent.runtime.oci import oci_config, oci_defaults
from agent.runtime.oci.container_user import User
from agent.runtime.oci.oci_config import OciContext
from agent.runtime.oci.resource_limits import DeviceNode, HostLimits, device_rule, resources
from api.service.container import ContainerSpec, Privileges, SecurityProfile
from api.service.host_config import HostConfig, ThrottleDevice, WeightDevice
from api.service.resources import Limits
from api.service.service_spec import TaskSpec

HOST = HostLimits(may_raise=True, swap_accounting=True)
CONTEXT = OciContext(root="/r", cgroup="/argosy/id", user=User(), mounts=[], limits=HOST)
IMAGE = Image(id="sha256:1", names=("demo:1",), digests=(), command=("serve",))
SHM = "/dev/shm"


def made(context: OciContext = CONTEXT, netns: str = "/n", spec: Any = None, **wanted: Any) -> dict[str, Any]:
    """config.json of a container with this HostConfig."""
    container = ContainerSpec(image="demo:1", host_config=HostConfig(**wanted), **(spec or {}))
    return oci_config.config(ContainerPlan("id", "n", "t", IMAGE, TaskSpec(container), {}, "web", netns), context)


def kinds(config: dict[str, Any]) -> set[str]:
    return {namespace["type"] for namespace in config["linux"]["namespaces"]}


def mount(config: dict[str, Any], where: str) -> dict[str, Any]:
    return next((m for m in config["mounts"] if m["destination"] == where), {})


def test_a_privileged_container_has_it_all() -> None:
    host = replace(HOST, capabilities=frozenset({"CAP_SYS_ADMIN", "CAP_CHOWN"}))
    config = made(replace(CONTEXT, limits=host), privileged=True)

    assert config["process"]["capabilities"]["effective"] == ["CAP_CHOWN", "CAP_SYS_ADMIN"]
    assert config["linux"]["maskedPaths"] == config["linux"]["readonlyPaths"] == []
    assert config["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert "ro" not in mount(config, "/sys")["options"] + mount(config, "/sys/fs/cgroup")["options"]


def test_an_unprivileged_one_has_what_it_always_had() -> None:
    config = made()

    assert kinds(config) == {"pid", "ipc", "uts", "mount", "network"}
    assert len(config["process"]["capabilities"]["effective"]) == 14
    assert config["linux"]["maskedPaths"] == list(oci_defaults.MASKED_PATHS)
    assert "ro" in mount(config, "/sys")["options"]


@pytest.mark.parametrize(("field", "kind"), [("pid_mode", "pid"), ("ipc_mode", "ipc"), ("uts_mode", "uts")])
def test_a_namespace_is_shared_with_the_host(field: str, kind: str) -> None:
    config = made(**{field: "host"})

    assert kind not in kinds(config)
    assert ("hostname" in config) == (kind != "uts")


def test_ipc_decides_what_dev_shm_is() -> None:
    assert mount(made(ipc_mode="host"), SHM)["source"] == SHM
    assert mount(made(ipc_mode="none"), SHM) == {}
    assert mount(made(ipc_mode="shareable"), SHM)["type"] == "tmpfs"
    assert mount(made(shm_size=1 << 20), SHM)["options"][-1] == "size=1048576"


def test_cgroup_namespaces_are_private_on_v2_unless_said_otherwise() -> None:
    v2 = replace(CONTEXT, limits=replace(HOST, cgroup_v2=True))

    assert "cgroup" in kinds(made(v2))
    assert "cgroup" not in kinds(made(v2, cgroupns_mode="host"))
    assert "cgroup" in kinds(made(cgroupns_mode="private"))


def test_devices_are_made_and_may_be_used_as_said() -> None:
    fuse = DeviceNode("/dev/fuse", "c", 10, 229, 0o666, access="rw")
    config = made(replace(CONTEXT, devices=[fuse]), device_cgroup_rules=["b *:* r", "c 1:3 mr"])

    (node,) = config["linux"]["devices"]
    assert (node["path"], node["type"], node["major"], node["minor"]) == ("/dev/fuse", "c", 10, 229)
    assert config["linux"]["resources"]["devices"][-3:] == [
        {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"},
        {"allow": True, "type": "b", "access": "r"},
        {"allow": True, "type": "c", "access": "mr", "major": 1, "minor": 3},
    ]
    with pytest.raises(RuntimeFailure, match="it must be like 'c 1:3 mr'"):
        device_rule("c one:3")


def test_cpu_memory_and_disk_limits() -> None:
    wanted = HostConfig(
        cpu_shares=512, cpu_quota=50_000, cpu_period=20_000, cpuset_cpus="0-1", cpuset_mems="0",
        cpu_realtime_period=1000, cpu_realtime_runtime=500,
        memory_reservation=1 << 20, memory_swap=-1, memory_swappiness=0, oom_kill_disable=True,
        blkio_weight=300, blkio_weight_device=[WeightDevice("/dev/sda", 400)],
        blkio_device_write_iops=[ThrottleDevice("/dev/sda", 10)],
    )  # fmt: skip
    found = resources(Limits(memory_bytes=1 << 22, pids=9), HOST, wanted, disks={"/dev/sda": (8, 0)})

    assert found["cpu"] == {
        "shares": 512, "quota": 50_000, "period": 20_000, "realtimePeriod": 1000, "realtimeRuntime": 500,
        "cpus": "0-1", "mems": "0",
    }  # fmt: skip
    assert found["memory"] == {
        "limit": 1 << 22, "swap": -1, "reservation": 1 << 20, "swappiness": 0, "disableOOMKiller": True,
    }  # fmt: skip
    assert found["blockIO"] == {
        "weight": 300,
        "weightDevice": [{"major": 8, "minor": 0, "weight": 400}],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 10}],
    }
    assert found["pids"] == {"limit": 9}


@pytest.mark.parametrize(("wanted", "host", "sentence"), [
    (HostConfig(memory_swap=-1), HostLimits(True), "does not count swap"),
    (HostConfig(memory_swappiness=1), HostLimits(True, cgroup_v2=True), "MemorySwappiness cannot be kept"),
    (HostConfig(oom_kill_disable=True), HostLimits(True, cgroup_v2=True), "OomKillDisable cannot be kept"),
])  # fmt: skip
def test_what_the_host_cannot_keep_is_refused(wanted: HostConfig, host: HostLimits, sentence: str) -> None:
    with pytest.raises(RuntimeFailure, match=sentence):
        resources(None, host, wanted)


def test_domain_name_annotations_and_open_paths() -> None:
    context = replace(CONTEXT, annotations={"run.oci.x": "ours"})
    wanted = {"annotations": {"a": "b", "run.oci.x": "theirs"}, "masked_paths": [], "readonly_paths": ["/proc/bus"]}
    config = made(context, spec={"domainname": "example.org"}, **wanted)

    assert config["linux"]["sysctl"]["kernel.domainname"] == "example.org"
    assert config["annotations"] == {"a": "b", "run.oci.x": "ours"}
    assert (config["linux"]["maskedPaths"], config["linux"]["readonlyPaths"]) == ([], ["/proc/bus"])


def test_an_apparmor_profile_is_applied_or_refused() -> None:
    spec = {"privileges": Privileges(app_armor=SecurityProfile("custom", "shop"))}
    guarded = replace(CONTEXT, limits=replace(HOST, apparmor=True))

    assert made(guarded, spec=spec)["process"]["apparmorProfile"] == "shop"
    with pytest.raises(RuntimeFailure, match="AppArmor profile 'shop' cannot be applied"):
        made(spec=spec)


@pytest.mark.parametrize(("asked", "path"), [("", "/argosy"), ("/batch/", "/batch"), ("low", "/argosy/low")])
def test_cgroup_parents(asked: str, path: str) -> None:
    assert cgroup_of("/argosy", asked) == path
