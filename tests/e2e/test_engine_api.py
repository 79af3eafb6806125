"""What the API answers has the fields and types that the Engine API's description gives them."""

from __future__ import annotations

from typing import Any

from tests.e2e.openapi import faults
from tests.e2e.world import World

EARLIER = (
    "/images/{name}/json.Parent",
    "/info.BridgeNf",
    "/networks[].Containers",
    "/system/df.",
    "/tasks[].NetworksAttachments[].Network.",
    "/tasks/{id}.NetworksAttachments[].Network.",
)
"""What the description (1.56) leaves out: fields of earlier versions, which the clients of today read, and the task's
networks, which it gives another form than dockerd does (moby, api/types/swarm/network.go)."""


def test_answers_are_as_the_engine_api_describes_them(world: World) -> None:
    world.argosy("network", "create", "described")
    world.argosy("secret", "create", "described", "-", stdin="x")
    world.argosy("config", "create", "described", "-", stdin="x")
    world.argosy(
        *("service", "create", "--name", "described", "--mode", "global", "--network", "described"),
        *("--secret", "described", "--config", "described", "--publish", "8499:8000", "--env", "A=b", "--label", "a=b"),
        *("--container-label", "c=d", "--limit-memory", "64m", "--hostname", "{{.Node.Hostname}}"),
        *("--mount", "type=volume,source=described,target=/data", "--update-parallelism", "2"),
        *("--restart-condition", "any", "argosy-peer:1", "python3", "peer.py"),
    )
    try:
        found = [fault for path, answer in answers(world) for fault in faults(path, answer)]
        found = [fault for fault in found if not fault.startswith(EARLIER)]
    finally:
        world.argosy("service", "rm", "described")
        world.until(lambda: world.argosy("network", "rm", "described"))
        for kind in ("secret", "config"):
            world.argosy(kind, "rm", "described")
    assert not found, "\n".join(sorted(set(found)))


def answers(world: World) -> list[tuple[str, Any]]:
    """Every path that lists or shows something, with what it answers."""
    lists = {path: world.api(path) for path in ("/nodes", "/services", "/tasks", "/networks", "/secrets", "/configs")}
    lists["/services"] = world.api("/services?status=1")
    lists["/containers/json"] = world.api("/containers/json?all=1&size=1")
    lists["/images/json"] = world.api("/images/json")
    shown = [(path, world.api(path)) for path in ("/info", "/version", "/swarm", "/system/df", "/volumes")]
    for path, members in lists.items():
        assert members, path
        name = "name" if path == "/images/json" else "id"
        one = path.removesuffix("/json") + f"/{{{name}}}" + ("/json" if path.endswith("/json") else "")
        shown.append((path, members))
        for member in members:
            id = member.get("ID") or member["Id"]
            shown.append((one, world.api(one.replace(f"{{{name}}}", id))))
    shown.append(("/volumes/{name}", world.api("/volumes/described")))
    return shown
