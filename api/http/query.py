"""Parameters of a request: filters, flags, numbers and times."""

from __future__ import annotations

import math
from datetime import datetime

import msgspec
from aiohttp import web

from api.bounds import LARGEST, LATEST, read_json, whole_number
from api.errors import Invalid


def filters(request: web.Request, known: frozenset[str]) -> dict[str, set[str]]:
    """The `filters` of a list request: name → accepted values. Both of Docker's forms; unknown names are refused."""
    text = request.query.get("filters", "")
    if not text:
        return {}
    try:
        raw = msgspec.convert(read_json(text, "filters"), dict[str, dict[str, bool] | list[str]])
    except (msgspec.ValidationError, Invalid):
        raise Invalid('filters: not of the form {"name": {"value": true}}') from None
    if unknown := sorted(set(raw) - known):
        raise Invalid(f"invalid filter '{unknown[0]}'; known here: {', '.join(sorted(known))}")
    return {name: {v for v in values if not isinstance(values, dict) or values[v]} for name, values in raw.items()}


def flag(request: web.Request, name: str) -> bool:
    """A boolean query parameter, as Docker reads them."""
    return request.query.get(name, "").lower() not in ("", "0", "no", "false", "none")


def number(request: web.Request, name: str, default: int, least: int = 0, most: int = LARGEST) -> int:
    """An integer query parameter within its bounds. Raises Invalid."""
    text = request.query.get(name, "")
    return whole_number(text, name, least, most) if text else default


def version(request: web.Request, what: str) -> int:
    """`?version=`: the version of the object that the client has read. Raises Invalid; `what` is the object's kind."""
    text = request.query.get("version", "")
    try:
        return whole_number(text, "version")
    except Invalid:
        raise Invalid(f"invalid {what} version '{text}': ?version= takes the Version.Index that was read") from None


def tail(request: web.Request) -> int:
    """`?tail=`: the number of lines from the end of a log; -1 for all. Raises Invalid."""
    text = request.query.get("tail", "")
    if text in ("", "all", "-1"):
        return -1
    try:
        return whole_number(text, "tail")
    except Invalid:
        raise Invalid(f"tail: {text!r} is neither a number of lines nor 'all'") from None


def moment(request: web.Request, name: str) -> float:
    """A point in time from the query, in Unix seconds; 0 when it is not given. Raises Invalid."""
    text = request.query.get(name, "")
    if not text:
        return 0.0
    if (found := read_moment(text)) is None:
        raise Invalid(f"{name}: {text[:80]!r} is neither Unix seconds nor a time like 2024-01-31T12:00:00Z")
    return found


def read_moment(text: str) -> float | None:
    """A point in time, given in Unix seconds or as RFC 3339; None for anything else, and for dates out of range.

    Times before 1970 count as the beginning of 1970: nothing of ours is older.
    """
    try:
        found = float(text)
    except ValueError:
        try:
            found = datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError):
            return None
    return max(found, 0.0) if math.isfinite(found) and found <= LATEST else None


def label_match(labels: dict[str, str], wanted: set[str]) -> bool:
    """Docker's label filter: each of "key" or "key=value" must hold."""
    for item in wanted:
        key, equals, value = item.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True
