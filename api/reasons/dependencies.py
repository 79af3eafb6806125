"""How it is told that a service waits for others; commands know such a wait by its beginning."""

from __future__ import annotations

from collections.abc import Sequence

from api.service.service_spec import Dependency

WAITS = "waiting for service "
_ENDS = {"started": "to start", "healthy": "to be healthy", "completed": "to complete"}


def sentence(unmet: Sequence[Dependency]) -> str:
    """ "waiting for service db to be healthy, service migrate to complete"; "" for nothing."""
    return WAITS + ", service ".join(f"{item.service} {_ENDS[item.condition]}" for item in unmet) if unmet else ""
