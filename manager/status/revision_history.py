"""A service's kept revisions: what each was, what it changed, and which of them holds. Pure.

JSON: docs/design/http-api.md, "Argosy's own paths".
"""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import Any

from api.codec import shown
from api.engine.common import timestamp
from api.engine.services import shown_service_spec
from api.objects.decided import Revision
from api.objects.wanted import Service
from api.service.cron import next_after
from api.service.equality import differences
from api.states import GOING, TaskState
from manager.status.service_counts import previous_revision
from manager.store.state import State

Json = dict[str, Any]


def history_view(state: State, service: Service) -> Json:
    """The kept revisions, newest first."""
    kept = [revision for _, revision in sorted(_with_wanted(state, service).items())]
    going, running = _tasks(state, service.id)
    views: list[Json] = []
    before: Revision | None = None
    for place, revision in enumerate(kept):
        view: Json = {
            "Number": revision.number,
            "CreatedAt": timestamp(revision.created_at),
            "Image": revision.spec.task_template.container_spec.image,
            **_standing(state, service, revision.number),
            "Tasks": going[revision.number],
            "Running": running[revision.number],
            "Changes": [] if before is None else _changes(before, revision),
            "Spec": shown_service_spec(revision.spec),
        }
        if same := next((old.number for old in kept[:place] if old.spec == revision.spec), 0):
            view["SameAs"] = same
        views.append(view)
        before = revision
    return {"ServiceID": service.id, "ServiceName": service.spec.name, "Revisions": views[::-1]}


def runs_view(state: State, service: Service, now: float) -> Json:
    """A scheduled job's kept runs, newest first, and when the next one is due."""
    schedule, decision = service.spec.job_schedule(), state.service_decisions.get(service.id)
    view: Json = {"ServiceID": service.id, "ServiceName": service.spec.name, "Runs": []}
    if schedule is not None:
        view["Schedule"] = shown(schedule)
        if (at := next_after(schedule, now)) < inf and not schedule.suspend:
            view["NextAt"] = timestamp(at)
    for run in reversed(decision.runs if decision else []):
        times = {"DueAt": run.due_at, "StartedAt": run.started_at, "EndedAt": run.ended_at}
        view["Runs"].append({
            "Number": run.number, "Outcome": run.outcome, "Revision": run.revision, "Total": run.total,
            **{name: timestamp(time) for name, time in times.items() if time},
        })  # fmt: skip
    return view


def kept_revision(state: State, service: Service, number: int) -> Revision | None:
    """One of a service's revisions, if it is kept."""
    return _with_wanted(state, service).get(number)


def _changes(old: Revision, new: Revision) -> list[Json]:
    """Field by field; a side is left out where the field is not there."""
    found = []
    for change in differences(old.spec, new.spec):
        sides = {"Old": change.old, "New": change.new}
        found.append({"Path": change.path, **{side: value for side, value in sides.items() if value is not None}})
    return found


def _with_wanted(state: State, service: Service) -> dict[int, Revision]:
    """The kept revisions, and the wanted one even if the leader has not taken it up yet."""
    wanted = Revision(service.id, service.revision, service.spec, service.updated_at)
    return {wanted.number: wanted, **state.revisions_of(service.id)}


def _standing(state: State, service: Service, number: int) -> Json:
    decision, previous = state.service_decisions.get(service.id), previous_revision(state, service)
    return {
        "InForce": number == (decision.revision if decision else service.revision),
        "Wanted": number == service.revision,
        "Previous": previous is not None and number == previous.number,
    }


def _tasks(state: State, service_id: str) -> tuple[Counter[int], Counter[int]]:
    going: Counter[int] = Counter()
    running: Counter[int] = Counter()
    for task in state.tasks_of(service_id).values():
        if task.desired in GOING:
            going[task.revision] += 1
            running[task.revision] += state.task_state(task) is TaskState.RUNNING
    return going, running
