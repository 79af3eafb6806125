"""From the file to the container: an attribute's value is in the service's spec and in the OCI config.json.

One row per attribute: a service's YAML, a path, and the expected value there. The golden cases show whole specs; these
tests cover the last step, the container's config.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from agent.runtime.bundle import mounts
from agent.runtime.bundle.bundle_builder import cgroup_of, resolv_conf
from agent.runtime.interface import ContainerPlan, Image
from agent.runtime.oci import oci_config
from agent.runtime.oci.container_user import User
from agent.runtime.oci.oci_config import OciContext
from agent.runtime.oci.resource_limits import DeviceNode, HostLimits
from agent.runtime.volumes.local_volumes import Volumes
from api import codec
from api.service.service_spec import ServiceSpec
from compose.load import load

IMAGE = Image("sha256:1", ("web:1",), (), entrypoint=("/entry",), command=("cmd",))
HOST = HostLimits(may_raise=True, swap_accounting=True)
DISK = {"/dev/sda": (8, 0)}
REST = """
networks: {back: {}}
secrets: {key: {environment: KEY}}
configs: {conf: {content: text}}
volumes: {data: {driver_opts: {type: tmpfs, device: tmpfs}, labels: {a: b}}}
"""


def spec_of(text: str) -> ServiceSpec:
    whole = f"services:\n  web: {{image: web, {text}}}\n  db: {{image: db, networks: [default, back]}}\n{REST}"
    found = load(["-"], {"KEY": "v"}, "shop", "/p", {"-": whole.encode(), "/p/env": b"E=file"}.get, current="/p")
    return next(item.spec for item in found.stack.services if item.short_name == "web")


def config_of(text: str) -> dict[str, Any]:
    """config.json for a task of the service."""
    spec = spec_of(text)
    container = spec.task_template.container_spec
    wanted = container.host_config
    cgroup = cgroup_of("/argosy/id", wanted.cgroup_parent if wanted else "")
    nodes = tuple(
        DeviceNode(d.path_in_container, "c", 1, 3, access=d.cgroup_permissions)
        for d in (wanted.devices if wanted else ())
    )
    context = OciContext("/r", cgroup, User(), [], HOST, init="/usr/bin/tini", disks=DISK, devices=nodes)
    return oci_config.config(
        ContainerPlan("id", "n", "t", IMAGE, spec.task_template, {}, container.hostname or "host", "/n"), context
    )


def at(value: Any, path: str) -> Any:
    """The value at a path of keys and indices; namespaces, mounts and limits are selected by name."""
    for key in path.split("/"):
        if isinstance(value, list):
            names = ("type", "destination", "Name", "Target")
            value = value[int(key)] if key.isdigit() else next(
                (item for item in value if key.replace("|", "/") in [item.get(name) for name in names]), None
            )  # fmt: skip
        else:
            value = value.get(key) if value is not None else None
    return value


MEMORY, CPU, DISKS = "linux/resources/memory", "linux/resources/cpu", "linux/resources/blockIO"
IN_THE_CONTAINER: list[tuple[str, str, Any]] = [
    ("command: 'serve --port 80'", "process/args", ["/entry", "serve", "--port", "80"]),
    ("command: [a, b c]", "process/args", ["/entry", "a", "b c"]),
    ("entrypoint: /other -x", "process/args", ["/other", "-x"]),
    ("entrypoint: [], command: run", "process/args", ["run"]),
    ("init: true", "process/args", ["/dev/init", "--", "/entry", "cmd"]),
    ("working_dir: /srv", "process/cwd", "/srv"),
    ("tty: true", "process/terminal", True),
    ("read_only: true", "root/readonly", True),
    ("hostname: me", "hostname", "me"),
    ("oom_score_adj: 300", "process/oomScoreAdj", 300),
    ("ulimits: {nofile: {soft: 5, hard: 6}}", "process/rlimits/RLIMIT_NOFILE/soft", 5),
    ("ulimits: {core: 0}", "process/rlimits/RLIMIT_CORE/hard", 0),
    ("security_opt: ['no-new-privileges:true']", "process/noNewPrivileges", True),
    ("security_opt: ['seccomp=unconfined']", "linux/seccomp", None),
    ("security_opt: ['systempaths=unconfined']", "linux/maskedPaths", []),
    ("sysctls: {net.core.somaxconn: 9}", "linux/sysctl/net.core.somaxconn", "9"),
    ("sysctls: ['net.ipv4.ip_forward=1']", "linux/sysctl/net.ipv4.ip_forward", "1"),
    ("domainname: example.org", "linux/sysctl/kernel.domainname", "example.org"),
    ("annotations: {org.example: x}", "annotations/org.example", "x"),
    ("cgroup_parent: /low", "linux/cgroupsPath", "/low"),
    ("pid: host", "linux/namespaces/pid", None),
    ("ipc: host", "linux/namespaces/ipc", None),
    ("uts: host", "linux/namespaces/uts", None),
    ("shm_size: 128m", "mounts/|dev|shm/options", ["nosuid", "noexec", "nodev", "mode=1777", f"size={128 << 20}"]),
    ("mem_limit: 64m", f"{MEMORY}/limit", 64 << 20),
    ("deploy: {resources: {limits: {memory: 64m}}}", f"{MEMORY}/limit", 64 << 20),
    ("mem_limit: 64m, memswap_limit: 96m", f"{MEMORY}/swap", 96 << 20),
    ("mem_reservation: 32m", f"{MEMORY}/reservation", 32 << 20),
    ("mem_limit: 64m, mem_swappiness: 7", f"{MEMORY}/swappiness", 7),
    ("mem_limit: 64m, oom_kill_disable: true", f"{MEMORY}/disableOOMKiller", True),
    ("cpus: 1.5", f"{CPU}/quota", 150_000),
    ("deploy: {resources: {limits: {cpus: '0.5'}}}", f"{CPU}/quota", 50_000),
    ("cpu_shares: 512", f"{CPU}/shares", 512),
    ("cpu_period: 50ms, cpu_quota: 20ms", f"{CPU}/period", 50_000),
    ("cpu_period: 50ms, cpu_quota: 20ms", f"{CPU}/quota", 20_000),
    ("cpu_rt_runtime: 400us, cpu_rt_period: 1ms", f"{CPU}/realtimeRuntime", 400),
    ("cpu_rt_runtime: 400us, cpu_rt_period: 1ms", f"{CPU}/realtimePeriod", 1000),
    ("cpuset: 0-1", f"{CPU}/cpus", "0-1"),
    ("pids_limit: 50", "linux/resources/pids/limit", 50),
    ("deploy: {resources: {limits: {pids: 50}}}", "linux/resources/pids/limit", 50),
    ("blkio_config: {weight: 300}", f"{DISKS}/weight", 300),
    ("blkio_config: {weight_device: [{path: /dev/sda, weight: 400}]}", f"{DISKS}/weightDevice/0/weight", 400),
    ("blkio_config: {device_read_bps: [{path: /dev/sda, rate: 1mb}]}", f"{DISKS}/throttleReadBpsDevice/0/rate", 2**20),
    ("blkio_config: {device_write_iops: [{path: /dev/sda, rate: 9}]}", f"{DISKS}/throttleWriteIOPSDevice/0/rate", 9),
    ("device_cgroup_rules: ['c 1:3 mr']", "linux/resources/devices/-1", None),
    ("devices: ['/dev/null:/dev/nix:r']", "linux/devices/0/path", "/dev/nix"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "expected"), IN_THE_CONTAINER, ids=[row[0] for row in IN_THE_CONTAINER])
def test_it_is_in_the_containers_config(text: str, path: str, expected: Any) -> None:
    if path.endswith("/-1"):
        assert {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "mr"} in at(config_of(text), path[:-3])
        return
    assert at(config_of(text), path) == expected
    if expected is not None and path != "process/args":
        assert at(config_of("scale: 1"), path) != expected


@pytest.mark.parametrize(
    ("text", "has", "lacks"),
    [
        ("cap_add: [NET_ADMIN]", {"CAP_NET_ADMIN", "CAP_CHOWN"}, {"CAP_SYS_ADMIN"}),
        ("cap_drop: [chown]", {"CAP_KILL"}, {"CAP_CHOWN"}),
        ("cap_add: [CAP_SYS_TIME], cap_drop: [ALL]", {"CAP_SYS_TIME"}, {"CAP_CHOWN", "CAP_KILL"}),
    ],
)
def test_capabilities(text: str, has: set[str], lacks: set[str]) -> None:
    found = set(config_of(text)["process"]["capabilities"]["bounding"])
    assert has <= found
    assert not lacks & found


def test_environment_takes_precedence_over_env_file() -> None:
    env = config_of("env_file: env, environment: [OWN=1, 'KEY']")["process"]["env"]
    assert {"E=file", "OWN=1", "KEY=v"} <= set(env)


def test_resolv_conf_has_the_servers_domains_and_options() -> None:
    dns = spec_of("dns: 9.9.9.9, dns_search: [a.org], dns_opt: ['ndots:2']").task_template.container_spec.dns_config
    assert resolv_conf(dns, False, "").split("\n")[:3] == ["nameserver 9.9.9.9", "search a.org", "options ndots:2"]


@pytest.mark.parametrize(
    ("volume", "target", "options"),
    [
        ("tmpfs: '/run:size=64m,mode=1770'", "/run", {f"size={64 << 20}", "mode=1770"}),
        ("volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 0700}}]", "/t", {f"size={1 << 20}", "mode=700"}),
        ("volumes: [/:/host:ro]", "/host", {"rbind", "rprivate", "rro"}),
        ("volumes: [/:/host:rslave]", "/host", {"rbind", "rslave", "rw"}),
        ("volumes: [{type: bind, source: /, target: /host, read_only: true, bind: {recursive: writable}}]", "/host",
         {"rbind", "ro"}),
        ("volumes: [{type: bind, source: /, target: /host, bind: {recursive: disabled}}]", "/host", {"bind", "rw"}),
    ],
)  # fmt: skip
async def test_mounts(volume: str, target: str, options: set[str], tmp_path: Path) -> None:
    wanted = spec_of(volume).task_template.container_spec.mounts
    with ExitStack() as held:
        made = await mounts.make("id", wanted, (), tmp_path, Volumes(tmp_path / "volumes", lambda: 0.0), held)
    found = next(item.oci for item in made if item.oci["destination"] == target)
    assert options <= set(found["options"])


CONTAINER = "TaskTemplate/ContainerSpec"
IN_THE_SPEC: list[tuple[str, str, Any]] = [
    ("labels: {a: b}", f"{CONTAINER}/Labels/a", "b"),
    ("deploy: {labels: [a=b]}", "Labels/a", "b"),
    ("user: '1000:50'", f"{CONTAINER}/User", "1000:50"),
    ("group_add: [44, video]", f"{CONTAINER}/Groups", ["44", "video"]),
    ("stdin_open: true", f"{CONTAINER}/OpenStdin", True),
    ("stop_signal: SIGINT", f"{CONTAINER}/StopSignal", "SIGINT"),
    ("stop_grace_period: 1m", f"{CONTAINER}/StopGracePeriod", 60 * 10**9),
    ("pull_policy: always", f"{CONTAINER}/PullPolicy", "always"),
    ("platform: linux/arm64", "TaskTemplate/Placement/Platforms/0/Architecture", "arm64"),
    ("healthcheck: {test: 'true', retries: 4}", f"{CONTAINER}/Healthcheck/Test", ["CMD-SHELL", "true"]),
    ("healthcheck: {test: [CMD, x], start_period: 5s}", f"{CONTAINER}/Healthcheck/StartPeriod", 5 * 10**9),
    ("healthcheck: {disable: true}", f"{CONTAINER}/Healthcheck/Test", ["NONE"]),
    ("extra_hosts: ['a:1.2.3.4']", f"{CONTAINER}/Hosts", ["1.2.3.4 a"]),
    ("secrets: [{source: key, target: k, uid: '5', mode: 0400}]", f"{CONTAINER}/Secrets/0/File/Mode", 0o400),
    ("secrets: [{source: key, target: k, uid: '5', mode: 0400}]", f"{CONTAINER}/Secrets/0/File/UID", "5"),
    ("configs: [{source: conf, target: /etc/c}]", f"{CONTAINER}/Configs/0/File/Name", "/etc/c"),
    ("post_start: [{command: a b, user: root}]", f"{CONTAINER}/PostStart/0/Command", ["a", "b"]),
    ("pre_stop: [{command: [x], privileged: true}]", f"{CONTAINER}/PreStop/0/Privileged", True),
    ("gpus: all", f"{CONTAINER}/HostConfig/DeviceRequests/0/Count", -1),
    ("devices: [vendor.com/class=one]", f"{CONTAINER}/HostConfig/DeviceRequests/0/DeviceIDs", ["vendor.com/class=one"]),
    ("runtime: runc", f"{CONTAINER}/HostConfig/Runtime", "runc"),
    ("privileged: true", f"{CONTAINER}/HostConfig/Privileged", True),
    ("volumes: ['data:/d:nocopy']", f"{CONTAINER}/Mounts/0/VolumeOptions/NoCopy", True),
    ("volumes: ['data:/d']", f"{CONTAINER}/Mounts/0/VolumeOptions/DriverConfig/Options/type", "tmpfs"),
    ("volumes: ['data:/d']", f"{CONTAINER}/Mounts/0/VolumeOptions/Labels/a", "b"),
    ("volumes: [{type: volume, source: data, target: /d, volume: {subpath: s}}]",
     f"{CONTAINER}/Mounts/0/VolumeOptions/Subpath", "s"),
    ("use_api_socket: true", f"{CONTAINER}/Mounts/0/Target", "/var/run/docker.sock"),
    ("logging: {driver: local, options: {max-size: 1m}}", "TaskTemplate/LogDriver/Options/max-size", "1m"),
    ("restart: on-failure:3", "TaskTemplate/RestartPolicy/MaxAttempts", 3),
    ("restart: 'no'", "TaskTemplate/RestartPolicy/Condition", "none"),
    ("deploy: {restart_policy: {condition: any, window: 9s}}", "TaskTemplate/RestartPolicy/Window", 9 * 10**9),
    ("networks: {back: {aliases: [x]}}", "TaskTemplate/Networks/0/Aliases", ["x", "web"]),
    ("networks: {back: {mac_address: '02:42:ac:11:00:03'}}", "TaskTemplate/Networks/0/MacAddress", "02:42:ac:11:00:03"),
    ("network_mode: host", "TaskTemplate/Networks/0/Target", "host"),
    ("container_name: c", "TaskTemplate/Networks/0/Aliases", ["web", "c"]),
    ("ports: ['127.0.0.1:80:8080/udp']", "EndpointSpec/Ports/0/HostIP", "127.0.0.1"),
    ("ports: [{target: 1, published: 2, mode: host, name: n}]", "EndpointSpec/Ports/0/PublishMode", "host"),
    ("ports: [{target: 1, published: 2, mode: host, name: n}]", "EndpointSpec/Ports/0/Name", "n"),
    ("deploy: {endpoint_mode: dnsrr}", "EndpointSpec/Mode", "dnsrr"),
    ("scale: 3", "Mode/Replicated/Replicas", 3),
    ("deploy: {mode: replicated-job, replicas: 2}", "Mode/ReplicatedJob/TotalCompletions", 2),
    ("deploy: {mode: global}", "Mode/Global", {}),
    ("deploy: {update_config: {order: start-first, parallelism: 2}}", "UpdateConfig/Order", "start-first"),
    ("deploy: {update_config: {failure_action: rollback, monitor: 5s}}", "UpdateConfig/Monitor", 5 * 10**9),
    ("deploy: {rollback_config: {delay: 2s}}", "RollbackConfig/Delay", 2 * 10**9),
    ("deploy: {placement: {constraints: ['node.role == worker']}}", "TaskTemplate/Placement/Constraints",
     ["node.role == worker"]),
    ("deploy: {placement: {preferences: [{spread: node.labels.z}]}}",
     "TaskTemplate/Placement/Preferences/0/Spread/SpreadDescriptor", "node.labels.z"),
    ("deploy: {placement: {max_replicas_per_node: 1}}", "TaskTemplate/Placement/MaxReplicas", 1),
    ("deploy: {resources: {reservations: {cpus: '0.25', memory: 8m}}}", "TaskTemplate/Resources/Reservations/NanoCPUs",
     250_000_000),
    ("depends_on: {db: {condition: service_healthy, restart: true}}", "DependsOn/0",
     {"Service": "shop_db", "Condition": "healthy", "Restart": True}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "expected"), IN_THE_SPEC, ids=[row[0] for row in IN_THE_SPEC])
def test_it_is_in_the_services_spec(text: str, path: str, expected: Any) -> None:
    assert at(codec.shown(spec_of(text)), path) == expected
