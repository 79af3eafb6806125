"""Secrets and configs as versions of a stack; and stacks that are deployed again and again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.e2e.world import World

SERVICES = """
services:
  reader:
    image: argosy-peer:1
    command: [python3, -c, "import time; print(open('/note').read(), flush=True); time.sleep(3600)"]
    stop_signal: SIGKILL
    configs: [{source: note, target: /note}]
    deploy: {replicas: 2, update_config: {order: start-first}}
  other:
    image: argosy-peer:1
    command: [python3, -c, "import time; time.sleep(3600)"]
    stop_signal: SIGKILL
    secrets: [key]
    networks: [inner]
    depends_on: [reader]
    ports: ["8306:80"]
networks:
  inner:
configs:
  note: {file: note.txt}
secrets:
  key: {file: key.txt}
"""
KINDS = ("services", "networks", "secrets", "configs", "tasks")


def make(directory: Path, note: str = "first") -> str:
    """The compose file."""
    (directory / "note.txt").write_text(note)
    (directory / "key.txt").write_text("open sesame")
    (directory / "compose.yml").write_text(SERVICES)
    return str(directory / "compose.yml")


def everything(world: World) -> dict[str, Any]:
    """All objects of the cluster but its nodes, whole: with their versions, timestamps and states."""
    return {f"{kind} {item.get('ID') or item['Id']}": item for kind in KINDS for item in world.api(f"/{kind}")}


def tasks(world: World, service: str) -> set[str]:
    return {task["ID"] for task in world.tasks(service)}


def notes(world: World) -> set[str]:
    """Names of the config's versions."""
    return {item["Spec"]["Name"] for item in world.api("/configs", label="com.docker.stack.namespace=ver")}


def test_a_changed_file_rolls_its_users_only_and_a_rollback_brings_the_old_one_back(
    world: World, tmp_path: Path
) -> None:
    world.argosy("stack", "deploy", "-c", make(tmp_path), "ver")
    first, readers, others = notes(world), tasks(world, "ver_reader"), tasks(world, "ver_other")

    said = world.argosy("stack", "plan", "-c", make(tmp_path, "second"), "ver")
    world.argosy("stack", "deploy", "-c", make(tmp_path, "second"), "ver")

    (second,) = notes(world) - first
    assert f"create config {second}" in said
    assert "unchanged service ver_other" in said
    assert tasks(world, "ver_other") == others
    assert not tasks(world, "ver_reader") & readers
    (service,) = world.api("/services", name="ver_reader")
    assert service["UpdateStatus"]["State"] == "completed"
    assert said_by_tasks(world) == {"second"}

    world.argosy("service", "rollback", "ver_reader")
    assert said_by_tasks(world) == {"first"}
    assert tasks(world, "ver_other") == others
    world.argosy("stack", "rm", "ver")
    assert not notes(world)


def said_by_tasks(world: World) -> set[str]:
    """What the reader's present tasks have written."""
    running = tasks(world, "ver_reader")

    def lines() -> set[str]:
        found = [world.docker("service", "logs", "--raw", id).strip() for id in running]
        return set(found) if all(found) else set()

    return world.until(lines)


def test_deploying_again_changes_nothing_at_all(world: World, tmp_path: Path) -> None:
    world.argosy("stack", "deploy", "-c", make(tmp_path), "ver")
    before = everything(world)

    world.argosy("stack", "deploy", "-c", make(tmp_path), "ver")
    said = world.argosy("stack", "plan", "--exit-code", "-c", make(tmp_path), "ver")

    assert everything(world) == before
    assert said.splitlines() == ["unchanged service ver_reader", "unchanged service ver_other"]
    world.argosy("stack", "rm", "ver")


def test_a_stack_can_be_removed_and_deployed_back_to_back(world: World, tmp_path: Path) -> None:
    file = make(tmp_path)
    world.argosy("stack", "deploy", "-c", file, "ver")
    for _ in range(9):  # nobody waits for anything
        world.argosy("stack", "rm", "--detach", "ver")
        world.argosy("stack", "deploy", "--detach", "-c", file, "ver")
    world.argosy("stack", "rm", "ver")
    world.argosy("stack", "deploy", "-c", file, "ver")

    assert len(tasks(world, "ver_reader")) == 2
    world.argosy("stack", "rm", "ver")
    mine = "com.docker.stack.namespace=ver"
    assert not [item for kind in KINDS[:-1] for item in world.api(f"/{kind}", label=mine)]


def test_dockers_client_too_can_remove_and_deploy_back_to_back(world: World, tmp_path: Path) -> None:
    deploy = ("stack", "deploy", "--detach=true", "--resolve-image", "never", "-c", make(tmp_path), "ver")
    world.docker(*deploy)
    for _ in range(5):
        world.docker("stack", "rm", "ver")
        world.docker(*deploy)

    assert len(world.until_running("ver_reader", 2)) == 2
    assert world.until_running("ver_other", 1)
    world.docker("stack", "rm", "ver")
    mine = "com.docker.stack.namespace=ver"
    world.until(lambda: not [item for kind in KINDS for item in world.api(f"/{kind}", label=mine)])
