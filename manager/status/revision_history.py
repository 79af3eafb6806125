"""A service's kept revisions: the spec of each, what it changed, and which one is in force. Pure.

JSON: docs/design/http-api.md, "Argosy's own paths".
"""

from __future__ import annotations

from collections import Counter
from math import inf

from api.engine.argosy import EncodedHistoryAnswer, EncodedRevisionAnswer, FieldChangeAnswer, RunAnswer, RunsAnswer
from api.engine.common import timestamp
from api.objects.decided import JobRun, Revision
from api.objects.wanted import Service
from api.service.cron import next_after
from api.service.equality import differences
from api.states import GOING, TaskState
from manager.status.encoded_specs import EncodedSpecs
from manager.status.service_counts import previous_revision
from manager.store.state import State


def history_answer(state: State, service: Service) -> EncodedHistoryAnswer:
    """The kept revisions, newest first."""
    kept = [revision for _, revision in sorted(_with_wanted(state, service).items())]
    decision, previous = state.service_decisions.get(service.id), previous_revision(state, service)
    going, running = _tasks(state, service.id)
    revisions: list[EncodedRevisionAnswer] = []
    before: Revision | None = None
    for place, revision in enumerate(kept):
        number = revision.number
        revisions.append(
            EncodedRevisionAnswer(
                number,
                timestamp(revision.created_at),
                revision.spec.task_template.container_spec.image,
                number == (decision.revision if decision else service.revision),
                number == service.revision,
                previous is not None and number == previous.number,
                going[number],
                running[number],
                [] if before is None else _changes(before, revision),
                state.index(EncodedSpecs).of_service(revision.spec),
                next((old.number for old in kept[:place] if old.spec == revision.spec), 0),
            )
        )
        before = revision
    return EncodedHistoryAnswer(service.id, service.spec.name, revisions[::-1])


def runs_answer(state: State, service: Service, now: float) -> RunsAnswer:
    """A scheduled job's kept runs, newest first, and when the next one is due."""
    schedule, decision = service.spec.job_schedule(), state.service_decisions.get(service.id)
    due = inf if schedule is None or schedule.suspend else next_after(schedule, now)
    return RunsAnswer(
        service.id,
        service.spec.name,
        schedule,
        timestamp(due) if due < inf else "",
        [_run(run) for run in reversed(decision.runs if decision else [])],
    )


def _run(run: JobRun) -> RunAnswer:
    due, started, ended = (timestamp(time) if time else "" for time in (run.due_at, run.started_at, run.ended_at))
    return RunAnswer(run.number, run.outcome, run.revision, run.total, due, started, ended)


def kept_revision(state: State, service: Service, number: int) -> Revision | None:
    """One of a service's revisions, if it is kept."""
    return _with_wanted(state, service).get(number)


def _changes(old: Revision, new: Revision) -> list[FieldChangeAnswer]:
    return [FieldChangeAnswer(change.path, change.old, change.new) for change in differences(old.spec, new.spec)]


def _with_wanted(state: State, service: Service) -> dict[int, Revision]:
    """The kept revisions, and the wanted one even if the leader has not processed it yet."""
    wanted = Revision(service.id, service.revision, service.spec, service.updated_at)
    return {wanted.number: wanted, **state.revisions_of(service.id)}


def _tasks(state: State, service_id: str) -> tuple[Counter[int], Counter[int]]:
    going: Counter[int] = Counter()
    running: Counter[int] = Counter()
    for task in state.tasks_of(service_id).values():
        if task.desired in GOING:
            going[task.revision] += 1
            running[task.revision] += state.task_state(task) is TaskState.RUNNING
    return going, running
