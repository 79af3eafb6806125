"""The default seccomp profile in real containers: what is refused, and what a capability opens again."""

from __future__ import annotations

import json

import pytest

from agent.runtime.interface import Image
from agent.runtime.oci_runtime import OciRuntime
from api.service.container import Privileges, SecurityProfile
from tests.agent.runtime.calls import made, made_by_exec, usable

pytestmark = [pytest.mark.root, pytest.mark.skipif(not usable(), reason="needs the host's /usr/bin/python3")]

NEW_USER, CHILD = 0x10000000, 17
NOWHERE = -1
CALLS: dict[str, tuple[list[object], str, str, str]] = {
    # what is tried: the call, how it ends by default, with the capability, which
    "unshare a user namespace": (["unshare", NEW_USER], "EPERM", "", "SYS_ADMIN"),
    "unshare a mount namespace": (["unshare", 0x20000], "EPERM", "", "SYS_ADMIN"),
    "clone into a user namespace": (["clone", NEW_USER | CHILD, 0, 0, 0, 0], "EPERM", "", "SYS_ADMIN"),
    "clone a process": (["clone", CHILD, 0, 0, 0, 0], "", "", ""),
    "clone3": (["clone3", 0, 0], "ENOSYS", "EINVAL", "SYS_ADMIN"),
    "setns": (["setns", NOWHERE, 0], "EPERM", "EBADF", "SYS_ADMIN"),
    "mount": (["mount", "none", "/tmp", "tmpfs", 0, 0], "EPERM", "", "SYS_ADMIN"),
    "umount2": (["umount2", "/none", 0], "EPERM", "ENOENT", "SYS_ADMIN"),
    "fsopen": (["fsopen", 0, 0], "EPERM", "EFAULT", "SYS_ADMIN"),
    "open_tree": (["open_tree", NOWHERE, "none", 0], "EPERM", "EBADF", "SYS_ADMIN"),
    "move_mount": (["move_mount", NOWHERE, "", NOWHERE, "", 0xFFFF], "EPERM", "EINVAL", "SYS_ADMIN"),
    "pivot_root": (["pivot_root", 0, 0], "EPERM", "EPERM", "SYS_ADMIN"),
    "keyctl": (["keyctl", 0, NOWHERE, 0], "EPERM", "EPERM", "SYS_ADMIN"),
    "add_key": (["add_key", 0, 0, 0, 0, 0], "EPERM", "EPERM", "SYS_ADMIN"),
    "request_key": (["request_key", 0, 0, 0, 0], "EPERM", "EPERM", "SYS_ADMIN"),
    "bpf": (["bpf", 9999, 0, 0], "EPERM", "EINVAL", "BPF"),
    "io_uring_setup": (["io_uring_setup", 1, 0], "EPERM", "EPERM", "SYS_ADMIN"),
    "io_uring_enter": (["io_uring_enter", NOWHERE, 0, 0, 0, 0, 0], "EPERM", "EPERM", "SYS_ADMIN"),
    "userfaultfd": (["userfaultfd", 0xFFFF], "EPERM", "EPERM", "SYS_ADMIN"),
    "perf_event_open": (["perf_event_open", 0, 0, 0, 0, 0], "EPERM", "EFAULT", "PERFMON"),
    "open_by_handle_at": (["open_by_handle_at", NOWHERE, 0, 0], "EPERM", "EFAULT", "DAC_READ_SEARCH"),
    "kcmp": (["kcmp", 1, 1, 99, 0, 0], "EPERM", "EINVAL", "SYS_PTRACE"),
    "mbind": (["mbind", 0, 0, 99, 0, 0, 0], "EPERM", "EINVAL", "SYS_NICE"),
    "syslog": (["syslog", 99, 0, 0], "EPERM", "EINVAL", "SYSLOG"),
    "acct": (["acct", "/none"], "EPERM", "ENOENT", "SYS_PACCT"),
    "personality, asked": (["personality", 0xFFFFFFFF], "", "", ""),
    "personality of 32 bits": (["personality", 0x8], "", "", ""),
    "personality without randomized addresses": (["personality", 0x40000], "EPERM", "EPERM", "SYS_ADMIN"),
    "ptrace of itself by its parent": (["ptrace", 0, 0, 0, 0], "", "", ""),
    "a socket of the internet": (["socket", 2, 1, 0], "", "", ""),
    "a socket to the hypervisor": (["socket", 40, 1, 0], "EPERM", "EPERM", "SYS_ADMIN"),
    "a socket of the kernel's cryptography": (["socket", 38, 5, 0], "EPERM", "EPERM", "SYS_ADMIN"),
}


async def test_each_call_is_refused_or_allowed_as_docker_has_it(runtime: OciRuntime, image: Image) -> None:
    ended = await made(runtime, image, [call for call, *_ in CALLS.values()])

    assert dict(zip(CALLS, ended, strict=True)) == {name: usual for name, (_, usual, _, _) in CALLS.items()}


async def test_a_further_command_is_under_the_same_filter(runtime: OciRuntime, image: Image) -> None:
    ended = await made_by_exec(runtime, image, [call for call, *_ in CALLS.values()])

    assert dict(zip(CALLS, ended, strict=True)) == {name: usual for name, (_, usual, _, _) in CALLS.items()}


async def test_a_capability_opens_what_docker_ties_to_it(runtime: OciRuntime, image: Image) -> None:
    for capability in sorted({capability for *_, capability in CALLS.values() if capability}):
        tied = {name: line for name, line in CALLS.items() if line[3] == capability}

        ended = await made(runtime, image, [call for call, *_ in tied.values()], capability_add=[capability])

        assert dict(zip(tied, ended, strict=True)) == {name: opened for name, (_, _, opened, _) in tied.items()}


async def test_unconfined_is_unconfined_and_a_profile_of_its_own_is_taken(runtime: OciRuntime, image: Image) -> None:
    calls: list[list[object]] = [["keyctl", 9999, 0, 0], ["unshare", 0x20000]]
    free = Privileges(seccomp=SecurityProfile(mode="unconfined"))
    rule = {"names": ["keyctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7}
    own = json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]})
    custom = Privileges(seccomp=SecurityProfile(mode="custom", profile=own))

    assert await made(runtime, image, calls, privileges=free) == ["ENOTSUP", "EPERM"]  # the kernel's own words
    assert await made(runtime, image, calls, privileges=custom) == ["E2BIG", "EPERM"]
