"""The assignment reader: decodes messages of managers without failing for single assignments.

A manager of a later version may send kinds of assignments, or values in them, that are unknown here. They are left
out, and each is logged once.
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
    """The fields that every assignment has."""

    type: str = ""
    id: str = msgspec.field(default="", name="ID")


def read_entries(kind: TypeForm[T], data: bytes, reported: ReportedOnce) -> T:
    """Decode a message without its unreadable assignments. Raises Invalid when the rest is unreadable too."""
    try:
        return decode(kind, data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass  # decoded entry by entry below
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
        """Decode one message. Raises Invalid."""
        return read_entries(ManagerMessage, data, self._reported)
