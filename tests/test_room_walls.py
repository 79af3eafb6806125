"""The contract that keeps rooms' walls."""

from __future__ import annotations

from grimp import ImportGraph

from tests.room_walls import reaches

PUBLIC = {"agent": {"runtime"}, "agent.runtime": {"interface", "logs"}, "agent.runtime.logs": {"log_file"}}


def found(*imports: tuple[str, str]) -> list[tuple[str, str, str]]:
    graph = ImportGraph()
    for module in {name for pair in imports for name in pair}:
        graph.add_module(module)
    for importer, imported in imports:
        graph.add_import(importer=importer, imported=imported)
    return sorted(reaches(graph, {"agent"}, lambda room: PUBLIC.get(room, set())))


def test_inside_a_room_everything_is_open() -> None:
    assert found(("agent.runtime.logs.log_file", "agent.runtime.logs.log_format")) == []
    assert found(("agent.runtime.logs.log_format", "agent.runtime.secret")) == []


def test_from_outside_only_what_is_public() -> None:
    assert found(("node.daemon", "agent.runtime.logs.log_file")) == []
    assert found(("node.daemon", "agent.runtime.secret")) == [("node.daemon", "agent.runtime.secret", "agent.runtime")]
    assert found(("agent.runtime.oci", "agent.runtime.logs.log_format")) == [
        ("agent.runtime.oci", "agent.runtime.logs.log_format", "agent.runtime.logs")
    ]


def test_a_room_that_is_not_public_hides_its_files() -> None:
    assert found(("node.daemon", "agent.http.routes"))[0] == ("node.daemon", "agent.http.routes", "agent")


def test_rooms_without_walls_are_open() -> None:
    assert found(("agent.runtime.interface", "api.errors")) == []
