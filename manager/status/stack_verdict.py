"""The verdict on a stack: the worst verdict of its services. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from api.engine.argosy import VerdictState
from api.reasons.reason import Code, Reason, reason
from manager.status.service_verdict import Verdict

_WORST_FIRST = (
    VerdictState.FAILED,
    VerdictState.STUCK,
    VerdictState.DEGRADED,
    VerdictState.CONVERGING,
    VerdictState.CONVERGED,
)


def stack_verdict(services: Mapping[str, Verdict]) -> Verdict:
    """The verdict on a stack, from the verdicts on its services by name. Its counts are the services' sums.

    `since` is the earliest of the services in the worst state; for a converged stack the latest.
    """
    worst = min((one.state for one in services.values()), key=_WORST_FIRST.index, default=VerdictState.CONVERGED)
    times = [one.since for one in services.values() if one.state is worst]
    since = (max if worst is VerdictState.CONVERGED else min)(times, default=0.0)
    return Verdict(
        worst,
        since,
        tuple(_reason(name, one) for name, one in _ordered(services) if one.state is not VerdictState.CONVERGED),
        sum(one.ready for one in services.values()),
        sum(one.wanted for one in services.values()),
        min((one.again_at for one in services.values()), default=inf),
    )


def _ordered(services: Mapping[str, Verdict]) -> list[tuple[str, Verdict]]:
    return sorted(services.items(), key=lambda item: (_WORST_FIRST.index(item[1].state), item[0]))


def _reason(name: str, verdict: Verdict) -> Reason:
    return reason(Code.SERVICE_IS, *verdict.reasons, service=name, state=verdict.state.value)
