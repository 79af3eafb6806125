"""What a host says of itself, and who gets secrets by it. Pure.

Ids, roles and node labels are given by managers; host names, addresses, platforms, engine labels and generic resources
are what a host says, and one that lies is given the tasks that are placed by them.
"""

from __future__ import annotations

from api.errors import Invalid
from api.reasons.reason import Code, Reason, reason
from api.reasons.reason_text import text
from api.reasons.remedies import remedy
from api.service.placement import parse
from api.service.service_spec import ServiceSpec

CONFIRMED = ("node.id", "node.role", "node.labels.")
"""Prefixes of constraint keys whose values were given by a manager."""


def self_declared(spec: ServiceSpec) -> list[str]:
    """The properties by which the spec chooses hosts and that hosts claim themselves, in order."""
    placement, resources = spec.task_template.placement, spec.task_template.resources
    keys: list[str] = []
    for expression in placement.constraints if placement else ():
        try:
            keys += [constraint.key for constraint in parse([expression])]
        except Invalid:
            continue  # fulfilled by no node
    chosen = [key for key in keys if not key.lower().startswith(CONFIRMED)]
    reserved = resources.reservations.generic_resources if resources and resources.reservations else []
    forms = (one.named_resource_spec or one.discrete_resource_spec for one in reserved)
    chosen += [f"generic resource {form.kind}" for form in forms if form]
    return list(dict.fromkeys(chosen))


def secrets_reason(spec: ServiceSpec) -> Reason | None:
    """What is wrong with a service whose secrets go where hosts say of themselves that they should; None: nothing."""
    if not spec.task_template.container_spec.secrets or not (chosen := self_declared(spec)):
        return None
    return reason(Code.SECRETS_BY_DECLARATION, keys=", ".join(chosen))


def secrets_warning(spec: ServiceSpec) -> str:
    """The same as a sentence, with what helps; "" for nothing."""
    why = secrets_reason(spec)
    return f"{text(why)}: {remedy(why)}" if why else ""
