"""A mode as it stands in JSON, for the few commands that are answered before any schema is loaded (cli/fast_path.py).

Everybody else has the values of api/service/mode.py. Imports nothing: loading takes longer than asking the daemon.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_KINDS = {"Global": "global", "GlobalJob": "global-job", "ReplicatedJob": "replicated-job"}


def kind_of(mode: Mapping[str, Any]) -> str:
    """The mode's name, as in ModeKind."""
    return next((name for key, name in _KINDS.items() if key in mode), "replicated")


def completions(mode: Mapping[str, Any]) -> int | None:
    """How many completions a replicated job wants; None for every other mode."""
    return int(mode["ReplicatedJob"].get("TotalCompletions", 1)) if "ReplicatedJob" in mode else None
