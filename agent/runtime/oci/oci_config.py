"""The OCI's config.json, made from image, spec and host by Docker's rules for each field. Pure.

`OciContext` has everything that must be looked up or made before: root filesystem, user, mounts, seccomp.
"""

from __future__ import annotations

import resource
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.runtime.interface import ContainerPlan, Image, RuntimeFailure
from agent.runtime.oci import oci_defaults
from agent.runtime.oci.container_user import User
from agent.runtime.oci.resource_limits import DeviceNode, HostLimits, resources
from api.service.container import ContainerSpec, SecurityProfile, Ulimit
from api.service.host_config import Hook, HostConfig

OCI_VERSION = "1.0.2"
INIT_PATH = "/dev/init"


@dataclass(frozen=True, slots=True)
class OciContext:
    """What config.json needs besides the plan: paths, user, mounts and the host's limits."""

    root: str
    cgroup: str
    user: User
    mounts: Sequence[dict[str, Any]]
    """The spec's mounts and Argosy's own files, in the OCI's form. The default mounts come before them."""
    limits: HostLimits
    seccomp: dict[str, Any] | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    init: str = ""
    """Path of the host's tini; "" if it has none."""
    devices: Sequence[DeviceNode] = ()
    """Device nodes besides the default ones."""
    disks: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Major and minor numbers of the block devices with I/O limits, by path."""


def host_config(spec: ContainerSpec) -> HostConfig:
    """The spec's HostConfig, or an empty one."""
    return spec.host_config or HostConfig()


def config(plan: ContainerPlan, context: OciContext) -> dict[str, Any]:
    """The whole config.json. Raises RuntimeFailure if the host cannot satisfy the spec."""
    spec = plan.spec.container_spec
    named = {} if host_config(spec).uts_mode == "host" else {"hostname": plan.hostname}
    return {
        "ociVersion": OCI_VERSION,
        **named,
        "root": {"path": context.root, "readonly": spec.read_only},
        "process": process(plan, context),
        "mounts": mounts(spec, context),
        "annotations": {**host_config(spec).annotations, **context.annotations},
        "linux": linux(plan, context),
    }


def process(plan: ContainerPlan, context: OciContext) -> dict[str, Any]:
    """The `process` object. Execs, and so health checks, are derived from it."""
    spec = plan.spec.container_spec
    caps = sorted(granted(spec, context.limits))
    user = context.user
    return {
        **apparmor(spec, context.limits),
        "terminal": spec.tty,
        "user": {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups)},
        "args": arguments(plan.image, spec),
        "env": environment(plan, user.home),
        "cwd": directory(plan.image, spec),
        "capabilities": {"bounding": caps, "effective": caps, "permitted": caps},
        "rlimits": [rlimit(item, context.limits) for item in spec.ulimits],
        "noNewPrivileges": bool(spec.privileges and spec.privileges.no_new_privileges),
        "oomScoreAdj": oom_score(spec.oom_score_adj, context.limits),
    }


def hooked(shape: dict[str, Any], hook: Hook, user: User | None, host: HostLimits) -> dict[str, Any]:
    """The `process` object of a hook, derived from the container's. `user` None: the container's user."""
    found = dict(shape)
    names = {item.partition("=")[0] for item in hook.environment}
    found["env"] = [*(item for item in shape["env"] if item.partition("=")[0] not in names), *hook.environment]
    if hook.working_dir:
        found["cwd"] = hook.working_dir
    if user:
        found["user"] = {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups)}
    if hook.privileged:
        caps = sorted(host.capabilities)
        found["capabilities"] = {"bounding": caps, "effective": caps, "permitted": caps}
    return found


def arguments(image: Image, spec: ContainerSpec) -> list[str]:
    """The command line. An entrypoint of the spec drops the image's command; [""] means no entrypoint.

    Raises RuntimeFailure when nothing is left to run.
    """
    entrypoint = [] if spec.command == [""] else spec.command or list(image.entrypoint)
    command = spec.args or ([] if spec.command else list(image.command))
    if not entrypoint and not command:
        raise RuntimeFailure(f"no command specified: neither the service nor image {spec.image} names one")
    return [*([INIT_PATH, "--"] if spec.init else []), *entrypoint, *command]


def environment(plan: ContainerPlan, home: str) -> list[str]:
    """The environment. Later values win; a name without "=" removes the variable."""
    spec = plan.spec.container_spec
    first = [oci_defaults.PATH, f"HOSTNAME={plan.hostname}", *(["TERM=xterm"] if spec.tty else [])]
    found: dict[str, str] = {}
    for item in (*first, *plan.image.env, *spec.env, *plan.env):
        name, equals, _ = item.partition("=")
        found.pop(name, None) if not equals else found.update({name: item})
    if found.get("HOME", "HOME=") == "HOME=":
        found["HOME"] = f"HOME={home}"
    return list(found.values())


def directory(image: Image, spec: ContainerSpec) -> str:
    """The working directory of the process, as an absolute path."""
    path = spec.dir or image.directory or "/"
    return path if path.startswith("/") else f"/{path}"


def capabilities(add: Iterable[str], drop: Iterable[str]) -> set[str]:
    """Docker's fourteen default capabilities, with some added and dropped; `ALL` is possible in both.

    Raises RuntimeFailure for an unknown name.
    """
    more, fewer = {_capability(name) for name in add}, {_capability(name) for name in drop}
    everything = set(oci_defaults.ALL_CAPABILITIES)
    kept = everything if "ALL" in more else set(oci_defaults.CAPABILITIES)
    kept = set() if "ALL" in fewer else kept - fewer
    return kept | (more - {"ALL"})


def granted(spec: ContainerSpec, host: HostLimits) -> set[str]:
    """A container's capabilities: all of the host's if privileged; of `ALL`, only those that this process may give."""
    if host_config(spec).privileged:
        return set(host.capabilities)
    found = capabilities(spec.capability_add, spec.capability_drop)
    if "ALL" in {_capability(name) for name in spec.capability_add}:
        found &= host.capabilities | {_capability(name) for name in spec.capability_add}
    return found


def apparmor(spec: ContainerSpec, host: HostLimits) -> dict[str, Any]:
    """The AppArmor profile, if the spec names one. Raises RuntimeFailure if the host does not run AppArmor."""
    wanted = spec.privileges.app_armor if spec.privileges else None
    wanted = wanted or SecurityProfile()
    if not wanted.profile or wanted.mode in ("disabled", "unconfined") or host_config(spec).privileged:
        return {}
    if not host.apparmor:
        raise RuntimeFailure(f"AppArmor profile {wanted.profile!r} cannot be applied: this host does not run AppArmor")
    return {"apparmorProfile": wanted.profile}


def _capability(name: str) -> str:
    upper = name.upper()
    if upper in ("ALL", "CAP_ALL"):
        return "ALL"
    full = upper if upper.startswith("CAP_") else f"CAP_{upper}"
    if full not in oci_defaults.ALL_CAPABILITIES:
        raise RuntimeFailure(f"invalid capability {name!r}")
    return full


def mounts(spec: ContainerSpec, context: OciContext) -> list[dict[str, Any]]:
    """The default mounts that the spec does not replace, then the spec's mounts, parents before children."""
    taken = {mount["destination"] for mount in context.mounts}
    defaults = (
        _default_mount(mount, host_config(spec)) for mount in oci_defaults.MOUNTS if mount["destination"] not in taken
    )
    found = [mount for mount in defaults if mount]
    found += sorted(context.mounts, key=lambda mount: mount["destination"].count("/"))
    if spec.init:
        if not context.init:
            raise RuntimeFailure("`init` needs tini on the host; install the package tini")
        options = ["bind", "ro"]
        found.append({"destination": INIT_PATH, "type": "bind", "source": context.init, "options": options})
    return found


def _default_mount(mount: dict[str, Any], wanted: HostConfig) -> dict[str, Any]:
    """A default mount, adapted to the spec's HostConfig; empty if the container does not get it."""
    where, options = mount["destination"], list(mount["options"])
    if where == "/dev/shm" and wanted.ipc_mode == "host":
        return {
            "destination": where,
            "type": "bind",
            "source": where,
            "options": ["rbind", "nosuid", "noexec", "nodev"],
        }
    if where == "/dev/shm" and wanted.ipc_mode == "none":
        return {}
    if where == "/dev/shm" and wanted.shm_size:
        options = [*(option for option in options if not option.startswith("size=")), f"size={wanted.shm_size}"]
    if where in ("/sys", "/sys/fs/cgroup") and wanted.privileged:
        options = [option for option in options if option != "ro"]
    return {**mount, "options": options}


def linux(plan: ContainerPlan, context: OciContext) -> dict[str, Any]:
    """The `linux` object."""
    spec, wanted = plan.spec.container_spec, host_config(plan.spec.container_spec)
    namespaces = [{"type": kind} for kind in _namespaces(wanted, context.limits)]
    if plan.netns:
        namespaces.append({"type": "network", "path": plan.netns})
    limits = plan.spec.resources.limits if plan.spec.resources else None
    domain = {"kernel.domainname": spec.domainname} if spec.domainname else {}
    found: dict[str, Any] = {
        "cgroupsPath": context.cgroup,
        "namespaces": namespaces,
        "sysctl": {**(oci_defaults.SYSCTLS if plan.netns else {}), **domain, **spec.sysctls},
        "maskedPaths": _paths(wanted, wanted.masked_paths, oci_defaults.MASKED_PATHS),
        "readonlyPaths": _paths(wanted, wanted.readonly_paths, oci_defaults.READONLY_PATHS),
        "resources": resources(limits, context.limits, wanted, context.devices, context.disks),
    }
    if propagation := _root_propagation(context.mounts):
        found["rootfsPropagation"] = propagation
    if context.devices:
        found["devices"] = [_device(node) for node in context.devices]
    if context.seccomp is not None:
        found["seccomp"] = context.seccomp
    return found


def _root_propagation(mounts: Sequence[dict[str, Any]]) -> str:
    """The root's propagation that the mounts' propagation requires; "" for the runtime's default. Docker's rule."""
    asked = {option for mount in mounts for option in mount.get("options", ())}
    if asked & {"shared", "rshared"}:
        return "shared"
    return "rslave" if asked & {"slave", "rslave"} else ""


def _namespaces(wanted: HostConfig, host: HostLimits) -> list[str]:
    own_cgroup = wanted.cgroupns_mode == "private" or (host.cgroup_v2 and wanted.cgroupns_mode != "host")
    shared = {"pid": wanted.pid_mode, "ipc": wanted.ipc_mode, "uts": wanted.uts_mode}
    kinds = [kind for kind, mode in shared.items() if mode != "host"]
    return [*kinds, "mount", *(["cgroup"] if own_cgroup else [])]


def _paths(wanted: HostConfig, asked: list[str] | None, defaults: Sequence[str]) -> list[str]:
    if wanted.privileged:
        return []
    return list(defaults if asked is None else asked)


def _device(node: DeviceNode) -> dict[str, Any]:
    numbers = {"major": node.major, "minor": node.minor, "fileMode": node.mode, "uid": node.uid, "gid": node.gid}
    return {"path": node.path, "type": node.kind, **numbers}


def rlimit(wanted: Ulimit, host: HostLimits) -> dict[str, Any]:
    """One ulimit, limited to what this process may give."""
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
    """The OOM score: as wanted, but not below this process's own unless it may lower scores."""
    return wanted if host.may_raise else max(wanted, host.oom_score_adj)


def own_rlimits() -> dict[str, int]:
    """This process's hard limits, by their names in a spec ("nofile"); -1 is unlimited."""
    names = {
        name.removeprefix("RLIMIT_").lower(): number for name, number in vars(resource).items() if "RLIMIT_" in name
    }
    limits = {name: resource.getrlimit(number)[1] for name, number in names.items()}
    return {name: -1 if hard == resource.RLIM_INFINITY else hard for name, hard in limits.items()}
