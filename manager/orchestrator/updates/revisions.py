"""Revisions: which one of a service is in force, and which older ones are kept.

Users set `Service.revision`; the leader puts revisions in force (`ServiceDecision.revision`). The two differ only after
an automatic rollback, until the user changes the service, and while the wanted one waits for other services.
"""

from __future__ import annotations

from msgspec.structs import replace

from api.objects.decided import Revision, ServiceDecision, UpdateStatus  # fmt: skip
from api.objects.kinds import REVISION, SERVICE_DECISION, revision_id
from api.objects.wanted import Service
from manager.orchestrator.slots.service_pass import ServicePass
from manager.orchestrator.updates.dependencies import starts_tasks, unmet
from manager.orchestrator.updates.rolling_update import PAUSED, UPDATING
from manager.plan import PlanBuilder


def bring_into_force(builder: PlanBuilder, service: Service) -> ServiceDecision:
    """Store the wanted revision, and put it in force if it is new. Returns the service's decision."""
    state = builder.state
    if service.revision not in state.revisions_of(service.id):
        kept = Revision(service.id, service.revision, service.spec, builder.now)
        builder.put(REVISION, revision_id(service.id, service.revision), kept)
    old = state.service_decisions.get(service.id)
    if old is not None and old.wanted == service.revision and not old.held:
        return old
    new = _waiting(builder, old, service)
    builder.put(SERVICE_DECISION, service.id, new)
    return new


def _waiting(builder: PlanBuilder, old: ServiceDecision | None, service: Service) -> ServiceDecision:
    """The wanted revision in force, unless it has to wait for other services (dependencies.py)."""
    state, waiting = builder.state, None
    if service.spec.depends_on and not service.rollback:
        waiting = unmet(state, service.spec)
    if old is None or old.held:
        new = old if old and old.wanted == service.revision else _enforced(old, service, builder.now)
        return replace(new, waiting=waiting, held=waiting is not None)
    if waiting is not None and starts_tasks(state, service, old):
        return replace(old, waiting=waiting)
    return _enforced(old, service, builder.now)


def prune(service_pass: ServicePass) -> None:
    """Delete unused revisions beyond the history."""
    service_id, decision = service_pass.service.id, service_pass.decision
    kept = service_pass.state.revisions_of(service_id)
    limit = service_pass.service.spec.kept_revisions
    if len(kept) <= limit:
        return
    used = {decision.revision, decision.wanted, decision.previous, *service_pass.slots.revisions}
    for number in sorted(kept)[:-limit]:
        if number not in used:
            service_pass.builder.delete(REVISION, revision_id(service_id, number))


def _enforced(old: ServiceDecision | None, service: Service, now: float) -> ServiceDecision:
    if old is None:
        return ServiceDecision(revision=service.revision, wanted=service.revision)
    update = None
    if service.rollback:
        update = UpdateStatus("rollback_started", now, revision=service.revision)
    return replace(
        old,
        update=update,
        revision=service.revision,
        wanted=service.revision,
        previous=old.revision if service.rollback else last_complete(old),
        waiting=None,
        held=False,
    )


def last_complete(decision: ServiceDecision) -> int:
    """The revision that a rollback from the next one returns to: the last whose update was completed.

    A revision whose update was paused or is unfinished has not proved that it works, so its predecessor remains the
    one to return to. (Swarm's PreviousSpec is the preceding spec in any case.)
    """
    update = decision.update
    unproved = update is not None and update.state in (UPDATING, PAUSED)
    return decision.previous if unproved and decision.previous else decision.revision
