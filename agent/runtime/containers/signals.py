"""Signals by the names Docker takes: SIGTERM, TERM, 15, SIGRTMIN+3. Pure."""

from __future__ import annotations

import re
import signal

from agent.runtime.interface import RuntimeFailure

_NUMBER = re.compile(r"[0-9]{1,4}")
_REALTIME = re.compile(r"RT(MIN|MAX)(?:([+-])([0-9]{1,2}))?")


def number(name: str) -> int:
    """The signal's number; "" is SIGTERM. Raises RuntimeFailure for no signal."""
    if not name:
        return signal.SIGTERM
    if _NUMBER.fullmatch(name):
        if 0 < (found := int(name)) < signal.NSIG:
            return found
        raise RuntimeFailure(f"invalid signal: {name}; the last one is {signal.NSIG - 1}")
    short = name.upper().removeprefix("SIG")
    if match := _REALTIME.fullmatch(short):
        base = signal.SIGRTMIN if match[1] == "MIN" else signal.SIGRTMAX
        found = base + int((match[2] or "+") + (match[3] or "0"))
        if signal.SIGRTMIN <= found <= signal.SIGRTMAX:
            return found
    elif f"SIG{short}" in signal.Signals.__members__:
        return signal.Signals[f"SIG{short}"]
    raise RuntimeFailure(f"invalid signal: {name[:40]}; give a name such as SIGTERM, or a number")
