"""The bundle builder: makes a container's directory from its plan (root filesystem, mounts, /etc files, config.json).

`<containers>/<id>/` has container.json, config.json, process.json, hosts, hostname, resolv.conf, upper, work,
rootfs (mount point), and the files of conmon (agent/runtime/containers/conmon.py).
"""

from __future__ import annotations

import base64
import dataclasses
import platform
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from agent.runtime.bundle import cdi, device_nodes, seccomp_bpf
from agent.runtime.bundle.file_mounts import make_files, remove_files
from agent.runtime.bundle.mounts import make
from agent.runtime.containers.container_record import MadeMount
from agent.runtime.host_features import machine
from agent.runtime.interface import ContainerPlan, RuntimeFailure
from agent.runtime.oci import container_user, oci_config, oci_defaults, seccomp
from agent.runtime.oci.resource_limits import HostLimits
from agent.runtime.volumes import rootfs_paths
from agent.runtime.volumes.local_volumes import Volumes
from agent.runtime.volumes.mount_syscalls import mount_overlay, unmount
from api.service.container import ContainerSpec, DNSConfig
from api.service.host_config import Hook
from kit.directories import make_directory
from kit.files import replace_file
from kit.thread_pool import ThreadPool

EMBEDDED_DNS = "127.0.0.11"
_TINI = ("tini-static", "docker-init", "tini")
_MOST_PASSWD = 1 << 20
_WITH_ENVIRONMENT = ("config.json", "process.json", "container.json")


@dataclass(frozen=True, slots=True)
class Built:
    """A finished bundle."""

    config: dict[str, Any]
    mounts: Sequence[MadeMount]


@dataclass(slots=True)
class BundleBuilder:
    """Makes and deletes the bundles of one host."""

    volumes: Volumes
    limits: HostLimits
    cgroup_parent: str
    compiled_seccomp: bool
    """Whether the runtime accepts compiled BPF (crun does)."""
    workers: ThreadPool
    """Threads for blocking calls on file systems."""
    cdi_directories: Sequence[Path] = cdi.DIRECTORIES
    """Directories of the CDI files."""
    _profile: seccomp.Profile = field(default_factory=seccomp.default_profile)
    _programs: dict[bytes, str] = field(default_factory=dict)

    def root(self, directory: Path, layers: Sequence[Path]) -> Path:
        """Mount the container's root filesystem and return its path. Blocking, some milliseconds."""
        for name in ("upper", "work", "rootfs"):
            (directory / name).mkdir(exist_ok=True)
        (directory / "upper").chmod(0o755)
        mount_overlay(layers, directory / "upper", directory / "work", directory / "rootfs")
        return directory / "rootfs"

    async def build(self, plan: ContainerPlan, directory: Path, held: ExitStack) -> Built:
        """Make the rest of the bundle; the root filesystem is mounted already. Raises RuntimeFailure.

        The caller closes `held` once the container is made, or making it failed.
        """
        spec, root = plan.spec.container_spec, directory / "rootfs"
        wanted = oci_config.host_config(spec)
        if wanted.uts_mode == "host":
            plan = dataclasses.replace(plan, hostname=platform.node())
        made = await make(plan.id, spec.mounts, plan.image.volumes, root, self.volumes, held)
        user = await self.workers.run("preparing the image's files", _prepared, root, plan)
        rules, annotations = self._seccomp(plan)
        files = await self.workers.run("writing secrets and configs", make_files, plan.files, directory)
        offered = cdi.read(self.cdi_directories) if wanted.device_requests else cdi.CdiDevices()
        edits = cdi.wanted(wanted.device_requests, offered)
        context = oci_config.OciContext(
            root=str(root),
            cgroup=self.cgroup(spec, plan.id),
            user=user,
            mounts=[
                *_files(plan, directory, {m.oci["destination"] for m in made}),
                *(m.oci for m in made),
                *files,
                *cdi.mounts(edits),
            ],
            limits=self.limits,
            seccomp=rules,
            annotations=annotations,
            init=next((path for name in _TINI if (path := shutil.which(name))), ""),
            devices=[*device_nodes.wanted_nodes(wanted), *cdi.nodes(edits)],
            disks=device_nodes.disk_numbers(wanted),
        )
        config = cdi.applied(oci_config.config(plan, context), edits)
        replace_file(directory / "config.json", msgspec.json.encode(config))
        return Built(config, made)

    def cgroup(self, spec: ContainerSpec, id: str) -> str:
        """The path of a container's control group, from the root."""
        return f"{cgroup_of(self.cgroup_parent, oci_config.host_config(spec).cgroup_parent)}/{id}"

    def hook_shape(self, shape: dict[str, Any], hook: Hook, directory: Path) -> dict[str, Any]:
        """The OCI `process` of a hook, derived from the container's. Raises RuntimeFailure for an unknown user."""
        user = _user(directory / "rootfs", hook.user) if hook.user else None
        return oci_config.hooked(shape, hook, user, self.limits)

    def clear(self, directory: Path) -> None:
        """Unmount and delete a bundle. Blocking."""
        unmount(directory / "rootfs")
        remove_files(directory)
        shutil.rmtree(directory, ignore_errors=True)

    def _seccomp(self, plan: ContainerPlan) -> tuple[dict[str, Any] | None, dict[str, str]]:
        spec = plan.spec.container_spec
        if oci_config.host_config(spec).privileged:
            return None, {}
        wanted = spec.privileges.seccomp if spec.privileges else None
        profile = seccomp.choose(wanted, self._profile)
        if profile is None:
            return None, {}
        granted = oci_config.granted(spec, self.limits)
        rules = seccomp.rules(profile, granted, machine(), platform.release())
        if not self.compiled_seccomp:
            return rules, {}
        key = msgspec.json.encode(rules)
        if key not in self._programs:
            try:
                self._programs[key] = base64.b64encode(seccomp_bpf.compile_rules(rules)).decode()
            except OSError:
                return rules, {}  # no libseccomp here: the runtime compiles the rules itself, which takes longer
        return None, {"run.oci.seccomp_bpf_data": self._programs[key]}


def close_to_others(directory: Path) -> None:
    """Restrict a container's directory, made by an earlier version, to root as new ones are."""
    make_directory(directory)
    for name in _WITH_ENVIRONMENT:
        if (path := directory / name).exists():
            path.chmod(0o600)


def cgroup_of(ours: str, asked: str) -> str:
    """The parent of a container's cgroup: `asked` if absolute, else `asked` below `ours`; `ours` if "" is asked."""
    if not asked:
        return ours
    return asked.rstrip("/") if asked.startswith("/") else f"{ours}/{asked.rstrip('/')}"


def resolv_conf(dns: DNSConfig | None, own_network: bool, host: str) -> str:
    """The text of resolv.conf: Argosy's DNS server if the container has its own network namespace, else the spec's
    servers, else the host's.
    """
    dns = dns or DNSConfig()
    if not own_network and not dns.nameservers and not dns.search and not dns.options:
        return host
    lines = [line for line in host.splitlines() if line.strip()]
    search = [f"search {' '.join(dns.search)}"] if dns.search else [li for li in lines if li.startswith("search ")]
    if own_network:
        servers = [f"nameserver {EMBEDDED_DNS}"]
    elif dns.nameservers:
        servers = [f"nameserver {server}" for server in dns.nameservers]
    else:
        servers = [line for line in lines if line.startswith("nameserver")]
    options = dns.options or (["ndots:0"] if own_network else [])
    return "\n".join([*servers, *search, *([f"options {' '.join(options)}"] if options else [])]) + "\n"


def _files(plan: ContainerPlan, directory: Path, taken: set[str]) -> list[dict[str, Any]]:
    """Write hosts, hostname and resolv.conf; returns their mounts, except where the spec mounts something itself."""
    host = Path("/etc/resolv.conf")
    contents = {
        "hosts": "\n".join((*oci_defaults.LOCALHOST_LINES, *plan.hosts)) + "\n",
        "hostname": plan.hostname + "\n",
        "resolv.conf": resolv_conf(
            plan.spec.container_spec.dns_config, bool(plan.netns), host.read_text() if host.exists() else ""
        ),
    }
    found = []
    for name, text in contents.items():
        if f"/etc/{name}" in taken:
            continue
        path = directory / name
        path.write_text(text)
        path.chmod(0o644)
        options = ["rbind", "rprivate", "ro" if plan.spec.container_spec.read_only else "rw"]
        found.append({"destination": f"/etc/{name}", "type": "bind", "source": str(path), "options": options})
    return found


def _prepared(root: Path, plan: ContainerPlan) -> container_user.User:
    """Make the working directory and resolve the user. Blocking. Raises RuntimeFailure."""
    spec = plan.spec.container_spec
    path = oci_config.directory(plan.image, spec)
    try:
        rootfs_paths.make_directory(root, path)
    except OSError as error:
        raise RuntimeFailure(f"cannot use {path} as the working directory: {error.strerror or error}") from None
    return _user(root, spec.user or plan.image.user, spec.groups)


def _user(root: Path, text: str, groups: Sequence[str] = ()) -> container_user.User:
    """Resolve a user by the container's passwd and group files. Raises RuntimeFailure."""
    return container_user.resolve(text, _text(root, "/etc/passwd"), _text(root, "/etc/group"), groups)


def _text(root: Path, path: str) -> str:
    """The text of a small file in the container; "" if it does not exist. Raises RuntimeFailure."""
    try:
        return rootfs_paths.read_small(root, path, _MOST_PASSWD) or ""
    except OSError as error:
        raise RuntimeFailure(f"cannot read {path} of the container: {error.strerror or error}") from None
