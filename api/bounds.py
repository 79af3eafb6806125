"""What may come from outside at all, whatever it is for: text that is text, numbers that fit, JSON that ends.

Docker's numbers are 64 bits wide, and the kernel's strings end at a NUL. What is beyond would fail far inside, each
time in another place; so it is refused here, where it comes in.
"""

from __future__ import annotations

import json
import re

import msgspec

from api.errors import Invalid

MOST_DEPTH = 64
"""Levels of objects and lists in one JSON text. The deepest spec we have uses twelve."""
MOST_TEXT = 8192
"""Characters of a parameter in a path or query."""
LARGEST = 2**63 - 1
LATEST = 253_402_300_799.0
"""Unix seconds of the end of the year 9999, the last that RFC 3339 can write."""
_WHOLE = re.compile(r"[+-]?[0-9]{1,40}")
_SHOWN = 40
"""Characters of a bad value that the sentence about it repeats."""


def read_json(data: bytes | str, what: str) -> object:
    """Plain values from JSON of somebody else's. A field that is null counts as not there, as it does for Docker.

    Raises Invalid; `what` begins the sentence ("the request body").
    """
    try:
        raw = msgspec.json.decode(data)
    except RecursionError:
        raise _too_deep(what) from None
    except (msgspec.DecodeError, UnicodeError):
        raise Invalid(f"{what} is not JSON{_place(data)}") from None
    return _checked(raw, what, 0)


def _place(data: bytes | str) -> str:
    """Where a text stops to be JSON; "" where that cannot be told."""
    try:
        json.loads(data)
    except json.JSONDecodeError as error:
        return f": look at line {error.lineno}, column {error.colno}"
    except (ValueError, RecursionError):
        pass
    return ""


def _checked(raw: object, what: str, depth: int) -> object:
    if depth > MOST_DEPTH:
        raise _too_deep(what)
    if isinstance(raw, dict):
        return {
            check_text(name, f"{what}: a field's name"): _checked(item, what, depth + 1)
            for name, item in raw.items()
            if item is not None
        }
    if isinstance(raw, list):
        return [_checked(item, what, depth + 1) for item in raw]
    if isinstance(raw, str):
        return check_text(raw, what)
    if isinstance(raw, int) and not -LARGEST <= raw <= LARGEST:
        raise Invalid(f"{what}: the number {_short(raw)} is beyond 64 bits")
    return raw


def _too_deep(what: str) -> Invalid:
    return Invalid(f"{what} is nested deeper than {MOST_DEPTH} levels")


def check_text(text: str, what: str) -> str:
    """The text. Raises Invalid for a NUL, and for bytes that are not UTF-8 (they come in as lone surrogates)."""
    if "\0" in text:
        raise Invalid(f"{what}: {_short(text)} has a NUL character in it")
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Invalid(f"{what}: {_short(text)} is not UTF-8")
    return text


def check_parameter(text: str, what: str) -> str:
    """The text of a path's or query's parameter. Raises Invalid for one that is too long, or no text."""
    if len(text) > MOST_TEXT:
        raise Invalid(f"{what}: it has {len(text)} characters; at most {MOST_TEXT} are taken")
    return check_text(text, what)


def whole_number(text: str, what: str, least: int = 0, most: int = LARGEST) -> int:
    """The integer that a text says. Raises Invalid for what is none, and beyond the bounds."""
    if not _WHOLE.fullmatch(text):
        raise Invalid(f"{what}: {_short(text)} is not a whole number")
    value = int(text)
    if not least <= value <= most:
        raise Invalid(f"{what}: {_short(text)} is not between {least} and {most}")
    return value


def _short(value: object) -> str:
    shown = ascii(value) if isinstance(value, str) else repr(value)
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
