"""The text of a difference of specs (api/service/equality.py): `path: old → new`, numbers with their unit."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Protocol

from kit.durations import short_duration

NONE = "(none)"
_LONGEST = 120
"""Characters of a value; longer ones are cut."""
_SECONDS = ("Interval", "Timeout", "StartPeriod", "StartInterval", "Delay", "Monitor", "Window", "StopGracePeriod")
_UNITS: dict[str, Callable[[int], str]] = {
    **dict.fromkeys(_SECONDS, lambda nanoseconds: short_duration(nanoseconds / 1e9)),
    "MemoryBytes": lambda count: f"{count / (1 << 20):g}M",
    "NanoCPUs": lambda count: f"{count / 1e9:g}",
}
"""Field name → text of its numbers, with their unit."""


class FieldChange(Protocol):
    """A Difference of equality.py or of the API. None stands for an absent field."""

    @property
    def path(self) -> str: ...
    @property
    def old(self) -> object: ...
    @property
    def new(self) -> object: ...


def difference_line(change: FieldChange) -> str:
    """One field's change as a line."""
    return f"{change.path}: {_cut(_text(change.path, change.old))} → {_cut(_text(change.path, change.new))}"


def _text(path: str, value: object) -> str:
    if value is None:
        return NONE
    unit = _UNITS.get(path.rpartition(".")[2])
    if unit and isinstance(value, int) and value > 0:
        return unit(value)
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
