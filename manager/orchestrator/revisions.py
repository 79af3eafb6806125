"""Which revision of a service is in force, and which older ones are kept.

Users want (`Service.revision`); the leader puts in force (`ServiceDecision.revision`). The two differ only after an
automatic rollback, until the user wants something new.
"""

from __future__ import annotations

from api import defaults
from api.objects import (
    REVISION,
    SERVICE_DECISION,
    Revision,
    Service,
    ServiceDecision,
    UpdateStatus,
    revision_id,
)  # fmt: skip
from manager.draft import Draft
from manager.orchestrator.deployment import Deployment


def take_up(draft: Draft, service: Service) -> ServiceDecision:
    """Keep the wanted revision, and put it in force if it is new; what is decided of the service then."""
    state = draft.state
    if service.revision not in state.revisions_of(service.id):
        kept = Revision(service.id, service.revision, service.spec, draft.now)
        draft.put(REVISION, revision_id(service.id, service.revision), kept)
    old = state.service_decisions.get(service.id)
    if old is not None and old.wanted == service.revision:
        return old
    new = _enforced(old, service, draft.now)
    draft.put(SERVICE_DECISION, service.id, new)
    return new


def prune(deployment: Deployment) -> None:
    """Forget revisions beyond the history that nothing uses."""
    service_id, decision = deployment.service.id, deployment.decision
    kept = deployment.state.revisions_of(service_id)
    if len(kept) <= defaults.REVISION_HISTORY:
        return
    used = {decision.revision, decision.wanted, decision.previous, *deployment.slots.revisions}
    for number in sorted(kept)[: -defaults.REVISION_HISTORY]:
        if number not in used:
            deployment.draft.delete(REVISION, revision_id(service_id, number))


def _enforced(old: ServiceDecision | None, service: Service, now: float) -> ServiceDecision:
    if old is None:
        return ServiceDecision(revision=service.revision, wanted=service.revision)
    update = None
    if service.rollback:
        update = UpdateStatus("rollback_started", now, message="manually requested rollback", revision=service.revision)
    return ServiceDecision(
        vips=old.vips,
        ports=old.ports,
        message=old.message,
        update=update,
        revision=service.revision,
        wanted=service.revision,
        previous=old.revision,
    )
