"""What Argosy's own paths answer (/argosy/v1, docs/design/http-api.md): how services and stacks stand."""

from __future__ import annotations

from enum import StrEnum

from api.engine.common import Answer, VersionAnswer, always
from api.reasons.reason import Reason


class VerdictState(StrEnum):
    """How a service or a stack stands."""

    CONVERGING = "converging"
    """On its way to what is wanted, and nothing speaks against its getting there."""
    CONVERGED = "converged"
    """As wanted."""
    FAILED = "failed"
    """It will not get there by itself."""
    STUCK = "stuck"
    """Nothing happens until somebody makes room for it."""
    DEGRADED = "degraded"
    """It has been well, and less runs now than is wanted."""


class ServiceVerdictAnswer(Answer, frozen=True):
    """GET /argosy/v1/services/{id}/verdict, and a line of GET /argosy/v1/verdicts."""

    service_id: str
    service_name: str = ""
    state: VerdictState = always(VerdictState.CONVERGING)
    since: str = ""
    """When it came to stand so; "" when that is not known."""
    ready: int = always(0)
    wanted: int = always(0)
    message: str = always("")
    """The reasons as text."""
    reasons: list[Reason] = []
    stack: str = ""
    """The stack it belongs to; "" for none."""
    version: VersionAnswer = VersionAnswer()
    """The service's: a verdict on this version of it."""


class StackVerdictAnswer(Answer, frozen=True):
    """GET /argosy/v1/stacks/{name}/verdict."""

    stack: str
    state: VerdictState = always(VerdictState.CONVERGED)
    since: str = ""
    ready: int = always(0)
    wanted: int = always(0)
    message: str = always("")
    reasons: list[Reason] = []
    services: list[ServiceVerdictAnswer] = []
    """By name."""
