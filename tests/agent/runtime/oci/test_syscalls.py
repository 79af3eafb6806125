"""Our default profile beside Docker's published list: rule by rule for each machine, and as the filter answers."""

from __future__ import annotations

import errno

import pytest

from agent.runtime.bundle import seccomp_bpf
from agent.runtime.oci import seccomp
from agent.runtime.oci.oci_defaults import ALL_CAPABILITIES, CAPABILITIES
from tests.agent.runtime.filters import ALLOWED, REFUSED, Line, answer, architecture, number, table

TABLE = table()
PROFILE = seccomp.default_profile()
MACHINES = {
    "amd64": "amd64",
    "arm64": "arm64",
    "386": "x86",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}
"""Go's name → the name in profiles."""
WITH = [frozenset(), CAPABILITIES, frozenset(ALL_CAPABILITIES), *(CAPABILITIES | {name} for name in ALL_CAPABILITIES)]
ACTING = [frozenset(), CAPABILITIES, frozenset(ALL_CAPABILITIES), CAPABILITIES | {"CAP_SYS_ADMIN"}]
_NOWHERE = """
    keyctl add_key request_key io_uring_setup io_uring_enter io_uring_register userfaultfd pivot_root kexec_load
    kexec_file_load swapon swapoff nfsservctl migrate_pages move_pages uselib ustat sysfs _sysctl quotactl_path vm86
"""
NOWHERE = _NOWHERE.split()
"""Calls that no capability opens."""
ARGUMENTS = {
    "socket": (1, 16, 37, 38, 39, 40, 41),
    "personality": (0, 8, 0x20000, 0x20008, 0xFFFFFFFF, 0x40000, 1),
    "clone": (17, 0x3D0F00, *(1 << bit for bit in range(32))),
}
"""First arguments worth a look."""


def ours(machine: str, capabilities: frozenset[str]) -> set[tuple[object, ...]]:
    found = set()
    for rule in seccomp.rules(PROFILE, capabilities, machine)["syscalls"]:
        tests = [(a["index"], a["op"].removeprefix("SCMP_CMP_").lower(), a["value"]) for a in rule.get("args", [])]
        code = rule.get("errnoRet", 0) if rule["action"] == "SCMP_ACT_ERRNO" else 0
        found |= {(name, tests[0] if tests else None, code) for name in rule["names"]}
    return found


@pytest.mark.parametrize("machine", MACHINES)
def test_every_rule_is_dockers_and_every_one_of_dockers_is_ours(machine: str) -> None:
    for capabilities in WITH:
        dockers = {(line.name, line.test, line.code) for line in TABLE if line.holds(MACHINES[machine], capabilities)}

        assert ours(machine, capabilities) == dockers


@pytest.mark.parametrize("capabilities", ACTING)
def test_the_compiled_filter_answers_each_call_as_docker_does(capabilities: frozenset[str]) -> None:
    program = seccomp_bpf.compile_rules(seccomp.rules(PROFILE, capabilities, "amd64"))
    lines: dict[str, list[Line]] = {}
    for line in TABLE:
        lines.setdefault(line.name, []).extend([line] if line.holds("amd64", capabilities) else [])

    for name in (*lines, *NOWHERE):
        for token in map(architecture, ("x86_64", "x86", "x32")):
            if (call := number(name, token)) < 0:
                continue  # not on this architecture, or newer than this library
            for first in ARGUMENTS.get(name, (0,)):
                arguments = (first, 0, 0, 0, 0, 0)
                holding = [line for line in lines.get(name, []) if line.takes(arguments)]
                wanted = REFUSED | errno.EPERM
                if holding:
                    wanted = REFUSED | holding[0].code if holding[0].code else ALLOWED
                assert answer(program, call, token, arguments) == wanted, (name, hex(first), hex(token))


def test_a_call_that_is_newer_than_the_library_does_not_exist() -> None:
    program = seccomp_bpf.compile_rules(seccomp.rules(PROFILE, CAPABILITIES, "amd64"))
    own = architecture("x86_64")

    assert answer(program, 1 << 20, own) == REFUSED | errno.ENOSYS
    assert answer(program, number("keyctl", own), own) == REFUSED | errno.EPERM


def test_a_program_that_refuses_otherwise_is_left_as_it_is() -> None:
    profile = seccomp.read(b'{"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": []}')

    program = seccomp_bpf.compile_rules(seccomp.rules(profile, (), "amd64"))

    assert answer(program, 1 << 20, architecture("x86_64")) == 0x80000000


def test_a_rule_for_newer_kernels_is_not_for_older_ones() -> None:
    profile = seccomp.read(
        b'{"defaultAction": "SCMP_ACT_ERRNO", "syscalls":'
        b' [{"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}}]}'
    )

    found = {
        kernel: len(seccomp.rules(profile, (), "amd64", kernel)["syscalls"]) for kernel in ("4.7.9", "4.8", "6.18.0-1")
    }

    assert found == {"4.7.9": 0, "4.8": 1, "6.18.0-1": 1}
