"""config.json, from values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.runtime.bundle.bundle_builder import resolv_conf
from agent.runtime.containers.signals import number
from agent.runtime.host_features import CgroupMode, cgroup_mode, counts_processes
from agent.runtime.interface import ContainerPlan, Image, RuntimeFailure
from agent.runtime.oci import oci_config, oci_defaults
from agent.runtime.oci.container_user import User, resolve
from agent.runtime.oci.oci_config import OciContext
from agent.runtime.oci.resource_limits import HostLimits, resources
from api.service.container import ContainerSpec, DNSConfig, Ulimit
from api.service.resources import Limits, Resources
from api.service.service_spec import TaskSpec

IMAGE = Image("sha256:1", ("demo:1",), (), entrypoint=("/entry",), command=("cmd",), env=("A=image", "B=image"))
HOST = HostLimits(may_raise=False, rlimits={"nofile": 20000, "core": -1})
CONTEXT = OciContext("/root", "/argosy/c", User(), [], HOST, init="/usr/bin/tini")
PASSWD = "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n"
GROUP = "root:x:0:\napp:x:1001:\nextra:x:2000:other,app\n"


def plan(netns: str = "/run/netns/c", resources: Resources | None = None, **spec: Any) -> ContainerPlan:
    task = TaskSpec(container_spec=ContainerSpec(image="demo:1", **spec), resources=resources)
    return ContainerPlan("c", "c", "t", IMAGE, task, {}, "host", netns, env=("LAST=1",))


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({}, ["/entry", "cmd"]),
        ({"args": ["x"]}, ["/entry", "x"]),
        ({"command": ["new"]}, ["new"]),
        ({"command": ["new"], "args": ["x"]}, ["new", "x"]),
        ({"command": [""], "args": ["x"]}, ["x"]),
        ({"init": True}, ["/dev/init", "--", "/entry", "cmd"]),
    ],
)
def test_entrypoint_and_command_follow_dockers_rules(spec: dict[str, Any], wanted: list[str]) -> None:
    assert oci_config.config(plan(**spec), CONTEXT)["process"]["args"] == wanted


def test_nothing_to_run_is_a_failure() -> None:
    with pytest.raises(RuntimeFailure, match="no command specified"):
        oci_config.arguments(replace(IMAGE, entrypoint=(), command=()), ContainerSpec(image="demo:1"))


def test_later_environment_wins_and_a_bare_name_removes() -> None:
    found = oci_config.environment(plan(env=["A=spec", "B", "HOME=/x"], tty=True), "/home")

    assert found == [oci_defaults.PATH, "HOSTNAME=host", "TERM=xterm", "A=spec", "HOME=/x", "LAST=1"]


def test_capabilities_are_added_and_dropped() -> None:
    assert len(oci_config.capabilities([], [])) == 14
    assert oci_config.capabilities(["net_admin"], ["ALL"]) == {"CAP_NET_ADMIN"}
    assert "CAP_CHOWN" not in oci_config.capabilities(["ALL"], ["CAP_CHOWN"])
    assert "CAP_SYS_ADMIN" in oci_config.capabilities(["ALL"], ["CAP_CHOWN"])
    with pytest.raises(RuntimeFailure, match="invalid capability 'FLY'"):
        oci_config.capabilities(["FLY"], [])


def test_ulimits_are_clamped_to_what_the_host_may_give() -> None:
    wanted = Ulimit(name="nofile", soft=1_000_000, hard=-1)

    assert oci_config.rlimit(wanted, HOST) == {"type": "RLIMIT_NOFILE", "soft": 20000, "hard": 20000}
    free = replace(HOST, may_raise=True)
    assert oci_config.rlimit(wanted, free) == {"type": "RLIMIT_NOFILE", "soft": 1_000_000, "hard": 2**64 - 1}
    assert oci_config.oom_score(-500, HOST) == 0
    assert oci_config.oom_score(-500, free) == -500


def test_limits_become_quotas() -> None:
    limits = Limits(nano_cpus=1_500_000_000, memory_bytes=1 << 20, pids=9)

    found = resources(limits, replace(HOST, swap_accounting=True))

    assert found["cpu"] == {"quota": 150_000, "period": 100_000}
    assert found["memory"] == {"limit": 1 << 20, "swap": 2 << 20}
    assert found["pids"] == {"limit": 9}


def test_the_hosts_network_has_no_namespace_and_no_network_sysctls() -> None:
    own, shared = (
        oci_config.linux(plan(), CONTEXT),
        oci_config.linux(plan(netns="", sysctls={"kernel.x": "1"}), CONTEXT),
    )

    assert {"type": "network", "path": "/run/netns/c"} in own["namespaces"]
    assert own["sysctl"] == oci_defaults.SYSCTLS
    assert all(namespace["type"] != "network" for namespace in shared["namespaces"])
    assert shared["sysctl"] == {"kernel.x": "1"}


def test_a_mount_of_the_spec_replaces_a_default_one() -> None:
    shm = {"destination": "/dev/shm", "type": "tmpfs", "source": "tmpfs", "options": ["size=1"]}

    found = oci_config.config(plan(), replace(CONTEXT, mounts=[shm]))["mounts"]

    assert [mount for mount in found if mount["destination"] == "/dev/shm"] == [shm]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", (0, 0, (0,))),
        ("app", (1000, 1001, (1001, 2000))),
        ("1000", (1000, 1001, (1001, 2000))),
        ("app:extra", (1000, 2000, (2000,))),
        ("7", (7, 0, (0,))),
        ("7:8", (7, 8, (8,))),
    ],
)
def test_users_are_looked_up_in_the_image(text: str, wanted: tuple[int, int, tuple[int, ...]]) -> None:
    user = resolve(text, PASSWD, GROUP)

    assert (user.uid, user.gid, user.groups) == wanted


def test_an_unknown_user_or_group_is_a_failure() -> None:
    with pytest.raises(RuntimeFailure, match="unable to find user nobody"):
        resolve("nobody", PASSWD, GROUP)
    with pytest.raises(RuntimeFailure, match="unable to find group none"):
        resolve("app:none", PASSWD, GROUP)
    assert resolve("app", PASSWD, GROUP, ["root", "44"]).groups == (0, 44, 1001, 2000)


ODD = """
app:x:1000:1001:an app:/srv/app:/bin/sh
  # not a user
1005:x:1500:1500::/numbers:
short:x:1600
shorter
broken:x:many:1700
again:x:1000:7::/other:
"""
ODD_GROUPS = "#no:x:1:app\nwheel:x:10:app,short\n44:x:45:\nvideo:x:44\nlast"


@pytest.mark.parametrize(
    ("text", "extra", "wanted"),
    [
        ("1005", [], (1005, 0, (0,), "/")),
        ("1500", [], (1500, 1500, (1500,), "/numbers")),
        ("1000", [], (1000, 1001, (10, 1001), "/srv/app")),
        ("+1000", [], (1000, 1001, (10, 1001), "/srv/app")),
        ("short", [], (1600, 0, (0, 10), "/")),
        ("shorter", [], (0, 0, (0,), "/")),
        ("broken", [], (0, 1700, (1700,), "/")),
        ("", [], (0, 0, (0,), "/")),
        ("app:wheel", [], (1000, 10, (10,), "/srv/app")),
        ("app:44", [], (1000, 44, (44,), "/srv/app")),
        (":44", [], (0, 44, (44,), "/")),
        ("app:", [], (1000, 1001, (10, 1001), "/srv/app")),
        ("app:last", ["video", "44", "9"], (1000, 0, (0, 9, 44), "/srv/app")),
        ("2147483647:2147483647", [], (2**31 - 1, 2**31 - 1, (2**31 - 1,), "/")),
    ],
)
def test_users_and_groups_are_those_that_docker_finds(
    text: str, extra: list[str], wanted: tuple[int, int, tuple[int, ...], str]
) -> None:
    user = resolve(text, ODD, ODD_GROUPS, extra)

    assert (user.uid, user.gid, user.groups, user.home) == wanted


@pytest.mark.parametrize(
    ("text", "extra", "words"),
    [
        ("2147483648", [], "uids and gids must be in range 0-2147483647"),
        ("-1", [], "uids and gids must be in range 0-2147483647"),
        ("9" * 4000, [], "uids and gids must be in range 0-2147483647"),
        ("app:4294967296", [], "uids and gids must be in range 0-2147483647"),
        ("app", ["99999999999"], "uids and gids must be in range 0-2147483647"),
        ("1_000", [], "unable to find user 1_000: no matching entries in passwd file"),
        ("٣", [], "unable to find user ٣: no matching entries in passwd file"),
        ("app:nobody", [], "unable to find group nobody: no matching entries in group file"),
        ("app", ["nobody"], "unable to find group nobody: no matching entries in group file"),
        ("app:#no", [], "unable to find group #no: no matching entries in group file"),
    ],
)
def test_users_and_groups_that_docker_refuses(text: str, extra: list[str], words: str) -> None:
    with pytest.raises(RuntimeFailure) as refused:
        resolve(text, ODD, ODD_GROUPS, extra)

    assert str(refused.value) == words


def test_an_empty_home_is_the_users() -> None:
    assert "HOME=/home/app" in oci_config.environment(plan(env=["HOME="]), "/home/app")


def test_resolv_conf() -> None:
    host = "nameserver 9.9.9.9\nsearch example.org\noptions edns0\n"

    assert resolv_conf(None, False, host) == host
    assert resolv_conf(None, True, host) == "nameserver 127.0.0.11\nsearch example.org\noptions ndots:0\n"
    own = DNSConfig(nameservers=["1.1.1.1"], search=["a", "b"], options=["ndots:2"])
    assert resolv_conf(own, True, host) == "nameserver 127.0.0.11\nsearch a b\noptions ndots:2\n"
    assert resolv_conf(own, False, host) == "nameserver 1.1.1.1\nsearch a b\noptions ndots:2\n"


def test_signals_by_every_name() -> None:
    assert [number(name) for name in ("", "SIGTERM", "term", "15", "SIGRTMIN+3")] == [15, 15, 15, 15, 37]
    with pytest.raises(RuntimeFailure, match="invalid signal: SIGFLY"):
        number("SIGFLY")


def test_cgroup_modes() -> None:
    def line(path: str, kind: str) -> str:
        return f"30 20 0:26 / {path} rw,relatime shared:9 - {kind} {kind} rw"

    v1 = line("/sys/fs/cgroup/memory", "cgroup")
    assert cgroup_mode(line("/sys/fs/cgroup", "cgroup2")) is CgroupMode.V2
    assert cgroup_mode(v1) is CgroupMode.V1
    assert cgroup_mode(f"{v1}\n{line('/sys/fs/cgroup/unified', 'cgroup2')}") is CgroupMode.HYBRID


def test_an_image_without_users_runs_as_root() -> None:
    assert resolve("", passwd="", group="") == User(uid=0, gid=0, groups=(0,), home="/")


def test_processes_are_limited_only_where_they_are_counted(tmp_path: Path) -> None:
    assert not counts_processes(CgroupMode.V1, tmp_path)
    assert not counts_processes(CgroupMode.V2, tmp_path)
    (tmp_path / "pids").mkdir()
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    assert counts_processes(CgroupMode.HYBRID, tmp_path)
    assert counts_processes(CgroupMode.V2, tmp_path)
