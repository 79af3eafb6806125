"""What Argosy's own paths answer about a service: its revisions, and its troubles (docs/design/http-api.md)."""

from __future__ import annotations

from typing import Any

from api.codec import Value
from api.engine.argosy import ServiceVerdictAnswer
from api.service.service_spec import ServiceSpec


class Change(Value, frozen=True):
    """One field that a revision changed. Values are whatever the field holds."""

    path: str = ""
    old: Any = None
    new: Any = None


class Revision(Value, frozen=True):
    """One kept revision of a service."""

    number: int = 0
    created_at: str = ""
    image: str = ""
    in_force: bool = False
    wanted: bool = False
    previous: bool = False
    same_as: int = 0
    tasks: int = 0
    running: int = 0
    changes: list[Change] = []
    spec: ServiceSpec = ServiceSpec()


class History(Value, frozen=True):
    """GET /argosy/v1/services/{id}/history."""

    service_id: str = ""
    service_name: str = ""
    revisions: list[Revision] = []


class RolledBack(Value, frozen=True):
    """POST /argosy/v1/services/{id}/rollback."""

    revision: int = 0
    to: int = 0
    warnings: list[str] | None = None


class Problem(Value, frozen=True):
    """Something that is not as it should be."""

    code: str = ""
    scope: str = ""
    slot: str = ""
    task_id: str = ""
    task_name: str = ""
    node: str = ""
    state: str = ""
    since: str = ""
    reason: str = ""
    advice: str = ""
    retry_at: str = ""


class Explanation(Value, frozen=True):
    """GET /argosy/v1/services/{id}/explain."""

    service_id: str = ""
    service_name: str = ""
    mode: str = ""
    running: int = 0
    wanted: int = 0
    summary: str = ""
    verdict: ServiceVerdictAnswer | None = None
    problems: list[Problem] = []
