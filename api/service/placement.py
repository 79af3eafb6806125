"""Placement constraints: `node.labels.zone == a`. Parsed once, matched often.

Source of the rules: swarmkit manager/constraint. Values compare without regard to case, label keys with it;
a node without the label matches `!=`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network

from api.errors import Invalid
from api.objects.wanted import Node, NodeDescription

_OPERATOR = re.compile(r"==|!=")
_KEY = re.compile(r"(?i)[a-z_][a-z0-9\-_./]*")
_VALUE = re.compile(r"(?i)[a-z0-9:\-_\s.*()?+\[\]\\^$|/@=]+")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armhf": "arm", "i386": "386", "i686": "386"}

_KEYS: dict[str, Callable[[Node, NodeDescription], str]] = {
    "node.id": lambda node, _: node.id,
    "node.hostname": lambda _, seen: seen.hostname,
    "node.ip": lambda _, seen: seen.address,
    "node.role": lambda node, _: node.spec.role.value,
    "node.platform.os": lambda _, seen: seen.os,
    "node.platform.arch": lambda _, seen: architecture(seen.architecture),
}
_LABELS: dict[str, Callable[[Node, NodeDescription], dict[str, str]]] = {
    "node.labels.": lambda node, _: node.spec.labels,
    "engine.labels.": lambda _, seen: seen.engine.labels,
}


@dataclass(frozen=True, slots=True)
class Constraint:
    """One expression. `key` is one of the known keys, or a known prefix with a label."""

    key: str
    equal: bool
    value: str

    def matches(self, node: Node, seen: NodeDescription) -> bool:
        """Whether the node fulfils it."""
        return self._same(attribute(self.key, node, seen)) is self.equal

    def _same(self, actual: str) -> bool:
        if self.key == "node.ip":
            return _within(actual, self.value)
        wanted = architecture(self.value) if self.key == "node.platform.arch" else self.value
        return actual.casefold() == wanted.casefold()


def parse(expressions: Iterable[str]) -> tuple[Constraint, ...]:
    """Constraints from what a user wrote. Raises Invalid with a sentence about the first bad one."""
    return tuple(_parse_one(text) for text in expressions)


def matches(expressions: list[str], node: Node, seen: NodeDescription | None) -> bool:
    """Whether a node fulfils all of them. Expressions that do not parse are fulfilled by none."""
    if not expressions:
        return True
    constraints = _compiled(tuple(expressions))
    seen = seen or _NOTHING
    return constraints is not None and all(constraint.matches(node, seen) for constraint in constraints)


def attribute(key: str, node: Node, seen: NodeDescription | None) -> str:
    """What a node has under a constraint key or spread descriptor; "" when nothing."""
    return _reader(key)(node, seen or _NOTHING)


def is_key(key: str) -> bool:
    """Whether constraints and preferences know the key."""
    low = key.lower()
    return low in _KEYS or any(low.startswith(prefix) and len(key) > len(prefix) for prefix in _LABELS)


def architecture(name: str) -> str:
    """A machine's name as Docker has it: amd64 for x86_64."""
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
        known = ", ".join([*_KEYS, *(prefix + "<label>" for prefix in _LABELS)])
        raise Invalid(f"constraint {text!r}: unknown key '{key}'; known are {known}")
    fixed = key.lower() if key.lower() in _KEYS else key
    constraint = Constraint(fixed, operator[0] == "==", value)
    if fixed == "node.ip" and not _is_network(value):
        raise Invalid(f"constraint {text!r}: '{value}' is neither an IP address nor a network like 10.0.0.0/24")
    return constraint


@lru_cache(maxsize=4096)
def _reader(key: str) -> Callable[[Node, NodeDescription], str]:
    if find := _KEYS.get(key.lower()):
        return find
    for prefix, labels in _LABELS.items():
        if key.lower().startswith(prefix):
            label = key[len(prefix) :]
            return lambda node, seen: labels(node, seen).get(label, "")
    return lambda *_: ""


@lru_cache(maxsize=4096)
def _compiled(expressions: tuple[str, ...]) -> tuple[Constraint, ...] | None:
    try:
        return parse(expressions)
    except Invalid:
        return None


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


_NOTHING = NodeDescription(os="")
