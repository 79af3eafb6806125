"""Argosy's own fields are preserved when Docker's clients update a service."""

from __future__ import annotations

from msgspec.structs import replace

from api.service.container import ContainerSpec
from api.service.ports import EndpointSpec as Endpoint
from api.service.ports import PortConfig
from api.service.schedule import Schedule
from api.service.service_spec import ServiceSpec, TaskSpec, UpdateConfig
from manager.http.services.preserved_fields import preserved

OURS = ServiceSpec(
    name="web",
    revision_history=3,
    schedule=Schedule(cron="@daily"),
    task_template=TaskSpec(container_spec=ContainerSpec(image="a:1", pull_policy="always")),
    update_config=UpdateConfig(parallelism=2, progress_deadline=5),
    endpoint_spec=Endpoint(ports=[PortConfig(target_port=80, published_port=8080, host_ip="127.0.0.1")]),
)
THEIRS = ServiceSpec(
    name="web",
    task_template=TaskSpec(container_spec=ContainerSpec(image="a:2")),
    update_config=UpdateConfig(parallelism=3),
    endpoint_spec=Endpoint(ports=[PortConfig(target_port=80, published_port=8080)]),
)


def test_what_docker_says_changes_and_what_it_cannot_say_stays() -> None:
    merged = preserved(THEIRS, OURS)

    container = replace(OURS.task_template.container_spec, image="a:2")
    assert merged == replace(
        OURS,
        task_template=TaskSpec(container_spec=container),
        update_config=UpdateConfig(parallelism=3, progress_deadline=5),
    )


def test_what_docker_takes_away_goes() -> None:
    merged = preserved(replace(THEIRS, update_config=None, endpoint_spec=None), OURS)

    assert merged.update_config is None
    assert merged.endpoint_spec is None
