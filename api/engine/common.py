"""Base classes of the Engine API's bodies. Names of bodies end in Request or Answer; names of fields are Docker's."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from api.bounds import LATEST
from api.codec import Value
from api.field_names import docker_name

_ZERO_TIME = "0001-01-01T00:00:00Z"
"""How Go writes a time that is not set."""


class Request(Value, frozen=True):
    """Base of bodies that clients send. Absent fields have their defaults; requests.read_request reads one."""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, rename=docker_name, gc=False):
    """Base of bodies that the API answers: built and encoded by handlers, read by our command line.

    A field at its default is left out, as Docker leaves out zeros, unless its default is `always`. Every field has a
    default, so that a client can read the answers of a manager of another version.
    """


class FullAnswer(Answer, frozen=True, omit_defaults=False):
    """Base of answers about a host: every field is written, also zeros and nulls, except those that are UNSET."""


class Empty(FullAnswer, frozen=True):
    """The value of a set's members: Docker writes sets as objects of empty objects."""


def always(value: Any) -> Any:
    """The default of a field that is written even at its default: "", 0, {}, or null."""
    make = value.copy if isinstance(value, dict | list) else lambda: value
    return msgspec.field(default_factory=make)


class VersionAnswer(Answer, frozen=True):
    """An object's version, for `?version=`; and the number of a job's iteration."""

    index: int = always(0)


class CreatedAnswer(Answer, frozen=True):
    """The answer to a create."""

    id: str = always("")
    warnings: list[str] | None = None


class ErrorAnswer(Answer, frozen=True, rename="lower"):
    """The body of an error: one sentence."""

    message: str = always("")


@lru_cache(maxsize=8192)
def timestamp(seconds: float) -> str:
    """Unix seconds as the API writes times (RFC 3339, UTC, nanoseconds); 0 is Go's zero time."""
    if not seconds > 0:
        return _ZERO_TIME
    seconds = min(seconds, LATEST)
    whole = int(seconds)
    nanoseconds = round((seconds - whole) * 1_000_000) * 1000  # a float of this size has a resolution of microseconds
    whole, nanoseconds = (whole + 1, 0) if nanoseconds >= 1_000_000_000 else (whole, nanoseconds)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
