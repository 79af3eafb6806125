"""A service's kept revisions: what each was, what it changed, and which of them holds. Pure.

JSON: docs/design/http-api.md, "Argosy's own paths".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import inf
from typing import Any

from api.codec import shown
from api.engine.common import timestamp
from api.objects.decided import Revision
from api.objects.wanted import Service
from api.service.cron import next_after
from api.states import GOING, TaskState
from manager.http.services.service_answers import Json, previous_revision, spec_view
from manager.store.state import State

_BY_NAME = frozenset({"Env", "Hosts"})
"""Lists whose entries are told apart by what stands before their first "=" or space."""


def history_view(state: State, service: Service) -> Json:
    """The kept revisions, newest first."""
    kept = [revision for _, revision in sorted(_with_wanted(state, service).items())]
    specs = {revision.number: spec_view(revision.spec) for revision in kept}
    going, running = _tasks(state, service.id)
    views, before = [], None
    for place, revision in enumerate(kept):
        view: Json = {
            "Number": revision.number,
            "CreatedAt": timestamp(revision.created_at),
            "Image": revision.spec.task_template.container_spec.image,
            **_standing(state, service, revision.number),
            "Tasks": going[revision.number],
            "Running": running[revision.number],
            "Changes": [] if before is None else list(changes(specs[before], specs[revision.number])),
            "Spec": specs[revision.number],
        }
        if same := next((old.number for old in kept[:place] if old.spec == revision.spec), 0):
            view["SameAs"] = same
        views.append(view)
        before = revision.number
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


def changes(old: Any, new: Any, path: str = "") -> Iterator[Json]:
    """What differs between two specs as they are shown, field by field."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            where = f"{path}.{name}" if path else name
            if name in _BY_NAME:
                yield from _entries(old.get(name) or [], new.get(name) or [], where)
            elif name in old and name in new:
                yield from changes(old[name], new[name], where)
            elif name in old:
                yield {"Path": where, "Old": old[name]}
            else:
                yield {"Path": where, "New": new[name]}
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new) and _is_objects([*old, *new]):
        for number, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from changes(before, after, f"{path}[{number}]")
    elif old != new:
        yield {"Path": path, "Old": old, "New": new}


def _entries(old: list[str], new: list[str], path: str) -> Iterator[Json]:
    before, after = _named(old), _named(new)
    for name in [*before, *(name for name in after if name not in before)]:
        if before.get(name) != after.get(name):
            sides = {"Old": before.get(name), "New": after.get(name)}
            yield {"Path": f"{path}[{name}]", **{side: text for side, text in sides.items() if text is not None}}


def _named(entries: list[str]) -> dict[str, str]:
    return {entry.replace(" ", "=", 1).partition("=")[0]: entry for entry in entries}


def _is_objects(items: list[Any]) -> bool:
    return bool(items) and all(isinstance(item, dict) for item in items)


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
