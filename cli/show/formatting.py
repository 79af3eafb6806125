"""Values as text: sizes, times, ids, and tables."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # cli/fast_path.py has no time to load it
    from collections.abc import Sequence


def short_id(full: str) -> str:
    """The first 12 characters, without "sha256:"."""
    return full.removeprefix("sha256:")[:12]


def span(seconds: float) -> str:
    """A duration in Docker's words: "About a minute", "3 hours"."""
    seconds = max(seconds, 0)
    if seconds < 1:
        return "Less than a second"
    for name, length, limit in (("second", 1, 60), ("minute", 60, 60), ("hour", 3600, 48), ("day", 86400, 14)):
        count = int(seconds / length)
        if count < limit:
            if count == 1 and name != "second":
                return f"About {'an' if name == 'hour' else 'a'} {name}"
            return f"{count} {name}{'' if count == 1 else 's'}"
    weeks = int(seconds / 604800)
    return f"{weeks} weeks" if weeks < 9 else f"{int(seconds / 2592000)} months"


def ago(then: float, now: float) -> str:
    """ "3 hours ago"; "" when `then` is unknown (0)."""
    return f"{span(now - then)} ago" if then else ""


def byte_count(count: float) -> str:
    """ "12.3MB", in powers of 1000, as Docker shows image sizes."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.3g}{unit}"
        count /= 1000
    return f"{count:.3g}TB"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], gap: int = 3) -> list[str]:
    """Lines of aligned columns."""
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    return [
        "".join(cell.ljust(width + gap) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [heads, *rows]
    ]
