"""Seccomp: from the profile form (conditions on capabilities and machine) to the OCI's list of rules. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec

from agent.runtime.base import RuntimeFailure
from api.specs import SecurityProfile

PROFILE_PATH = "/usr/share/containers/seccomp.json"
"""Of the package containers-common."""

_ARCHITECTURES = {
    "amd64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
    "arm64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
    "arm": ("SCMP_ARCH_ARM",),
    "386": ("SCMP_ARCH_X86",),
    "ppc64le": ("SCMP_ARCH_PPC64LE",),
    "riscv64": ("SCMP_ARCH_RISCV64",),
    "s390x": ("SCMP_ARCH_S390X", "SCMP_ARCH_S390"),
}


class Condition(msgspec.Struct):
    """Where a rule holds."""

    arches: list[str] = []
    caps: list[str] = []


class Rule(msgspec.Struct, rename="camel"):
    """Some syscalls and what happens on them."""

    names: list[str] = []
    name: str = ""
    action: str = ""
    args: list[dict[str, Any]] | None = None
    includes: Condition = msgspec.field(default_factory=Condition)
    excludes: Condition = msgspec.field(default_factory=Condition)
    errno_ret: int | None = None


class Profile(msgspec.Struct, rename="camel"):
    """A profile file."""

    default_action: str
    default_errno_ret: int | None = None
    syscalls: list[Rule] = []


@dataclass(frozen=True, slots=True)
class Filter:
    """What a container gets: the OCI's `linux.seccomp`; None for unconfined."""

    rules: dict[str, Any] | None


def read(data: bytes) -> Profile:
    """A profile. Raises RuntimeFailure for a broken one."""
    try:
        return msgspec.json.decode(data, type=Profile)
    except msgspec.MsgspecError as error:
        raise RuntimeFailure(f"the seccomp profile cannot be read: {error}") from None


def choose(wanted: SecurityProfile | None, default: Profile) -> Profile | None:
    """The profile a spec asks for; None when it wants none. Raises RuntimeFailure."""
    mode = wanted.mode if wanted else ""
    if mode == "unconfined":
        return None
    if mode != "custom":
        return default
    assert wanted
    try:
        return read(base64.b64decode(wanted.profile, validate=True))
    except binascii.Error:
        return read(wanted.profile.encode())


def rules(profile: Profile, capabilities: Collection[str], machine: str) -> dict[str, Any]:
    """The OCI's `linux.seccomp` for a container with these capabilities. `machine` is Go's name (amd64)."""
    found: dict[str, Any] = {
        "defaultAction": profile.default_action,
        "architectures": list(_ARCHITECTURES.get(machine, ())),
        "syscalls": [_rule(r) for r in profile.syscalls if _holds(r, capabilities, machine)],
    }
    if profile.default_errno_ret is not None:
        found["defaultErrnoRet"] = profile.default_errno_ret
    return found


def _holds(rule: Rule, capabilities: Collection[str], machine: str) -> bool:
    yes, no = rule.includes, rule.excludes
    return (
        (not yes.arches or machine in yes.arches)
        and machine not in no.arches
        and all(cap in capabilities for cap in yes.caps)
        and not any(cap in capabilities for cap in no.caps)
    )


def _rule(rule: Rule) -> dict[str, Any]:
    found: dict[str, Any] = {"names": rule.names or [rule.name], "action": rule.action}
    if rule.args:
        found["args"] = rule.args
    if rule.errno_ret is not None:
        found["errnoRet"] = rule.errno_ret
    return found
