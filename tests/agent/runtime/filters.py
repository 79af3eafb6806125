"""A seccomp filter run by hand: what its program answers to a system call. And Docker's list, as a table of facts."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

ALLOWED = 0x7FFF0000
REFUSED = 0x00050000
TABLE = Path(__file__).parents[2] / "data/docker-seccomp.txt"
_library = ctypes.CDLL("libseccomp.so.2")
_library.seccomp_syscall_resolve_name_arch.argtypes = [ctypes.c_uint32, ctypes.c_char_p]
_library.seccomp_arch_resolve_name.argtypes = [ctypes.c_char_p]
_library.seccomp_arch_resolve_name.restype = ctypes.c_uint32
_X86_64 = 0xC000003E


@dataclass(frozen=True)
class Line:
    """Docker allows a system call (or answers `code`) where all of this holds."""

    name: str
    having: str = ""
    lacking: str = ""
    machines: Collection[str] = ()
    other_machines: Collection[str] = ()
    test: tuple[int, str, int] | None = None
    code: int = 0

    def restricted(self, condition: str) -> Line:
        """The line with one more condition, as the table writes it."""
        match words := condition.split():
            case ["with", name]:
                return replace(self, having=name)
            case ["without", name]:
                return replace(self, lacking=name)
            case ["on", names]:
                return replace(self, machines=frozenset(names.split("|")))
            case ["not-on", names]:
                return replace(self, other_machines=frozenset(names.split("|")))
            case ["errno", code]:
                return replace(self, code=int(code))
            case [argument, operator, value]:
                return replace(self, test=(int(argument.removeprefix("arg")), operator, int(value, 16)))
        assert words == ["always"], condition
        return self

    def holds(self, machine: str, capabilities: Collection[str]) -> bool:
        """Whether the line counts for a container with these capabilities on that machine."""
        return (
            (not self.having or self.having in capabilities)
            and self.lacking not in capabilities
            and (not self.machines or machine in self.machines)
            and machine not in self.other_machines
        )

    def takes(self, arguments: Sequence[int]) -> bool:
        """Whether the call's arguments are those it is about."""
        if self.test is None:
            return True
        number, operator, value = self.test
        found = arguments[number]
        return {"eq": found == value, "lt": found < value, "gt": found > value, "masked_eq": not found & value}[
            operator
        ]


def table() -> list[Line]:
    """Docker's list."""
    found = []
    for text in TABLE.read_text().splitlines():
        if text.startswith("#"):
            continue
        name, _, conditions = text.partition(": ")
        line = Line(name)
        for condition in conditions.split(", "):
            line = line.restricted(condition)
        found.append(line)
    return found


def architecture(name: str) -> int:
    """libseccomp's token of "x86_64", "x86", "x32"."""
    return int(_library.seccomp_arch_resolve_name(name.encode()))


def number(name: str, token: int) -> int:
    """A system call's number on an architecture; negative where it has none."""
    return int(_library.seccomp_syscall_resolve_name_arch(token, name.encode()))


def answer(program: bytes, call: int, token: int, arguments: Sequence[int] = (0,) * 6) -> int:
    """Run the program on a call, as the kernel does; returns the action with its data."""
    machine = _X86_64 if token == architecture("x32") else token
    data = struct.pack("<IIQ6Q", call & 0xFFFFFFFF, machine, 0, *arguments)
    code = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    at = accumulator = 0
    while True:
        operation, yes, no, value = code[at]
        at += 1
        if operation == 0x20:  # load
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif operation == 0x54:  # and
            accumulator &= value
        elif operation == 0x06:  # return
            return value
        elif operation == 0x05:  # jump
            at += value
        else:
            held = {0x15: accumulator == value, 0x25: accumulator > value, 0x35: accumulator >= value,
                    0x45: bool(accumulator & value)}[operation]  # fmt: skip
            at += yes if held else no
