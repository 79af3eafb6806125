"""Answers of a daemon, with what a test does not care about filled in."""

from __future__ import annotations

from typing import Any

from api.engine.common import VersionAnswer
from api.engine.services import ServiceAnswer
from api.engine.stored_files import StoredFileAnswer, StoredFileSpecAnswer
from api.engine.tasks import TaskAnswer, TaskStatusAnswer
from api.service.service_spec import ServiceSpec, TaskSpec


def a_service(id: str, spec: ServiceSpec, version: int = 0, **more: Any) -> ServiceAnswer:
    """A service as GET /services/{id} answers it."""
    return ServiceAnswer(id, VersionAnswer(version), "", "", spec, **more)


def a_task(id: str, status: TaskStatusAnswer, created_at: str = "", **more: Any) -> TaskAnswer:
    """A task of the service s as GET /tasks/{id} answers it."""
    return TaskAnswer(id, VersionAnswer(), created_at, "", "", {}, TaskSpec(), "s", status=status, **more)


def a_stored_file(id: str, name: str, labels: dict[str, str] | None = None) -> StoredFileAnswer:
    """A secret or a config as GET /secrets/{id} answers it."""
    return StoredFileAnswer(id, VersionAnswer(), "", "", StoredFileSpecAnswer(name, labels or {}))
