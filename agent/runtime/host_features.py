"""Host features: the cgroup mode, the OCI runtime that fits it, and the limits of this process."""

from __future__ import annotations

import platform
import shutil
from enum import Enum
from pathlib import Path

from agent.runtime.interface import RuntimeFailure
from agent.runtime.oci import oci_defaults
from agent.runtime.oci.oci_config import own_rlimits
from agent.runtime.oci.resource_limits import HostLimits

CGROUPS = "/sys/fs/cgroup"
_APPARMOR = Path("/sys/module/apparmor/parameters/enabled")
_CAP_SYS_RESOURCE = 24
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386", "i386": "386"}


class CgroupMode(Enum):
    """How the kernel's control groups are mounted."""

    V1 = "v1"
    HYBRID = "hybrid"
    V2 = "v2"


def cgroup_mode(mountinfo: str) -> CgroupMode:
    """The cgroup mode by the text of /proc/self/mountinfo."""
    kinds: dict[str, str] = {}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        if (path := left.split(" ")[4]).startswith(CGROUPS):
            kinds[path] = right.split(" ")[0]
    if kinds.get(CGROUPS) == "cgroup2":
        return CgroupMode.V2
    return CgroupMode.HYBRID if "cgroup2" in kinds.values() else CgroupMode.V1


def own_cgroup_mode() -> CgroupMode:
    """The cgroup mode of this process's mount namespace."""
    return cgroup_mode(Path("/proc/self/mountinfo").read_text())


def choose_runtime(mode: CgroupMode) -> str:
    """Path of the OCI runtime: crun, except in hybrid mode, which crun refuses. Raises RuntimeFailure."""
    names = ("runc",) if mode is CgroupMode.HYBRID else ("crun", "runc")
    for name in names:
        if path := shutil.which(name):
            return path
    raise RuntimeFailure(f"no OCI runtime for cgroup mode {mode.value}: install {' or '.join(names)}")


def machine() -> str:
    """The machine as Docker names it: amd64."""
    name = platform.machine()
    return _MACHINES.get(name, name)


def counts_processes(mode: CgroupMode, root: Path = Path(CGROUPS)) -> bool:
    """Whether the kernel can limit a container's processes. OCI runtimes fail on a limit that cannot be enforced."""
    if mode is not CgroupMode.V2:
        return (root / "pids").is_dir()
    try:
        return "pids" in (root / "cgroup.controllers").read_text().split()
    except OSError:
        return False


def host_limits(mode: CgroupMode, pids: int = 0) -> HostLimits:
    """What this process may give to containers. `pids` is the default limit of processes; 0 is no limit."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    effective = int(status["CapEff"].strip(), 16)
    bounding = int(status["CapBnd"].strip(), 16)
    return HostLimits(
        pids=pids if counts_processes(mode) else 0,
        may_raise=bool(effective >> _CAP_SYS_RESOURCE & 1),
        rlimits=own_rlimits(),
        oom_score_adj=int(Path("/proc/self/oom_score_adj").read_text()),
        swap_accounting=Path(CGROUPS, "memory/memory.memsw.limit_in_bytes").exists(),
        cgroup_v2=mode is CgroupMode.V2,
        capabilities=frozenset(name for bit, name in enumerate(oci_defaults.ALL_CAPABILITIES) if bounding >> bit & 1),
        apparmor=_APPARMOR.exists() and _APPARMOR.read_text().startswith("Y"),
    )
