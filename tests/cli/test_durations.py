"""What --timeout takes, and how it is shown."""

from __future__ import annotations

import pytest

from cli.flags.flag_values import seconds
from kit.durations import short_duration


@pytest.mark.parametrize(
    ("text", "count", "shown"),
    [("20", 20, "20s"), ("20s", 20, "20s"), ("1m30s", 90, "1m30s"), ("10m", 600, "10m"), ("0.5", 0.5, "0.5s"),
     ("300ms", 0.3, "0.3s"), ("1h", 3600, "1h")],
)  # fmt: skip
def test_durations_are_read_as_docker_or_as_seconds(text: str, count: float, shown: str) -> None:
    assert seconds(text) == count
    assert short_duration(seconds(text)) == shown


@pytest.mark.parametrize("text", ["", "soon", "-1", "nan", "inf", "1 m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match='is not a duration such as "1m30s"'):
        seconds(text)
