"""Signals by the names Docker takes: SIGTERM, TERM, 15, SIGRTMIN+3. Pure."""

from __future__ import annotations

import re
import signal

from agent.runtime.base import RuntimeFailure

_REALTIME = re.compile(r"RT(MIN|MAX)(?:([+-])(\d+))?")


def number(name: str) -> int:
    """The signal's number; "" is SIGTERM. Raises RuntimeFailure for no signal."""
    if not name:
        return signal.SIGTERM
    if name.isdigit() and 0 < int(name) < signal.NSIG:
        return int(name)
    short = name.upper().removeprefix("SIG")
    if match := _REALTIME.fullmatch(short):
        base = signal.SIGRTMIN if match[1] == "MIN" else signal.SIGRTMAX
        found = base + int((match[2] or "+") + (match[3] or "0"))
        if signal.SIGRTMIN <= found <= signal.SIGRTMAX:
            return found
    elif f"SIG{short}" in signal.Signals.__members__:
        return signal.Signals[f"SIG{short}"]
    raise RuntimeFailure(f"invalid signal: {name}")
