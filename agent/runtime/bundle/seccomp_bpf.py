"""Seccomp rules compiled to BPF once, with libseccomp, so that crun need not compile them at each start (some 5 ms).

A system call that is newer than the host's libseccomp is answered ENOSYS, as runc does: a C library then takes the
older call, where EPERM would be an error for the program (chmod by fchmodat2, for example).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import Any

from agent.runtime.oci import syscalls

_ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_WITH_VALUE = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
_OPERATORS = {
    "SCMP_CMP_NE": 1, "SCMP_CMP_LT": 2, "SCMP_CMP_LE": 3, "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5, "SCMP_CMP_GT": 6, "SCMP_CMP_MASKED_EQ": 7,
}  # fmt: skip
_NO_SUCH_SYSCALL = -1
_LOAD, _EQUAL, _GREATER, _HAS_BITS, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
"""Instructions of classic BPF (linux/bpf_common.h)."""
_NUMBER, _ARCHITECTURE = 0, 4
"""Where struct seccomp_data has them."""
_X32 = 0x40000000


class _Comparison(ctypes.Structure):
    _fields_ = [
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    ]


def compile_rules(rules: dict[str, Any]) -> bytes:
    """The program for the OCI's `linux.seccomp`. Raises OSError when libseccomp is missing or refuses a rule."""
    library = _library()
    context = library.seccomp_init(_action(rules["defaultAction"], rules.get("defaultErrnoRet")))
    if not context:
        raise OSError(errno.EINVAL, "seccomp_init")
    try:
        for name in rules["architectures"]:
            token = library.seccomp_arch_resolve_name(name.removeprefix("SCMP_ARCH_").lower().encode())
            code = library.seccomp_arch_add(context, token)
            if code not in (0, -errno.EEXIST):
                raise OSError(-code, f"seccomp_arch_add {name}")
        for rule in rules["syscalls"]:
            _add(library, context, rule, rules)
        return _newer_calls(library, rules) + _export(library, context)
    finally:
        library.seccomp_release(context)


def _newer_calls(library: Any, rules: dict[str, Any]) -> bytes:
    """What stands before the program: ENOSYS for numbers of this machine's that the library cannot name."""
    refusal = _action("SCMP_ACT_ERRNO", errno.ENOSYS)
    default = _action(rules["defaultAction"], rules.get("defaultErrnoRet"))
    if rules["defaultAction"] != "SCMP_ACT_ERRNO" or default == refusal or not rules["architectures"]:
        return b""
    own = library.seccomp_arch_resolve_name(rules["architectures"][0].removeprefix("SCMP_ARCH_").lower().encode())
    last = max(library.seccomp_syscall_resolve_name(name.encode()) for name in syscalls.ALWAYS)
    program = (
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 0, 4, own),
        (_LOAD, 0, 0, _NUMBER),
        (_HAS_BITS, 2, 0, _X32),
        (_GREATER, 0, 1, last),
        (_RETURN, 0, 0, refusal),
    )
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _library() -> Any:
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_release.argtypes = [ctypes.c_void_p]
    library.seccomp_arch_resolve_name.restype = ctypes.c_uint32
    library.seccomp_arch_resolve_name.argtypes = [ctypes.c_char_p]
    library.seccomp_arch_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    library.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Comparison),
    ]  # fmt: skip
    library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    return library


def _action(name: str, value: int | None) -> int:
    return _ACTIONS[name] | ((errno.EPERM if value is None else value) & 0xFFFF if name in _WITH_VALUE else 0)


def _add(library: Any, context: Any, rule: dict[str, Any], rules: dict[str, Any]) -> None:
    action = _action(rule["action"], rule.get("errnoRet"))
    if action == _action(rules["defaultAction"], rules.get("defaultErrnoRet")):
        return  # libseccomp refuses a rule that says what holds anyway
    for arguments in _argument_sets(rule.get("args") or []):
        array = (_Comparison * max(1, len(arguments)))(*arguments)
        for name in rule["names"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number == _NO_SUCH_SYSCALL:
                continue  # newer or older than this library
            if code := library.seccomp_rule_add_array(context, action, number, len(arguments), array):
                raise OSError(-code, f"seccomp rule for {name}")


def _argument_sets(items: list[dict[str, Any]]) -> list[list[_Comparison]]:
    """One set that must hold as a whole; two tests of one argument are alternatives (as in runc and crun)."""
    tests = [
        _Comparison(item["index"], _OPERATORS[item["op"]], item["value"], item.get("valueTwo") or 0) for item in items
    ]
    if len({test.argument for test in tests}) < len(tests):
        return [[test] for test in tests]
    return [tests]


def _export(library: Any, context: Any) -> bytes:
    fd = os.memfd_create("seccomp")
    try:
        if code := library.seccomp_export_bpf(context, fd):
            raise OSError(-code, "seccomp_export_bpf")
        return os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)
