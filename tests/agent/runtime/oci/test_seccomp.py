"""Seccomp profiles and their compiled form."""

from __future__ import annotations

import base64
import json

import pytest

from agent.runtime.bundle import seccomp_bpf
from agent.runtime.interface import RuntimeFailure
from agent.runtime.oci import seccomp
from api.service.container import SecurityProfile

PROFILE = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 38,
    "syscalls": [
        {"names": ["read", "no_such_call"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
        {"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["s390_x"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["s390x"]}},
        {
            "names": ["personality"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": 8, "valueTwo": 0, "op": "SCMP_CMP_EQ"}],
        },
    ],
}
DATA = json.dumps(PROFILE).encode()


def names(caps: set[str]) -> list[str]:
    return [rule["names"][0] for rule in seccomp.rules(seccomp.read(DATA), caps, "amd64")["syscalls"]]


def test_rules_depend_on_capabilities_and_machine() -> None:
    assert names(set()) == ["read", "mount", "personality"]
    assert names({"CAP_BPF", "CAP_SYS_ADMIN"}) == ["read", "bpf", "personality"]


def test_rules_compile_to_a_program() -> None:
    program = seccomp_bpf.compile_rules(seccomp.rules(seccomp.read(DATA), set(), "amd64"))

    assert len(program) > 0
    assert len(program) % 8 == 0


def test_a_spec_chooses_the_profile() -> None:
    default = seccomp.read(DATA)

    assert seccomp.choose(None, default) is default
    assert seccomp.choose(SecurityProfile(mode="default"), default) is default
    assert seccomp.choose(SecurityProfile(mode="unconfined"), default) is None
    text = base64.b64encode(b'{"defaultAction": "SCMP_ACT_ALLOW"}').decode()
    custom = seccomp.choose(SecurityProfile(mode="custom", profile=text), default)
    assert custom is not None
    assert custom.default_action == "SCMP_ACT_ALLOW"
    with pytest.raises(RuntimeFailure, match="seccomp profile cannot be read"):
        seccomp.choose(SecurityProfile(mode="custom", profile="{"), default)
