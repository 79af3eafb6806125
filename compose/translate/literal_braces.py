"""Phase 13: escape braces that belong to another program, because the cluster expands templates in some fields.

Docker Compose expands no templates, so files often contain such braces: topics of a message broker, formats of a log
shipper. They are escaped so that they expand to themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from msgspec import structs

from api.service.templates import is_foreign, literal, mapped
from compose.model.stack import Stack, StackService

NOTE = "holds {{…}} that says nothing of a service, node or task: it stays as it is"


def escaped(stack: Stack) -> Stack:
    """The stack with all such braces escaped."""
    return replace(stack, services=tuple(map(_escaped, stack.services)))


def services_with_literals(stack: Stack) -> Iterator[str]:
    """Short names of the services that contain such braces."""
    return (new.short_name for old, new in zip(stack.services, escaped(stack).services, strict=True) if old != new)


def _escaped(service: StackService) -> StackService:
    task = service.spec.task_template
    container = mapped(task.container_spec, lambda text: literal(text) if is_foreign(text) else text)
    if container == task.container_spec:
        return service
    task = structs.replace(task, container_spec=container)
    return replace(service, spec=structs.replace(service.spec, task_template=task))
