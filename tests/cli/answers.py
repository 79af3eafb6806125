"""Answers of a daemon, with what a test does not care about filled in."""

from __future__ import annotations

from typing import Any

from api.engine.common import VersionAnswer
from api.engine.services import ServiceAnswer
from api.engine.stored_files import StoredFileAnswer, StoredFileSpecAnswer
from api.engine.swarm import (
    ClusterSpecAnswer,
    EngineAnswer,
    JoinTokensAnswer,
    ManagerStatusAnswer,
    NodeAnswer,
    NodeDescriptionAnswer,
    NodeSpecAnswer,
    NodeStatusAnswer,
    SwarmAnswer,
)
from api.engine.tasks import TaskAnswer, TaskStatusAnswer
from api.service.service_spec import ServiceSpec, TaskSpec
from api.states import Role


def a_service(id: str, spec: ServiceSpec, version: int = 0, **more: Any) -> ServiceAnswer:
    """A service as GET /services/{id} answers it."""
    return ServiceAnswer(id, VersionAnswer(version), "", "", spec, **more)


def a_task(id: str, status: TaskStatusAnswer, service_id: str = "s", **more: Any) -> TaskAnswer:
    """A task as GET /tasks/{id} answers it."""
    return TaskAnswer(id, VersionAnswer(), "", "", "", {}, TaskSpec(), service_id, status=status, **more)


def a_manager(id: str, hostname: str, labels: dict[str, str]) -> NodeAnswer:
    """The leader, at 10.0.0.1, as GET /nodes/{id} answers it; version 7."""
    return NodeAnswer(
        id,
        VersionAnswer(7),
        "",
        "",
        NodeSpecAnswer(labels=labels, role=Role.MANAGER),
        NodeDescriptionAnswer(hostname, engine=EngineAnswer("0.1.0")),
        NodeStatusAnswer("ready", addr="10.0.0.1"),
        ManagerStatusAnswer(True, "reachable", "10.0.0.1:2377"),
    )


def a_swarm(worker_token: str, manager_token: str) -> SwarmAnswer:
    """The cluster as GET /swarm answers it; version 3."""
    tokens = JoinTokensAnswer(worker_token, manager_token)
    return SwarmAnswer("c", VersionAnswer(3), "", "", ClusterSpecAnswer(), join_tokens=tokens)


def a_stored_file(id: str, name: str, labels: dict[str, str] | None = None) -> StoredFileAnswer:
    """A secret or a config as GET /secrets/{id} answers it."""
    return StoredFileAnswer(id, VersionAnswer(), "", "", StoredFileSpecAnswer(name, labels or {}))
