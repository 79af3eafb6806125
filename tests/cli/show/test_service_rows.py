"""The rows of `service ls`."""

from __future__ import annotations

from cli.show.service_rows import service_rows


def port(published: int, target: int, protocol: str = "tcp", **more: str) -> dict[str, object]:
    return {"PublishedPort": published, "TargetPort": target, "Protocol": protocol, **more}


def test_ports_in_a_row_are_one_range_as_docker_shows_them() -> None:
    ports = [
        port(8475, 85, "udp"), port(8472, 82), port(8471, 81), port(8473, 83), port(9000, 9000), port(9001, 9005),
        port(7070, 70, PublishMode="host"), port(8474, 84, HostIP="127.0.0.1"),
    ]  # fmt: skip
    (row,) = service_rows([{"ID": "s", "Spec": {"Name": "web"}, "Endpoint": {"Ports": ports}}])
    assert row["Ports"] == (
        "*:8471-8473->81-83/tcp, *:9000->9000/tcp, *:9001->9005/tcp, *:8475->85/udp, 127.0.0.1:8474->84/tcp"
    )
