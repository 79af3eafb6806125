"""Docker's stream frames ("stdcopy"): standard output and standard error of a process in one byte stream.

A frame is one byte for the stream, three of padding, four for the payload's length (big-endian), and the payload.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Literal

Stream = Literal["stdout", "stderr"]

_HEADER = struct.Struct(">BxxxI")
_STDOUT, _STDERR = 1, 2


def frame(stream: str, payload: bytes) -> bytes:
    """One frame. `stream` is "stderr", or anything else for standard output."""
    return _HEADER.pack(_STDERR if stream == "stderr" else _STDOUT, len(payload)) + payload


def frames(chunks: Iterable[bytes]) -> Iterator[tuple[Stream, bytes]]:
    """Each payload with its stream, as soon as it is complete. An incomplete frame at the end is dropped."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= _HEADER.size:
            number, length = _HEADER.unpack_from(buffer)
            end = _HEADER.size + length
            if len(buffer) < end:
                break
            yield "stderr" if number == _STDERR else "stdout", bytes(buffer[_HEADER.size : end])
            del buffer[:end]
