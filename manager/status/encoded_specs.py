"""Specs of the state in the JSON form of answers, encoded once. Pure.

A list repeats the same spec for every task of a revision, and most specs are read again before they change. So each
is encoded when it is first needed, and cached as long as the state has it.
"""

from __future__ import annotations

from msgspec import Raw

from api.codec import shown_json
from api.engine.services import shown_service_spec, shown_task_spec
from api.objects.decided import Revision
from api.objects.kinds import REVISION, SERVICE
from api.objects.wanted import Service
from api.service.service_spec import ServiceSpec, TaskSpec
from manager.store.state import Event, State


class EncodedSpecs:
    """An index of the state."""

    def __init__(self, state: State) -> None:
        # key: id() of the spec; the spec itself is stored beside its JSON, so no other object can get the same id()
        self._services: dict[int, tuple[ServiceSpec, Raw]] = {}
        self._tasks: dict[int, tuple[TaskSpec, Raw]] = {}

    def follow(self, event: Event) -> None:
        """Drop the JSON of a spec that a change has removed from the state."""
        if event.kind in (SERVICE, REVISION) and isinstance(event.old, Service | Revision):
            self._services.pop(id(event.old.spec), None)
            self._tasks.pop(id(event.old.spec.task_template), None)

    def of_service(self, spec: ServiceSpec) -> Raw:
        """The JSON of a service's spec that is in the state."""
        kept = self._services.get(id(spec))
        if kept is None:
            kept = self._services[id(spec)] = spec, shown_json(shown_service_spec(spec))
        return kept[1]

    def of_task(self, spec: TaskSpec) -> Raw:
        """The JSON of a task's spec that is in the state."""
        kept = self._tasks.get(id(spec))
        if kept is None:
            kept = self._tasks[id(spec)] = spec, shown_json(shown_task_spec(spec))
        return kept[1]
