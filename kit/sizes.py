"""Sizes with units: "512m", "1.5 GB", "10MiB", 4096. Units are powers of 1024, as Docker's are for memory."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(\d+|\d*\.\d+) ?([kmgtp]?)i?b?", re.IGNORECASE | re.ASCII)
_POWERS: dict[str, int] = {unit: 1 << (10 * power) for power, unit in enumerate(("", "k", "m", "g", "t", "p"))}
_MOST = 2**63


def parse_size(text: str) -> int:
    """The number of bytes. Raises ValueError for anything else, and above 64 bits."""
    found = _SIZE.fullmatch(text)
    if found is None or len(text) > 40:
        raise ValueError(f"{text[:40]!r} is not a size such as 10m or 1.5GB")
    factor = _POWERS[found[2].lower()]
    size = int(found[1]) * factor if found[1].isdecimal() else round(float(found[1]) * factor)
    if size >= _MOST:
        raise ValueError(f"{text!r} is more than can be counted")
    return size
