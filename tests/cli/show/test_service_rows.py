"""The rows of `service ls`."""

from __future__ import annotations

import json

from api.codec import encode
from api.engine.services import EndpointAnswer, PortAnswer, ServiceStatusAnswer
from api.service.container import ContainerSpec
from api.service.mode import Mode, ReplicatedJob
from api.service.placement import Placement
from api.service.service_spec import ServiceSpec, TaskSpec
from cli.show.service_rows import service_rows
from tests.cli.answers import a_service


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


def test_rows_show_what_the_schema_has() -> None:
    """Rows are made from plain JSON, so nothing else would notice a field that is called otherwise."""
    ports = [PortAnswer(target_port=80, published_port=8080)]
    template = TaskSpec(ContainerSpec("demo:1@sha256:x"), placement=Placement(max_replicas=2))
    spec = ServiceSpec("web", mode=Mode(replicated_job=ReplicatedJob(1, 4)), task_template=template)
    status = ServiceStatusAnswer(1, 3, 2)
    service = a_service("s", spec, endpoint=EndpointAnswer(ports=ports), service_status=status)

    assert service_rows([json.loads(encode(service))]) == [
        {
            "ID": "s",
            "Name": "web",
            "Mode": "replicated job",
            "Replicas": "1/3 (2/4 completed) (max 2 per node)",
            "Image": "demo:1",
            "Ports": "*:8080->80/tcp",
        }
    ]
