"""Timestamps as the API writes them."""

from __future__ import annotations


def unix_time(text: str) -> float:
    """A timestamp of the API as Unix seconds; 0 for none."""
    from datetime import datetime  # the fast path does not need it

    if not text or text.startswith("0001-"):
        return 0.0
    head, _, rest = text.partition(".")
    if rest:  # nanoseconds; Python reads six digits
        digits = rest.rstrip("Z").split("+")[0]
        text = f"{head}.{digits[:6]:0<6}Z"
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
