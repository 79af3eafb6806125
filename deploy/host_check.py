"""Host check: whether this machine can be an Argosy host, with a remedy for each missing requirement."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.lab import cgroups
from deploy.lab.shell import try_run

_BROKEN_ETCD = {(3, 5, 0), (3, 5, 1), (3, 5, 2)}
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_SCRATCH = ("unshare", "--net", "--mount")
_TOOLS = {"ip": "iproute2", "nft": "nftables", "mount": "mount"}
"""The packages of the tools that probe kernel features."""
_OLDEST_KERNEL = (5, 10)


@dataclass(frozen=True)
class Finding:
    """The result of one check. `remedy` is "" when it passed."""

    name: str
    found: str
    remedy: str = ""

    @property
    def ok(self) -> bool:
        """Whether the check passed."""
        return not self.remedy


def check_host() -> Iterator[Finding]:
    """Run all checks, in the order in which problems are best fixed."""
    yield _root()
    yield _kernel()
    yield _cgroups()
    yield from (_program(name, arguments, package) for name, arguments, package in _PROGRAMS)
    yield _etcd()
    yield _runtime()
    yield from (_library(name, package) for name, package in _LIBRARIES)
    yield from (_file(name, path, package) for name, path, package in _FILES)
    yield from _features()


_PROGRAMS = (
    ("conmon", ("--version",), "conmon"),
    ("skopeo", ("--version",), "skopeo"),
    ("nft", ("--version",), "nftables"),
    ("ip", ("-V",), "iproute2"),
    ("tini", ("--version",), "tini"),
    ("ps", ("--version",), "procps"),
)
_LIBRARIES = (("libseccomp.so.2", "libseccomp2"), ("libnftables.so.1", "libnftables1"))
_FILES = (
    ("CA certificates", "/etc/ssl/certs/ca-certificates.crt", "ca-certificates"),
    ("time zones", "/usr/share/zoneinfo/UTC", "tzdata"),
)


def _root() -> Finding:
    if os.geteuid() == 0:
        return Finding("root", "yes")
    return Finding("root", f"running as user {os.geteuid()}", "run it as root: sudo argosy check")


def _kernel() -> Finding:
    release = platform.release()
    if _numbers(release)[:2] >= _OLDEST_KERNEL:
        return Finding("kernel", release)
    return Finding("kernel", release, f"use Linux {_OLDEST_KERNEL[0]}.{_OLDEST_KERNEL[1]} or newer")


def _features() -> Iterator[Finding]:
    """Probe kernel features by using them, in temporary namespaces. Each probe: name, tool, script, remedy."""
    add = "ip link add argosy0 type"
    probes: tuple[tuple[str, str, str, str], ...] = (
        ("veth", "ip", f"{add} veth peer name argosy1", "load the module: modprobe veth"),
        ("bridge", "ip", f"{add} bridge", "load the module: modprobe bridge"),
        ("vxlan", "ip", f"{add} vxlan id 42 dstport 4789 nolearning", "load the module: modprobe vxlan"),
        (
            "bridge netfilter",
            "ip",
            # No tool loads this module on demand. argosyd loads it, so the check is whether that is possible.
            f"modprobe -q br_netfilter 2>/dev/null; {add} bridge"
            " && test -e /proc/sys/net/bridge/bridge-nf-call-iptables",
            "load the module: modprobe br_netfilter",
        ),
        (
            "nftables NAT",
            "nft",
            "nft 'add table ip argosy; add chain ip argosy c { type nat hook prerouting priority -100; };"
            " add rule ip argosy c tcp dport 1 dnat to numgen inc mod 2 map { 0 : 10.9.1.1, 1 : 10.9.1.2 }'",
            "install nftables and use a kernel with nf_tables, nft_nat and nft_numgen",
        ),
        (
            "nftables on bridges",
            "nft",
            "nft 'add table bridge argosy; add chain bridge argosy c { type filter hook prerouting priority -350; };"
            " add rule bridge argosy c ether type ip accept'",
            "use a kernel with nf_tables for bridges (CONFIG_NF_TABLES_BRIDGE)",
        ),
        (
            "overlayfs",
            "mount",
            "d=$(mktemp -d) && mount -t tmpfs none $d && cd $d && mkdir l u w m"
            " && mount -t overlay none -o lowerdir=l,upperdir=u,workdir=w m; r=$?;"
            " cd /; umount -l $d; rmdir $d; exit $r",
            "load the module: modprobe overlay",
        ),
    )
    for name, tool, script, remedy in probes:
        if not shutil.which(tool):
            yield Finding(name, f"cannot be tried without {tool}", f"apt-get install {_TOOLS[tool]}")
            continue
        done = try_run(*_SCRATCH, "sh", "-c", script)
        if done.returncode == 0:
            yield Finding(name, "works")
        else:
            words = done.stderr.strip().splitlines()
            yield Finding(name, words[-1] if words else "does not work", remedy)


def _cgroups() -> Finding:
    mode = cgroup_mode()
    if mode == "none":
        return Finding("cgroups", "not mounted", "mount them: mount -t cgroup2 none /sys/fs/cgroup")
    return Finding("cgroups", mode)


def cgroup_mode() -> str:
    """How cgroups are mounted: "v2", "v1", "hybrid", or "none"."""
    roots = cgroups.hierarchies()
    if not roots:
        return "none"
    if cgroups.is_unified():
        return "v2"
    return "hybrid" if (cgroups.ROOT / "unified").is_mount() else "v1"


def _program(name: str, arguments: tuple[str, ...], package: str) -> Finding:
    done = try_run(name, *arguments)
    if done.returncode == 127:
        return Finding(name, "not installed", f"apt-get install {package}")
    match = _VERSION.search(done.stdout + done.stderr)
    return Finding(name, match[0] if match else "installed")


def _etcd() -> Finding:
    finding = _program("etcd", ("--version",), "etcd-server")
    if finding.ok and (*_numbers(finding.found), 0)[:3] in _BROKEN_ETCD:
        return Finding("etcd", finding.found, "this version can lose data in a crash; use 3.4 or 3.5.3 and newer")
    return finding


def _runtime() -> Finding:
    hybrid = cgroup_mode() == "hybrid"
    usable = ("runc",) if hybrid else ("crun", "runc")
    for name in usable:
        finding = _program(name, ("--version",), name)
        if finding.ok:
            note = "; crun refuses hybrid cgroups" if hybrid else ""
            return Finding("OCI runtime", f"{name} {finding.found}{note}")
    return Finding("OCI runtime", "none", f"apt-get install {usable[0]}")


def _library(name: str, package: str) -> Finding:
    try:
        ctypes.CDLL(name)
    except OSError:
        return Finding(name, "not installed", f"apt-get install {package}")
    return Finding(name, "installed")


def _file(name: str, path: str, package: str) -> Finding:
    if Path(path).exists():
        return Finding(name, "installed")
    return Finding(name, "not installed", f"apt-get install {package}")


def _numbers(text: str) -> tuple[int, ...]:
    match = _VERSION.search(text)
    return tuple(int(part) for part in match.groups() if part) if match else (0,)
