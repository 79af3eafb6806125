"""Points in time as flags give them."""

from __future__ import annotations

import re
import time

from cli.command_errors import BadArgument
from cli.flags.flag_values import duration
from cli.timestamps import unix_time

_UNIX = re.compile(r"\d+(\.\d+)?")


def moment(flag: str, text: str) -> str:
    """A time ("2026-01-02T15:04:05Z"), Unix seconds, or a duration before now ("42m"), as Unix seconds.

    Raises a usage error that names the flag.
    """
    if _UNIX.fullmatch(text):
        return text
    try:
        return f"{time.time() - duration(text) / 1e9:.9f}"  # noqa: TID251
    except ValueError:
        pass
    try:
        return f"{unix_time(text):.9f}"
    except ValueError:
        raise BadArgument(f"{flag} {text!r} is neither a time nor a duration") from None
