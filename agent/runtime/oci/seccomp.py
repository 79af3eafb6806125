"""Seccomp rules in the OCI's form, made from profiles with conditions on capabilities and machine. Pure.

The default profile is made from syscalls.py. A spec may bring its own as a file in Docker's form.
"""

from __future__ import annotations

import base64
import binascii
import errno
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec

from agent.runtime.interface import RuntimeFailure
from agent.runtime.oci import syscalls
from agent.runtime.oci.syscalls import ArgumentTest
from api.service.container import SecurityProfile

_ARCHITECTURES = {
    "amd64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
    "arm64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
    "arm": ("SCMP_ARCH_ARM",),
    "386": ("SCMP_ARCH_X86",),
    "ppc64le": ("SCMP_ARCH_PPC64LE",),
    "riscv64": ("SCMP_ARCH_RISCV64",),
    "s390x": ("SCMP_ARCH_S390X", "SCMP_ARCH_S390"),
}


# Names of machines in profiles, where they differ from Go's.
_IN_PROFILES = {"386": "x86"}
_OPERATORS = {"==": "SCMP_CMP_EQ", "<": "SCMP_CMP_LT", ">": "SCMP_CMP_GT"}
_ALLOW, _REFUSE = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"


class Condition(msgspec.Struct, rename="camel"):
    """When a rule applies."""

    arches: list[str] = []
    caps: list[str] = []
    min_kernel: str = ""


class SeccompRule(msgspec.Struct, rename="camel"):
    """Some syscalls and the action on them."""

    names: list[str] = []
    name: str = ""
    action: str = ""
    args: list[dict[str, Any]] | None = None
    includes: Condition = msgspec.field(default_factory=Condition)
    excludes: Condition = msgspec.field(default_factory=Condition)
    errno_ret: int | None = None


class Profile(msgspec.Struct, rename="camel"):
    """A profile, as read from a file."""

    default_action: str
    default_errno_ret: int | None = None
    syscalls: list[SeccompRule] = []


@dataclass(frozen=True, slots=True)
class Filter:
    """A container's filter: the OCI's `linux.seccomp`, or None for unconfined."""

    rules: dict[str, Any] | None


def default_profile() -> Profile:
    """The profile of containers whose specs name none."""
    allowed = [SeccompRule(names=syscalls.ALWAYS, action=_ALLOW)]
    allowed += [
        SeccompRule(names=names, action=_ALLOW, includes=Condition(caps=[capability]))
        for capability, names in syscalls.WITH_CAPABILITY.items()
    ]
    allowed += [
        SeccompRule(names=list(names), action=_ALLOW, includes=Condition(arches=list(machines)))
        for machines, names in syscalls.ON_MACHINES
    ]
    allowed += [
        SeccompRule(name=name, action=_ALLOW, args=[_comparison(test)])
        for name, tests in syscalls.WITH_ARGUMENT.items()
        for test in tests
    ]
    return Profile(_REFUSE, errno.EPERM, [*allowed, *_clone()])


def _clone() -> list[SeccompRule]:
    """Rules for clone: processes and threads, but no namespaces. clone3 has its flags in memory, where no filter sees
    them; on ENOSYS the C library falls back to clone.
    """
    swapped = list(syscalls.CLONE_SWAPPED)
    admin = ["CAP_SYS_ADMIN"]
    first, second = ([_comparison(ArgumentTest(number, "mask", syscalls.NEW_NAMESPACES))] for number in (0, 1))
    return [
        SeccompRule(name="clone", action=_ALLOW, args=first, excludes=Condition(caps=admin, arches=swapped)),
        SeccompRule(
            name="clone",
            action=_ALLOW,
            args=second,
            includes=Condition(arches=swapped),
            excludes=Condition(caps=admin),
        ),
        SeccompRule(name="clone3", action=_REFUSE, errno_ret=errno.ENOSYS, excludes=Condition(caps=admin)),
    ]


def _comparison(test: ArgumentTest) -> dict[str, Any]:
    if test.operator == "mask":
        return {"index": test.argument, "value": test.value, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    return {"index": test.argument, "value": test.value, "valueTwo": 0, "op": _OPERATORS[test.operator]}


def read(data: bytes) -> Profile:
    """Parse a profile. Raises RuntimeFailure for a broken one."""
    try:
        return msgspec.json.decode(data, type=Profile)
    except msgspec.MsgspecError as error:
        raise RuntimeFailure(f"the seccomp profile cannot be read: {error}") from None


def choose(wanted: SecurityProfile | None, default: Profile) -> Profile | None:
    """The profile that a spec names; None for unconfined. Raises RuntimeFailure."""
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


def rules(profile: Profile, capabilities: Collection[str], machine: str, kernel: str = "") -> dict[str, Any]:
    """The OCI's `linux.seccomp` for a container with these capabilities. `machine` is Go's name (amd64), `kernel` the
    host's release; "" counts as newer than all that profiles name.
    """
    found: dict[str, Any] = {
        "defaultAction": profile.default_action,
        "architectures": list(_ARCHITECTURES.get(machine, ())),
        "syscalls": [
            _rule(r) for r in profile.syscalls if _holds(r, capabilities, _IN_PROFILES.get(machine, machine), kernel)
        ],
    }
    if profile.default_errno_ret is not None:
        found["defaultErrnoRet"] = profile.default_errno_ret
    return found


def _holds(rule: SeccompRule, capabilities: Collection[str], machine: str, kernel: str) -> bool:
    yes, no = rule.includes, rule.excludes
    return (
        (not yes.arches or machine in yes.arches)
        and machine not in no.arches
        and all(cap in capabilities for cap in yes.caps)
        and not any(cap in capabilities for cap in no.caps)
        and _is_at_least(kernel, yes.min_kernel)
        and not (no.min_kernel and _is_at_least(kernel, no.min_kernel))
    )


def _is_at_least(kernel: str, wanted: str) -> bool:
    """Whether the kernel is that version or newer. As in Docker, only major and minor count."""
    have, want = ([int(part) for part in re.findall(r"\d+", text)[:2]] for text in (kernel, wanted))
    return not have or have >= want


def _rule(rule: SeccompRule) -> dict[str, Any]:
    found: dict[str, Any] = {"names": rule.names or [rule.name], "action": rule.action}
    if rule.args:
        found["args"] = rule.args
    if rule.errno_ret is not None:
        found["errnoRet"] = rule.errno_ret
    return found
