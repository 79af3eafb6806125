"""conmon's log format: `<RFC 3339 time> <stream> <F|P> <text>`; a line too long for its buffer is several P and an F.

Pure: bytes in, LogLines out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from api.wire.host_messages import LogLine

MOST_BYTES = 1 << 20
"""Bytes above which a line is passed on in parts."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The selection of lines. `since` is Unix seconds."""

    since: float = 0.0
    until: float = 0.0
    stdout: bool = True
    stderr: bool = True

    def takes(self, line: LogLine) -> bool:
        """Whether the selection includes a line."""
        wanted = self.stdout if line.stream == "stdout" else self.stderr
        return wanted and line.time >= self.since and (not self.until or line.time <= self.until)


@dataclass(slots=True)
class Assembler:
    """Joins the parts of lines. One per log, because the rest of a line may be in the next file."""

    _rest: bytes = b""
    _time: float = 0.0
    _parts: dict[str, tuple[float, bytearray]] = field(default_factory=dict)

    def feed(self, data: bytes) -> Iterator[LogLine]:
        """The lines that these bytes complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for raw in lines:
            yield from self._line(raw)

    @property
    def time(self) -> float:
        """The time of the newest line, in Unix seconds; 0 if there was none."""
        return self._time

    def begun(self) -> list[LogLine]:
        """The lines without an end so far."""
        return [LogLine(time, stream, bytes(text)) for stream, (time, text) in self._parts.items()]

    def finish(self) -> Iterator[LogLine]:
        """The lines without a newline at the end of the log, or before a gap."""
        yield from self.begun()
        self._parts.clear()
        self._rest = b""

    def _line(self, raw: bytes) -> Iterator[LogLine]:
        stamp, _, rest = raw.partition(b" ")
        stream_name, _, rest = rest.partition(b" ")
        kind, _, text = rest.partition(b" ")
        if kind not in (b"F", b"P"):
            return  # torn by a crash
        stream = "stderr" if stream_name == b"stderr" else "stdout"
        time, parts = self._parts.pop(stream) if stream in self._parts else (_seconds(stamp), bytearray())
        self._time = time
        parts += text
        if kind == b"F":
            yield LogLine(time=time, stream=stream, text=bytes(parts + b"\n"))
        elif len(parts) >= MOST_BYTES:
            yield LogLine(time=time, stream=stream, text=bytes(parts))
        else:
            self._parts[stream] = (time, parts)


_last: tuple[bytes, float] = (b"", 0.0)


def _seconds(stamp: bytes) -> float:
    """Unix seconds of 2024-01-02T03:04:05.123456789+00:00. The part up to the second is parsed once per second."""
    global _last
    head = stamp[:19]
    digits = stamp[20:29]
    zone = stamp[29:]
    if _last[0] != head + zone:
        try:
            text = (head + (b"+00:00" if zone in (b"", b"Z") else zone)).decode()
            _last = (head + zone, datetime.fromisoformat(text).timestamp())
        except ValueError:
            return 0.0
    return _last[1] + (int(digits) / 1e9 if digits.isdigit() else 0.0)
