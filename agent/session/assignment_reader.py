"""What managers send, read entry by entry where that is needed: one that this host cannot read stops no other.

A manager of a later version may have kinds of resources, or values in them, that are unknown here. Each is named in the
log once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec
import structlog

from api.codec import decode, encode
from api.wire.assignments import Assignment
from api.wire.rpc import read
from api.wire.session_messages import ManagerMessage
from kit.reported_once import ReportedOnce

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")
log = structlog.get_logger(__name__)


class _Entry(msgspec.Struct):
    """As much of a resource as any has."""

    type: str = ""
    id: str = msgspec.field(default="", name="ID")


def read_entries(kind: TypeForm[T], data: bytes, reported: ReportedOnce) -> T:
    """A message, without the resources in it that cannot be read. Raises Invalid when the rest is none either."""
    try:
        return decode(kind, data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass  # looked at in detail
    fields = read(dict[str, msgspec.Raw], data)
    entries = read(list[msgspec.Raw], bytes(fields.get("Put", msgspec.Raw(b"[]"))))
    good = [entry for entry in entries if _is_readable(bytes(entry), reported)]
    return read(kind, encode({**fields, "Put": good}))


def _is_readable(entry: bytes, reported: ReportedOnce) -> bool:
    try:
        decode(Assignment, entry)
        return True
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        name = _name(entry)
        if reported.is_new(name, str(error)):
            log.error("an entry of the assignments cannot be read, and is left out", entry=name, reason=str(error))
        return False


def _name(entry: bytes) -> str:
    try:
        known = msgspec.json.decode(entry, type=_Entry)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return "one without a kind and an id"
    return f"{known.type} {known.id}"


class ManagerReader:
    """Reads the messages of one manager."""

    def __init__(self) -> None:
        self._reported = ReportedOnce()

    def read(self, data: bytes) -> ManagerMessage:
        """Raises Invalid."""
        return read_entries(ManagerMessage, data, self._reported)
