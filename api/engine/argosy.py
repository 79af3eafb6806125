"""Bodies of Argosy's own paths (/argosy/v1, docs/design/http-api.md): verdicts, histories, explanations."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Generic, Literal, TypeVar

import msgspec

from api.engine.common import Answer, VersionAnswer, always
from api.reasons.reason import Reason
from api.service.schedule import Schedule
from api.service.service_spec import ServiceSpec

S = TypeVar("S")


class VerdictState(StrEnum):
    """The state of a service or a stack, as judged."""

    CONVERGING = "converging"
    """Changing towards what is wanted, with no sign that it will fail."""
    CONVERGED = "converged"
    """As wanted."""
    FAILED = "failed"
    """It will not get there by itself."""
    STUCK = "stuck"
    """Waiting for a node, address or port that somebody has to provide."""
    DEGRADED = "degraded"
    """It was converged before, and fewer tasks run now than are wanted."""


class ServiceVerdictAnswer(Answer, frozen=True):
    """GET /argosy/v1/services/{id}/verdict, and a line of GET /argosy/v1/verdicts."""

    service_id: str = always("")
    service_name: str = ""
    state: VerdictState = always(VerdictState.CONVERGING)
    since: str = ""
    """When it entered this state; "" when that is not known."""
    ready: int = always(0)
    wanted: int = always(0)
    message: str = always("")
    """The reasons as text."""
    reasons: list[Reason] = []
    stack: str = ""
    """The stack it belongs to; "" for none."""
    version: VersionAnswer = VersionAnswer()
    """The version of the service that was judged."""


class StackVerdictAnswer(Answer, frozen=True):
    """GET /argosy/v1/stacks/{name}/verdict."""

    stack: str = always("")
    state: VerdictState = always(VerdictState.CONVERGED)
    since: str = ""
    ready: int = always(0)
    wanted: int = always(0)
    message: str = always("")
    reasons: list[Reason] = []
    services: list[ServiceVerdictAnswer] = []
    """By name."""


# ── a service's history ──────────────────────────────────────────────────────────────────────────────────────────


class FieldChangeAnswer(Answer, frozen=True):
    """One field that a revision changed, with its values; None where the field was absent."""

    path: str = always("")
    old: Any = None
    new: Any = None


class RevisionFields(Answer, Generic[S], frozen=True):
    """One kept revision of a service; S is the form that its spec is in."""

    number: int = always(0)
    created_at: str = always("")
    image: str = always("")
    in_force: bool = always(False)
    """New tasks are made from it."""
    wanted: bool = always(False)
    """The newest revision that a user requested."""
    previous: bool = always(False)
    """The target of a rollback without a number."""
    tasks: int = always(0)
    """Tasks of this revision that are to run."""
    running: int = always(0)
    changes: list[FieldChangeAnswer] = always([])
    """Compared with the kept revision before it."""
    spec: S = always(msgspec.Raw(b"{}"))
    same_as: int = 0
    """An older kept revision with the same spec."""


class HistoryFields(Answer, Generic[S], frozen=True):
    """The kept revisions of a service, newest first."""

    service_id: str = always("")
    service_name: str = always("")
    revisions: list[RevisionFields[S]] = always([])


EncodedRevisionAnswer = RevisionFields[msgspec.Raw]
EncodedHistoryAnswer = HistoryFields[msgspec.Raw]
"""GET /argosy/v1/services/{id}/history as managers send it: each spec is encoded once and cached."""
RevisionAnswer = RevisionFields[ServiceSpec]
HistoryAnswer = HistoryFields[ServiceSpec]
"""The same, as clients read it."""


class RolledBackAnswer(Answer, frozen=True):
    """POST /argosy/v1/services/{id}/rollback."""

    revision: int = always(0)
    to: int = always(0)
    warnings: list[str] = always([])


class RunAnswer(Answer, frozen=True):
    """One run of a scheduled job. A time is "" when there is none."""

    number: int = always(0)
    outcome: str = always("")
    revision: int = always(0)
    total: int = always(0)
    due_at: str = ""
    started_at: str = ""
    ended_at: str = ""


class RunsAnswer(Answer, frozen=True):
    """GET /argosy/v1/services/{id}/runs, newest first."""

    service_id: str = always("")
    service_name: str = always("")
    schedule: Schedule | None = None
    next_at: str = ""
    """"" when none is due."""
    runs: list[RunAnswer] = always([])


# ── why a service is not as it should be ─────────────────────────────────────────────────────────────────────────


class ProblemAnswer(Answer, frozen=True):
    """A problem of a service as a whole, or of one of its tasks."""

    code: str = always("")
    scope: Literal["service", "task"] = always("service")
    reason: str = always("")
    advice: str = always("")
    why: Reason | None = None
    """The reason as a value."""
    slot: str = ""
    """The replica number or, for global services, the node's hostname."""
    task_id: str = ""
    task_name: str = ""
    node_id: str = ""
    node: str = ""
    """Its hostname."""
    state: str = ""
    since: str = ""
    retry_at: str = ""
    """When the managers will retry."""


class ExplanationAnswer(Answer, frozen=True):
    """GET /argosy/v1/services/{id}/explain."""

    service_id: str = always("")
    service_name: str = always("")
    mode: str = always("")
    running: int = always(0)
    wanted: int = always(0)
    summary: str = always("")
    verdict: ServiceVerdictAnswer | None = None
    problems: list[ProblemAnswer] = always([])
