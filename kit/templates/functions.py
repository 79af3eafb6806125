"""The functions of Go's templates, and Go's rules for truth and for printing values. See go_template.py. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Function = Callable[..., Any]
Functions = Mapping[str, Function]
_VERB = re.compile(r"%([-+# 0]*)(\d*)(?:\.(\d+))?(.)", re.DOTALL)
_WIDEST = 100
"""The largest width that printf pads to, in characters."""


def is_true(value: Any) -> bool:
    """Whether a value counts as true in Go's templates."""
    return bool(value)


def shown(value: Any) -> str:
    """A value as Go prints it with %v."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "<no value>"
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(shown, value))}]"
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{key}:{shown(value[key])}' for key in sorted(value, key=str))}]"
    return str(value)


def _index(value: Any, *keys: Any) -> Any:
    if not keys:
        raise ValueError('takes a map and a key: index .Service.Labels "a.b"')
    for key in keys:
        is_list = isinstance(value, list | tuple | str)
        if is_list and not (isinstance(key, int) and 0 <= key < len(value)):
            raise ValueError(f"there is no item {shown(key)}")
        if not is_list and (not isinstance(value, Mapping) or key not in value):
            raise ValueError(f"there is no key {key!r}")
        value = value[key]
    return value


def _slice(value: Any, *bounds: int) -> Any:
    if not all(isinstance(bound, int) and 0 <= bound <= len(value) for bound in bounds):
        raise ValueError("a bound is outside of what there is")
    return value[slice(*(bounds + (None,) * 2)[:2])] if bounds else value


def _comparable(one: Any, other: Any) -> None:
    kinds = [next((kind for kind in (bool, int | float, str) if isinstance(each, kind)), None) for each in (one, other)]
    if one is not None and other is not None and kinds[0] != kinds[1]:
        raise ValueError(f"{shown(one)!r} and {shown(other)!r} are of different kinds")


def _eq(value: Any, *others: Any) -> bool:
    if not others:
        raise ValueError("takes two values or more")
    for other in others:
        _comparable(value, other)
    return any(value == other for other in others)


def _ordered(compare: Callable[[Any, Any], bool]) -> Function:
    def function(one: Any, other: Any) -> bool:
        _comparable(one, other)
        return compare(one, other)

    return function


def _print(*values: Any) -> str:
    """Go's Sprint: a space between two values when neither is a string."""
    parts: list[str] = []
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(values[number - 1], str):
            parts.append(" ")
        parts.append(shown(value))
    return "".join(parts)


def _printf(form: str, *items: Any) -> str:
    values = iter(items)
    nothing = object()

    def verb(match: re.Match[str]) -> str:
        flags, width, precision, kind = match.groups()
        if kind == "%":
            return "%"
        value = next(values, nothing)
        if value is nothing:
            raise ValueError(f"{form!r} asks for more values than there are")
        if int(width or 0) > _WIDEST or int(precision or 0) > _WIDEST:
            raise ValueError(f"{match[0]} is wider than {_WIDEST}")
        return _formatted(flags, width, precision, kind, value)

    return _VERB.sub(verb, form)


def _formatted(flags: str, width: str, precision: str | None, kind: str, value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind in "dxXobc" and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        value, is_number = int(value), True  # numbers in Docker's answers may be strings here
    if kind in "svq" or (kind == "t" and isinstance(value, bool)):
        text = shown(value)
        text = text[: int(precision)] if precision and kind == "s" else text
        text = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if kind == "q" else text
        return text.ljust(int(width)) if width and "-" in flags else text.rjust(int(width)) if width else text
    if is_number and kind in "dxXoefgEG":
        number = int(value) if kind in "dxXo" else value
        return f"%{flags}{width}{f'.{precision}' if precision else ''}{kind}" % number
    raise ValueError(f"%{kind} does not fit {shown(value)!r}; %s, %v, %q, %t, %d, %x and %f are known")


BUILTINS: Functions = {
    "and": lambda *values: values,  # not called: go_template.py evaluates it lazily, in _logic
    "or": lambda *values: values,
    "not": lambda value: not is_true(value),
    "eq": _eq,
    "ne": lambda one, other: not _eq(one, other),
    "lt": _ordered(lambda one, other: one < other),
    "le": _ordered(lambda one, other: one <= other),
    "gt": _ordered(lambda one, other: one > other),
    "ge": _ordered(lambda one, other: one >= other),
    "len": lambda value: len(value),
    "index": _index,
    "slice": _slice,
    "print": _print,
    "printf": _printf,
    "println": lambda *values: " ".join(map(shown, values)) + "\n",
}
