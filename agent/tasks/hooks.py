"""A container's hooks: commands run in it one by one, after its start (post_start) or before its stop (pre_stop)."""

from __future__ import annotations

from collections.abc import Sequence

from agent.runtime.interface import Runtime, RuntimeFailure
from api.service.host_config import Hook

LONGEST = 3600.0
"""Seconds one command may take."""
_MOST_WORDS = 200


async def run_all(runtime: Runtime, id: str, what: str, hooks: Sequence[Hook]) -> None:
    """Run the hooks in their order. Raises RuntimeFailure for the first that fails, naming it as `what`[number]."""
    for number, hook in enumerate(hooks):
        try:
            done = await runtime.exec(id, hook.command, LONGEST, hook)
        except TimeoutError:
            raise RuntimeFailure(f"{what}[{number}] did not end within {LONGEST:.0f} s") from None
        if done.code:
            said = done.text.decode(errors="replace").strip()[-_MOST_WORDS:]
            raise RuntimeFailure(f"{what}[{number}] failed with exit code {done.code}" + (f": {said}" if said else ""))
