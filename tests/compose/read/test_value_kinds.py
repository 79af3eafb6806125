"""Durations, sizes and typed YAML scalars."""

from __future__ import annotations

import pytest

from compose.read.value_kinds import KINDS, KindMismatch, duration, size
from compose.read.yaml_reader import resolve_scalar


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("1s", 10**9), ("1m30s", 90 * 10**9), ("1.5h", 5400 * 10**9), ("10ms", 10**7), ("0", 0), ("5us", 5000)],
)
def test_durations(text: str, nanoseconds: int) -> None:
    assert duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "count"), [("1", 1), ("1k", 1024), ("1.5m", 1572864), ("2GB", 2 << 30), ("3 GiB", 3 << 30), ("5b", 5)]
)
def test_sizes(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize("kind", ["duration", "size", "integer", "number", "boolean", "mode"])
@pytest.mark.parametrize("value", ["", "x", "1x", [], {}, None])
def test_values_of_another_kind_are_refused(kind: str, value: object) -> None:
    with pytest.raises(KindMismatch):
        KINDS[kind].read(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("true", True),
        ("22:22", "22:22"),
        ("0444", 0o444),
        ("0o17", 15),
        ("0x1F", 31),
        ("1e3", 1000.0),
        ("-5", -5),
        ("~", None),
        ("", None),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        (".5", 0.5),
    ],
)
def test_plain_scalars(text: str, value: object) -> None:
    found = resolve_scalar(text)
    assert (found, type(found)) == (value, type(value))
