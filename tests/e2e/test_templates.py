"""Templates in a service's spec are expanded on the host of each task, and names in DNS are the expanded ones."""

from __future__ import annotations

from tests.e2e.world import World


def test_each_task_has_its_own_hostname_environment_and_volume(world: World) -> None:
    world.argosy(
        "service", "create", "--name", "tmpl", "--replicas", "2", "--replicas-max-per-node", "1", "-p", "8261:8000",
        "--hostname", "{{.Service.Name}}-{{.Task.Slot}}", "--env", "GREETING=from {{.Node.Hostname}} {{.Task.Slot}}",
        "--mount", "type=volume,source=tmpl-{{.Task.Slot}},target=/data", "argosy-peer:1", "python3", "peer.py",
    )  # fmt: skip
    try:
        tasks = world.until_running("tmpl", 2)
        expected = {(f"tmpl-{t['Slot']}", f"from {world.host_of(t)} {t['Slot']}") for t in tasks}
        found: set[tuple[str, str]] = set()

        def all_seen() -> bool:
            answer = world.ask("m1", 8261)
            found.add((answer["host"], answer["greeting"]))
            return found >= expected

        world.until(all_seen)
        assert found == expected
        for task in tasks:
            volumes = world.api("/volumes", host=world.host_of(task))["Volumes"]
            assert f"tmpl-{task['Slot']}" in {volume["Name"] for volume in volumes}
    finally:
        world.argosy("service", "rm", "tmpl")


def test_a_template_that_means_nothing_is_refused_with_its_place(world: World) -> None:
    said = world.argosy("service", "create", "--name", "bad", "--env", "A={{.Node.Nam}}", "argosy-peer:1", code=1)
    assert "Env[0]: template {{.Node.Nam}}: there is no .Node.Nam" in said
