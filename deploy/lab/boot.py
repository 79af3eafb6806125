"""The boot program of a lab host: enters cgroups and namespaces, mounts file systems, and becomes the host's PID 1.

It is a separate program (`python -m deploy.lab.boot SPEC`), because a process must enter namespaces before it starts
any thread. SPEC is a JSON file; the pid of the new PID 1 is written to its `pidfile`.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from pathlib import Path

import msgspec

from deploy.lab import cgroups

_CLONE = {"mount": 0x00020000, "cgroup": 0x02000000, "uts": 0x04000000, "ipc": 0x08000000, "pid": 0x20000000}
_CLONE_NEWNET = 0x40000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


class BootSpec(msgspec.Struct, frozen=True):
    """The description of a host to boot."""

    hostname: str
    netns: str
    """Path of the host's network namespace."""
    cgroup: str
    pidfile: str
    log: str
    binds: dict[str, str]
    """Path in the host → directory on the machine."""
    command: list[str]
    """The command that PID 1 keeps running."""


def main(path: str) -> None:
    """Boot the host of the spec at `path`. Returns in the calling process once PID 1 has been started."""
    spec = msgspec.json.decode(Path(path).read_bytes(), type=BootSpec)
    os.setsid()
    cgroups.enter(spec.cgroup)
    unified = cgroups.is_unified()
    controllers = [] if unified else _v1_controllers()
    _enter_netns(spec.netns)
    _check(_libc.unshare(sum(_CLONE.values())), "unshare")
    # The child shares the mount namespace and will change it, so it waits until the parent needs no more files.
    known, tell = os.pipe()
    if pid := os.fork():
        Path(spec.pidfile).write_text(f"{pid} {_start_time(pid)}")
        os.write(tell, b"!")
        return
    os.read(known, 1)
    os.close(known)
    os.close(tell)
    _detach_output(spec.log)
    socket.sethostname(spec.hostname)
    _mount_all(spec, unified, controllers)
    os.execv(sys.executable, [sys.executable, "-m", "deploy.lab.pid1", *spec.command])


def _check(code: int, what: str) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    code = _libc.mount(source.encode(), target.encode(), kind.encode() or None, flags, data.encode() or None)
    _check(code, f"mount {source} on {target}")


def _start_time(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def _enter_netns(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        _check(_libc.setns(fd, _CLONE_NEWNET), f"enter {path}")
    finally:
        os.close(fd)


def _v1_controllers() -> list[str]:
    """Mount options of the v1 hierarchies: "cpu", "name=systemd", …"""
    rows = [line.split(":") for line in Path("/proc/self/cgroup").read_text().splitlines()]
    return [names for number, names, _ in rows if number != "0" and names]


def _mount_all(spec: BootSpec, unified: bool, controllers: list[str]) -> None:
    # Opened before the new /run hides the directories; bind-mounted through /proc afterwards.
    sources = {target: os.open(source, os.O_PATH) for target, source in spec.binds.items()}
    _mount("none", "/", flags=_MS_REC | _MS_PRIVATE)
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    # Hides the machine's sysfs and cgroups; those mounted instead show only the host's own.
    _libc.umount2(b"/sys", _MNT_DETACH)
    _mount("sysfs", "/sys", "sysfs", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    if unified:
        _mount("cgroup", str(cgroups.ROOT), "cgroup2", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
        # PID 1 leaves the root group: a v2 group with processes cannot delegate controllers to containers.
        leaf = cgroups.ROOT / "init.scope"
        leaf.mkdir(exist_ok=True)
        (leaf / "cgroup.procs").write_text("1")
    else:
        # Leaves out the v2 half of a hybrid machine, because crun refuses it.
        _mount("tmpfs", str(cgroups.ROOT), "tmpfs", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, "mode=755")
        for controller in controllers:
            target = cgroups.ROOT / controller.removeprefix("name=")
            target.mkdir()
            data = f"none,{controller}" if controller.startswith("name=") else controller
            _mount("cgroup", str(target), "cgroup", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, data)
    _mount("tmpfs", "/run", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755")
    for place, fd in sources.items():
        Path(place).mkdir(parents=True, exist_ok=True)
        _mount(f"/proc/self/fd/{fd}", place, flags=_MS_BIND)
        os.close(fd)


def _detach_output(log: str) -> None:
    null = os.open("/dev/null", os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)


if __name__ == "__main__":
    main(sys.argv[1])
