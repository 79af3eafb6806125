"""Which nodes may run a task: constraints (`node.labels.zone == a`), preferences, platforms, and how many per node.

Source of the rules: swarmkit manager/constraint. Values compare without regard to case, label keys with it;
a node without the label matches `!=`. Whether a node fulfils them: api/objects/node_matching.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network

from api.codec import Value
from api.errors import Invalid

_OPERATOR = re.compile(r"==|!=")
_KEY = re.compile(r"(?i)[a-z_][a-z0-9\-_./]*")
_VALUE = re.compile(r"(?i)[a-z0-9:\-_\s.*()?+\[\]\\^$|/@=]+")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armhf": "arm", "i386": "386", "i686": "386"}

KEYS = ("node.id", "node.hostname", "node.ip", "node.role", "node.platform.os", "node.platform.arch")
"""Node attributes that constraints and preferences know."""
LABELS = ("node.labels.", "engine.labels.")
"""Prefixes of attributes that are labels; the name of the label follows."""


class SpreadOver(Value, frozen=True):
    """Spread over the values of `node.labels.x`, `engine.labels.x`, …"""

    spread_descriptor: str = ""


class Preference(Value, frozen=True):
    """A placement preference."""

    spread: SpreadOver | None = None


class Platform(Value, frozen=True):
    """Machine and operating system, as Docker names them (amd64 or x86_64, linux)."""

    architecture: str = ""
    os: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """From "linux/arm64/v8". The variant is ignored: placement does not ask for it."""
        system, _, machine = text.partition("/")
        return cls(machine.partition("/")[0], system)

    def is_of(self, os: str, machine: str) -> bool:
        """Whether a host with this system and machine is of the platform. An empty field matches anything."""
        if self.os and self.os.lower() != os.lower():
            return False
        return not self.architecture or architecture(self.architecture) == architecture(machine)


class Placement(Value, frozen=True):
    """Which nodes may run a task."""

    constraints: list[str] = []
    preferences: list[Preference] = []
    max_replicas: int = 0
    platforms: list[Platform] = []


@dataclass(frozen=True, slots=True)
class Constraint:
    """One expression. `key` is one of the known keys, or a known prefix with a label."""

    key: str
    equal: bool
    value: str

    def accepts(self, actual: str) -> bool:
        """Whether a node with this value under the key fulfils it. A node without the label has the value ""."""
        return self._is_same(actual) is self.equal

    def _is_same(self, actual: str) -> bool:
        if self.key == "node.ip":
            return _within(actual, self.value)
        wanted = architecture(self.value) if self.key == "node.platform.arch" else self.value
        return actual.casefold() == wanted.casefold()


def parse(expressions: Iterable[str]) -> tuple[Constraint, ...]:
    """Constraints as a user wrote them. Raises Invalid with a sentence about the first bad one."""
    return tuple(_parse_one(text) for text in expressions)


@lru_cache(maxsize=4096)
def compiled(expressions: tuple[str, ...]) -> tuple[Constraint, ...] | None:
    """The constraints; None when one of them does not parse."""
    try:
        return parse(expressions)
    except Invalid:
        return None


def is_key(key: str) -> bool:
    """Whether constraints and preferences can use the key."""
    low = key.lower()
    return low in KEYS or any(low.startswith(prefix) and len(key) > len(prefix) for prefix in LABELS)


def architecture(name: str) -> str:
    """Docker's name of a machine: amd64 for x86_64."""
    return _ARCHITECTURES.get(name.lower(), name.lower())


def _parse_one(text: str) -> Constraint:
    operator = _OPERATOR.search(text)
    if operator is None:
        raise Invalid(f"constraint {text!r}: expected one operator from ==, !=")
    key, value = text[: operator.start()].strip(), text[operator.end() :].strip()
    if not _KEY.fullmatch(key):
        raise Invalid(f"constraint {text!r}: key '{key}' is invalid")
    if not _VALUE.fullmatch(value):
        raise Invalid(f"constraint {text!r}: value '{value}' is invalid")
    if not is_key(key):
        known = ", ".join([*KEYS, *(prefix + "<label>" for prefix in LABELS)])
        raise Invalid(f"constraint {text!r}: unknown key '{key}'; known are {known}")
    fixed = key.lower() if key.lower() in KEYS else key
    constraint = Constraint(fixed, operator[0] == "==", value)
    if fixed == "node.ip" and not _is_network(value):
        raise Invalid(f"constraint {text!r}: '{value}' is neither an IP address nor a network like 10.0.0.0/24")
    return constraint


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _within(address: str, network: str) -> bool:
    try:
        return ip_address(address) in ip_network(network, strict=False)
    except ValueError:
        return False
