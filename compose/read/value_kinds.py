"""The kinds of attribute values: how each is recognised, described in messages, and converted to one Python type.

Numbers and booleans may be strings, as they are when they come from variables. Durations are converted to nanoseconds,
sizes to bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from compose.read.tree import Content, scalar_text
from kit.sizes import parse_size

NANOSECONDS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION = re.compile(r"(?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+$")
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)")
_TRUE = {"true", "yes", "on", "y", "1"}
_FALSE = {"false", "no", "off", "n", "0"}


_MOST = 2.0**63


class KindMismatch(Exception):
    """The value is not of this kind."""


@dataclass(frozen=True, slots=True)
class ValueKind:
    """`read` converts a value or raises KindMismatch. `phrase` completes the sentence "must be …"."""

    phrase: str
    read: Callable[[Content], Content]


def duration(value: Content) -> int:
    """Nanoseconds of a duration as Go writes it ("1m30s", "1.5h", "0")."""
    text = scalar_text(value)
    if text == "0":
        return 0
    if not isinstance(value, str) or not _DURATION.match(text):
        raise KindMismatch
    return _bounded(sum(float(number) * NANOSECONDS[unit] for number, unit in _DURATION_PART.findall(text)))


def size(value: Content) -> int:
    """Bytes of a size as Docker writes it ("512m", "1.5gb", 4096). Units are powers of 1024."""
    text = scalar_text(value)
    sign = -1 if text.startswith("-") else 1
    try:
        if isinstance(value, bool):
            raise KindMismatch
        return sign * parse_size(text.removeprefix("-"))
    except ValueError:
        raise KindMismatch from None


def _bounded(number: float) -> int:
    """The nearest integer, which must fit into 64 bits."""
    if not abs(number) < _MOST:
        raise KindMismatch
    return round(number)


def microseconds(value: Content) -> int:
    """Microseconds of a number or a duration."""
    try:
        return _integer(value)
    except KindMismatch:
        return duration(value) // 1000


def _integer(value: Content) -> int:
    number = _whole(value)
    if not -_MOST <= number < _MOST:
        raise KindMismatch
    return number


def _whole(value: Content) -> int:
    if isinstance(value, str) and len(value) > 30:
        raise KindMismatch
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.match(r"-?\d+$", value):
        return int(value)
    if isinstance(value, str) and re.match(r"0o?[0-7]+$", value):
        return int(value.replace("o", ""), 8)
    raise KindMismatch


def _number(value: Content) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise KindMismatch
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise KindMismatch from None
    if not abs(number) < _MOST:
        raise KindMismatch
    return number


def _boolean(value: Content) -> bool:
    text = scalar_text(value).lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise KindMismatch


def _string(value: Content) -> str:
    if isinstance(value, str):
        return value
    raise KindMismatch


def _scalar(value: Content) -> str:
    if isinstance(value, str | int | float):
        return scalar_text(value)
    raise KindMismatch


def _mode(value: Content) -> int:
    """Permission bits. 0440, "0440" and "440" are octal."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0o7777:
        return value
    if isinstance(value, str) and re.match(r"(0o?)?[0-7]{1,4}$", value):
        return int(value.replace("o", ""), 8)
    raise KindMismatch


def _of_type(kind: type) -> Callable[[Content], Content]:
    def read(value: Content) -> Content:
        if isinstance(value, kind):
            return value
        raise KindMismatch

    return read


KINDS: dict[str, ValueKind] = {
    "null": ValueKind("empty", _of_type(type(None))),
    "map": ValueKind("a mapping", _of_type(dict)),
    "list": ValueKind("a list", _of_type(list)),
    "string": ValueKind("a string", _string),
    "integer": ValueKind("a whole number", _integer),
    "number": ValueKind("a number", _number),
    "boolean": ValueKind("true or false", _boolean),
    "scalar": ValueKind("a string or a number", _scalar),
    "duration": ValueKind('a duration such as "1m30s"', duration),
    "microseconds": ValueKind('microseconds, or a duration such as "50ms"', microseconds),
    "size": ValueKind('a size such as "512m"', size),
    "mode": ValueKind("permission bits such as 0440", _mode),
}
