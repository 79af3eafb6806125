"""`depends_on` with real containers: the order is kept by the managers, on first deploy and on update."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.e2e.world import World

FILE = Path(__file__).parent / "stacks" / "ordered.yml"
STACK = "ordered"
ONE_SHOT = f"{STACK}_migrate"


def tasks(world: World) -> dict[str, list[dict[str, Any]]]:
    """All tasks there ever were, by service."""
    names = {s["ID"]: s["Spec"]["Name"] for s in world.api("/services", label=f"com.docker.stack.namespace={STACK}")}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names.values()}
    for task in world.api("/tasks"):
        if task["ServiceID"] in names:
            found[names[task["ServiceID"]]].append(task)
    return found


def is_up(world: World) -> bool:
    found = tasks(world)
    states = {
        name: {t["Status"]["State"] for t in own if t["DesiredState"] == "running"} for name, own in found.items()
    }
    done = {t["Status"]["State"] for t in found[ONE_SHOT]} == {"complete"}
    return done and all(own == {"running"} for name, own in states.items() if name != ONE_SHOT)


def test_six_services_start_in_order_and_none_is_started_twice(world: World) -> None:
    try:
        # nobody waits at the client: the managers keep the order
        world.argosy("stack", "deploy", "--detach", "-c", str(FILE), STACK)
        told = world.argosy("stack", "ps", "--no-trunc", "--format", "{{.Name}} {{.Error}}", STACK)
        assert f'{STACK}_web.1 "waiting for service {STACK}_api to be healthy"' in told
        world.until(lambda: is_up(world))
        ended = {task["Status"]["Err"] for own in tasks(world).values() for task in own if task["Status"].get("Err")}
        assert ended == set()
        assert {name: len(own) for name, own in tasks(world).items()} == {
            f"{STACK}_{name}": count
            for name, count in {"web": 1, "api": 2, "worker": 1, "migrate": 1, "db": 1, "cache": 1}.items()
        }

        # a dependency with `restart: true` that changes restarts what depends on it, and nothing else
        text = FILE.read_text().replace("  cache: *peer", "  cache: {<<: *peer, hostname: fresh}")
        changed = FILE.with_name("ordered-changed.yml")
        changed.write_text(text)
        try:
            plan = world.argosy("stack", "plan", "-c", str(changed), STACK)
            world.argosy("stack", "deploy", "-c", str(changed), STACK)
        finally:
            changed.unlink()
        assert f"restart: it depends on {STACK}_cache, whose tasks are replaced" in plan
        counts = {name: len(own) for name, own in tasks(world).items()}
        assert (counts[f"{STACK}_cache"], counts[f"{STACK}_api"], counts[f"{STACK}_web"]) == (2, 4, 1)
    finally:
        world.argosy("stack", "rm", STACK)
