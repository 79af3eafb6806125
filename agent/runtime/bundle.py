"""From image, spec and host to the OCI's config.json, with Docker's rules for each field. Pure.

`Place` is everything that had to be looked up or made first: root filesystem, user, mounts, seccomp.
"""

from __future__ import annotations

import resource
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.runtime import defaults
from agent.runtime.base import ContainerPlan, Image, RuntimeFailure
from agent.runtime.users import User
from api.specs import ContainerSpec, Limits, Ulimit

OCI_VERSION = "1.0.2"
INIT_PATH = "/dev/init"


@dataclass(frozen=True, slots=True)
class HostLimits:
    """What this process may give to others (it may lack CAP_SYS_RESOURCE) and what the kernel counts."""

    may_raise: bool
    rlimits: Mapping[str, int] = field(default_factory=dict)
    """Own hard limits by name ("nofile"); -1 is unlimited."""
    oom_score_adj: int = 0
    swap_accounting: bool = False
    cgroup_v2: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where and as whom a container runs."""

    root: str
    cgroup: str
    user: User
    mounts: Sequence[dict[str, Any]]
    """The spec's and our own files, in the OCI's form, after the default ones."""
    limits: HostLimits
    seccomp: dict[str, Any] | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    init: str = ""
    """The host's tini; "" when it has none."""


def config(plan: ContainerPlan, place: Place) -> dict[str, Any]:
    """The whole of config.json. Raises RuntimeFailure for what cannot be."""
    spec = plan.spec.container_spec
    return {
        "ociVersion": OCI_VERSION,
        "hostname": plan.hostname,
        "root": {"path": place.root, "readonly": spec.read_only},
        "process": process(plan, place),
        "mounts": mounts(spec, place),
        "annotations": dict(place.annotations),
        "linux": linux(plan, place),
    }


def process(plan: ContainerPlan, place: Place) -> dict[str, Any]:
    """The `process` object, which health checks start from too."""
    spec = plan.spec.container_spec
    caps = sorted(capabilities(spec.capability_add, spec.capability_drop))
    user = place.user
    return {
        "terminal": spec.tty,
        "user": {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups)},
        "args": arguments(plan.image, spec),
        "env": environment(plan, user.home),
        "cwd": directory(plan.image, spec),
        "capabilities": {"bounding": caps, "effective": caps, "permitted": caps},
        "rlimits": [rlimit(item, place.limits) for item in spec.ulimits],
        "noNewPrivileges": bool(spec.privileges and spec.privileges.no_new_privileges),
        "oomScoreAdj": oom_score(spec.oom_score_adj, place.limits),
    }


def arguments(image: Image, spec: ContainerSpec) -> list[str]:
    """A new entrypoint drops the image's command. Raises RuntimeFailure when nothing is left to run."""
    entrypoint = spec.command or list(image.entrypoint)
    command = spec.args or ([] if spec.command else list(image.command))
    if not entrypoint and not command:
        raise RuntimeFailure(f"no command specified: neither the service nor image {spec.image} names one")
    return [*([INIT_PATH, "--"] if spec.init else []), *entrypoint, *command]


def environment(plan: ContainerPlan, home: str) -> list[str]:
    """Later ones win; a name without "=" removes the variable."""
    spec = plan.spec.container_spec
    first = [defaults.PATH, f"HOSTNAME={plan.hostname}", *(["TERM=xterm"] if spec.tty else [])]
    found: dict[str, str] = {}
    for item in (*first, *plan.image.env, *spec.env, *plan.env):
        name, equals, _ = item.partition("=")
        found.pop(name, None) if not equals else found.update({name: item})
    found.setdefault("HOME", f"HOME={home}")
    return list(found.values())


def directory(image: Image, spec: ContainerSpec) -> str:
    """Where the process starts; always absolute."""
    path = spec.dir or image.directory or "/"
    return path if path.startswith("/") else f"/{path}"


def capabilities(add: Iterable[str], drop: Iterable[str]) -> set[str]:
    """Docker's fourteen, more, fewer; `ALL` on either side. Raises RuntimeFailure for an unknown one."""
    more, fewer = {_capability(name) for name in add}, {_capability(name) for name in drop}
    everything = set(defaults.ALL_CAPABILITIES)
    kept = everything if "ALL" in more else set(defaults.CAPABILITIES)
    kept = set() if "ALL" in fewer else kept - fewer
    return kept | (more - {"ALL"})


def _capability(name: str) -> str:
    upper = name.upper()
    if upper in ("ALL", "CAP_ALL"):
        return "ALL"
    full = upper if upper.startswith("CAP_") else f"CAP_{upper}"
    if full not in defaults.ALL_CAPABILITIES:
        raise RuntimeFailure(f"invalid capability {name!r}")
    return full


def mounts(spec: ContainerSpec, place: Place) -> list[dict[str, Any]]:
    """Default mounts that nothing stands in the place of, then the others, outer before inner."""
    taken = {mount["destination"] for mount in place.mounts}
    found = [mount for mount in defaults.MOUNTS if mount["destination"] not in taken]
    found += sorted(place.mounts, key=lambda mount: mount["destination"].count("/"))
    if spec.init:
        if not place.init:
            raise RuntimeFailure("`init` needs tini on the host; install the package tini")
        options = ["bind", "ro"]
        found.append({"destination": INIT_PATH, "type": "bind", "source": place.init, "options": options})
    return found


def linux(plan: ContainerPlan, place: Place) -> dict[str, Any]:
    """The `linux` object."""
    spec = plan.spec.container_spec
    kinds = ["pid", "ipc", "uts", "mount", *(["cgroup"] if place.limits.cgroup_v2 else [])]
    namespaces = [{"type": kind} for kind in kinds]
    if plan.netns:
        namespaces.append({"type": "network", "path": plan.netns})
    found: dict[str, Any] = {
        "cgroupsPath": place.cgroup,
        "namespaces": namespaces,
        "sysctl": {**(defaults.SYSCTLS if plan.netns else {}), **spec.sysctls},
        "maskedPaths": list(defaults.MASKED_PATHS),
        "readonlyPaths": list(defaults.READONLY_PATHS),
        "resources": resources(plan.spec.resources.limits if plan.spec.resources else None, place.limits),
    }
    if place.seccomp is not None:
        found["seccomp"] = place.seccomp
    return found


def resources(limits: Limits | None, host: HostLimits) -> dict[str, Any]:
    """CPU, memory and pids limits; memory and swap together are twice the memory, as Docker has it."""
    found: dict[str, Any] = {"devices": list(defaults.DEVICES)}
    if limits and limits.nano_cpus:
        quota = max(1000, limits.nano_cpus * defaults.CPU_PERIOD // 1_000_000_000)
        found["cpu"] = {"quota": quota, "period": defaults.CPU_PERIOD}
    if limits and limits.memory_bytes:
        swap = {"swap": 2 * limits.memory_bytes} if host.swap_accounting else {}
        found["memory"] = {"limit": limits.memory_bytes, **swap}
    if limits and limits.pids > 0:
        found["pids"] = {"limit": limits.pids}
    return found


def rlimit(wanted: Ulimit, host: HostLimits) -> dict[str, Any]:
    """One ulimit, no higher than this process may give."""
    most = -1 if host.may_raise else host.rlimits.get(wanted.name.lower(), -1)
    hard = _least(wanted.hard, most)
    return {
        "type": f"RLIMIT_{wanted.name.upper()}",
        "hard": _unsigned(hard),
        "soft": _unsigned(_least(wanted.soft, hard)),
    }


def _least(first: int, second: int) -> int:
    return max(first, second) if min(first, second) < 0 else min(first, second)


def _unsigned(value: int) -> int:
    return value if value >= 0 else 2**64 - 1


def oom_score(wanted: int, host: HostLimits) -> int:
    """As wanted, but no lower than our own unless we may."""
    return wanted if host.may_raise else max(wanted, host.oom_score_adj)


def own_rlimits() -> dict[str, int]:
    """This process' hard limits by their names in a spec."""
    names = {
        name.removeprefix("RLIMIT_").lower(): number for name, number in vars(resource).items() if "RLIMIT_" in name
    }
    limits = {name: resource.getrlimit(number)[1] for name, number in names.items()}
    return {name: -1 if hard == resource.RLIM_INFINITY else hard for name, hard in limits.items()}
