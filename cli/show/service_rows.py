"""The rows of `service ls` and `stack services`, from services as the daemon shows them (plain JSON)."""

from __future__ import annotations

from api.service.mode_json import completions, kind_of
from cli.show.formatting import short_id

TYPE_CHECKING = False
if TYPE_CHECKING:  # cli/fast_path.py has no time to load typing
    from collections.abc import Iterable, Mapping
    from typing import Any

    Plain = Mapping[str, Any]
    """A ServiceAnswer (api/engine/services.py), or a part of it, as plain JSON: the schema loads too slowly."""

COLUMNS = {
    "ID": "ID",
    "Name": "NAME",
    "Mode": "MODE",
    "Replicas": "REPLICAS",
    "Image": "IMAGE",
    "Ports": "PORTS",
}


def service_rows(services: Iterable[Plain]) -> list[dict[str, str]]:
    """Rows by name."""
    return [_row(service) for service in sorted(services, key=lambda service: str(service["Spec"]["Name"]))]


def mode_of(mode: Plain) -> str:
    """A mode's name on the command line."""
    return kind_of(mode).replace("-", " ")


def _row(service: Plain) -> dict[str, str]:
    spec = service["Spec"]
    ports = service.get("Endpoint", {}).get("Ports") or []
    return {
        "ID": short_id(service["ID"]),
        "Name": spec["Name"],
        "Mode": mode_of(spec.get("Mode", {})),
        "Replicas": _replicas(service),
        "Image": spec.get("TaskTemplate", {}).get("ContainerSpec", {}).get("Image", "").partition("@")[0],
        "Ports": ", ".join(_ranges(port for port in ports if port.get("PublishMode", "ingress") == "ingress")),
    }


def _ranges(ports: Iterable[Plain]) -> list[str]:
    """Ports, those in a row as one range: "*:8080-8081->80-81/tcp"."""
    rows: list[list[tuple[str, str, int, int]]] = []
    for address, protocol, published, target in sorted(
        (port.get("HostIP") or "*", port["Protocol"], port.get("PublishedPort", 0), port["TargetPort"])
        for port in ports
    ):
        if rows and rows[-1][-1] == (address, protocol, published - 1, target - 1):
            rows[-1].append((address, protocol, published, target))
        else:
            rows.append([(address, protocol, published, target)])
    return [f"{row[0][0]}:{_span(row[0][2], row[-1][2])}->{_span(row[0][3], row[-1][3])}/{row[0][1]}" for row in rows]


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _replicas(service: Plain) -> str:
    status, spec = service.get("ServiceStatus"), service["Spec"]
    if status is None:
        return ""
    running, desired = status.get("RunningTasks", 0), status.get("DesiredTasks", 0)
    completed = status.get("CompletedTasks", 0)
    text, mode = f"{running}/{desired}", spec.get("Mode", {})
    if kind_of(mode) == "global-job":
        text += f" ({completed}/{desired + completed} completed)"
    elif (total := completions(mode)) is not None:
        text += f" ({completed}/{total} completed)"
    most = (spec.get("TaskTemplate", {}).get("Placement") or {}).get("MaxReplicas")
    return f"{text} (max {most} per node)" if most else text
