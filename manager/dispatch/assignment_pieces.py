"""Assignment messages: a set of assignments split into messages of bounded size. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import structlog

from api.codec import encode
from api.wire.assignments import Assignment, AssignmentKey, key_of
from api.wire.host_bounds import MOST_MESSAGE, PIECE
from api.wire.session_messages import Assignments, Part

ENVELOPE = 4096
"""Most bytes of a message besides its assignments."""

log = structlog.get_logger(__name__)


def messages(
    number: int, full: bool, put: Sequence[Assignment], remove: Sequence[AssignmentKey]
) -> Iterator[Part | Assignments]:
    """Yields the Parts of a set that is too large for one message, then its Assignments. Lazy: built as they are
    sent."""
    parts = _parts(put, remove)
    last = next(parts)
    for part in parts:
        yield last
        last = part
    yield Assignments(number, full=full, put=last.put, remove=last.remove)


def _parts(put: Sequence[Assignment], remove: Sequence[AssignmentKey]) -> Iterator[Part]:
    part, size = Part([], []), 0
    for key in remove:
        if size >= PIECE:
            yield part
            part, size = Part([], []), 0
        part.remove.append(key)
        size += len(key[0]) + 6 * len(key[1]) + 8  # even if every character is escaped
    for resource in put:
        more = len(encode(resource)) + 1
        if more > MOST_MESSAGE - ENVELOPE:
            log.error("too large to be sent to a host", kind=key_of(resource)[0], id=resource.id, size=more)
            continue
        if size and size + more > PIECE:
            yield part
            part, size = Part([], []), 0
        part.put.append(resource)
        size += more
    yield part
