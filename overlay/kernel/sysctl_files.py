"""The kernel's network settings, in the files below /proc/sys/net of the calling thread's network namespace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def write_sysctls(settings: Mapping[str, str]) -> None:
    """Write values by path below /proc/sys/net. Settings that this kernel lacks are left out. Raises OSError."""
    for path, value in settings.items():
        try:
            with open(f"/proc/sys/net/{path}", "r+b", buffering=0) as file:
                # the kernel takes a write at the beginning only
                file.write(value.encode())
        except FileNotFoundError:
            pass


def read_sysctls(settings: Iterable[str], device: str = "all") -> dict[str, int]:
    """The values of these IPv4 settings of a device. Settings that this kernel lacks are left out. Raises OSError."""
    found = {}
    for name in settings:
        try:
            with open(f"/proc/sys/net/ipv4/conf/{device}/{name}", encoding="ascii") as file:
                found[name] = int(file.read())
        except FileNotFoundError:
            continue
    return found
