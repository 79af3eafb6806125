"""Durations as text: "1m30s", as Go and Docker write them."""

from __future__ import annotations


def short_duration(seconds: float) -> str:
    """Seconds as "1m30s" or "0.5s"."""
    if seconds < 60 or seconds != int(seconds):
        return f"{seconds:g}s"
    hours, minutes, rest = int(seconds) // 3600, int(seconds) // 60 % 60, int(seconds) % 60
    return "".join(f"{count}{unit}" for count, unit in ((hours, "h"), (minutes, "m"), (rest, "s")) if count)
