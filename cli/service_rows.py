"""The rows of `service ls` and `stack services`."""

from __future__ import annotations

from collections.abc import Iterable

from cli.output import Row
from cli.text import short_id
from cli.views import Service

COLUMNS = {
    "ID": "ID",
    "Name": "NAME",
    "Mode": "MODE",
    "Replicas": "REPLICAS",
    "Image": "IMAGE",
    "Ports": "PORTS",
}


def service_rows(services: Iterable[Service]) -> list[Row]:
    """Rows by name."""
    return [_row(service) for service in sorted(services, key=lambda service: service.spec.name)]


def mode_of(service: Service) -> str:
    """The mode's name on the command line."""
    mode = service.spec.mode
    if mode.global_ is not None:
        return "global"
    if mode.global_job is not None:
        return "global job"
    return "replicated job" if mode.replicated_job is not None else "replicated"


def _row(service: Service) -> Row:
    return {
        "ID": short_id(service.id),
        "Name": service.spec.name,
        "Mode": mode_of(service),
        "Replicas": _replicas(service),
        "Image": service.spec.task_template.container_spec.image.partition("@")[0],
        "Ports": ", ".join(
            f"*:{port.published_port}->{port.target_port}/{port.protocol}"
            for port in service.endpoint.ports or []
            if port.publish_mode == "ingress"
        ),
    }


def _replicas(service: Service) -> str:
    status = service.service_status
    if status is None:
        return ""
    text = f"{status.running_tasks}/{status.desired_tasks}"
    mode = service.spec.mode
    if mode.replicated_job is not None or mode.global_job is not None:
        job = mode.replicated_job
        total = job.total_completions if job and job.total_completions is not None else 1
        if mode.global_job is not None:
            total = status.desired_tasks + status.completed_tasks
        text += f" ({status.completed_tasks}/{total} completed)"
    placement = service.spec.task_template.placement
    if placement and placement.max_replicas:
        text += f" (max {placement.max_replicas} per node)"
    return text
