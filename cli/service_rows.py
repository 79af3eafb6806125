"""The rows of `service ls` and `stack services`, from services as the daemon shows them (plain JSON)."""

from __future__ import annotations

from cli.text import short_id

TYPE_CHECKING = False
if TYPE_CHECKING:  # cli/quick.py has no time to load typing
    from collections.abc import Iterable, Mapping
    from typing import Any

    Json = Mapping[str, Any]

COLUMNS = {
    "ID": "ID",
    "Name": "NAME",
    "Mode": "MODE",
    "Replicas": "REPLICAS",
    "Image": "IMAGE",
    "Ports": "PORTS",
}
_MODES = {"Global": "global", "GlobalJob": "global job", "ReplicatedJob": "replicated job"}


def service_rows(services: Iterable[Json]) -> list[dict[str, str]]:
    """Rows by name."""
    return [_row(service) for service in sorted(services, key=lambda service: str(service["Spec"]["Name"]))]


def mode_of(mode: Json) -> str:
    """A mode's name on the command line."""
    return next((name for key, name in _MODES.items() if key in mode), "replicated")


def _row(service: Json) -> dict[str, str]:
    spec = service["Spec"]
    ports = service.get("Endpoint", {}).get("Ports") or []
    return {
        "ID": short_id(service["ID"]),
        "Name": spec["Name"],
        "Mode": mode_of(spec.get("Mode", {})),
        "Replicas": _replicas(service),
        "Image": spec.get("TaskTemplate", {}).get("ContainerSpec", {}).get("Image", "").partition("@")[0],
        "Ports": ", ".join(
            f"{port.get('HostIP') or '*'}:{port.get('PublishedPort', 0)}->{port['TargetPort']}/{port['Protocol']}"
            for port in ports
            if port.get("PublishMode", "ingress") == "ingress"
        ),
    }


def _replicas(service: Json) -> str:
    status, spec = service.get("ServiceStatus"), service["Spec"]
    if status is None:
        return ""
    running, desired = status.get("RunningTasks", 0), status.get("DesiredTasks", 0)
    completed = status.get("CompletedTasks", 0)
    text, mode = f"{running}/{desired}", spec.get("Mode", {})
    if "GlobalJob" in mode:
        text += f" ({completed}/{desired + completed} completed)"
    elif "ReplicatedJob" in mode:
        text += f" ({completed}/{mode['ReplicatedJob'].get('TotalCompletions', 1)} completed)"
    most = (spec.get("TaskTemplate", {}).get("Placement") or {}).get("MaxReplicas")
    return f"{text} (max {most} per node)" if most else text
