"""Specs that mean the same are the same in their canonical form."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from api.service.canonical import canonical, comparable
from api.service.container import ConfigReference, ContainerSpec, FileTarget, Healthcheck, Mount, SecretReference
from api.service.host_config import HostConfig
from api.service.placement import Placement, Platform
from api.service.ports import EndpointSpec, PortConfig
from api.service.resources import Limits, Reservations, Resources
from api.service.schedule import Schedule
from api.service.service_spec import Dependency, NetworkTarget, RestartPolicy, ServiceSpec, TaskSpec, UpdateConfig

PLAIN = ServiceSpec("web", task_template=TaskSpec(ContainerSpec("demo")))


def web(container: ContainerSpec, **task: Any) -> ServiceSpec:
    return ServiceSpec("web", task_template=TaskSpec(container, **task))


@pytest.mark.parametrize(
    "spec",
    [
        web(ContainerSpec("demo:latest")),
        web(ContainerSpec("docker.io/library/demo:latest"), runtime="container"),
        web(ContainerSpec("demo", healthcheck=Healthcheck(), isolation="default")),
        web(ContainerSpec("demo", host_config=HostConfig(), pull_policy="missing")),
        web(ContainerSpec("demo"), resources=Resources(Limits(), Reservations())),
        web(ContainerSpec("demo"), restart_policy=RestartPolicy(), placement=Placement()),
        replace(PLAIN, endpoint_spec=EndpointSpec("vip")),
        PLAIN.scaled(1),
    ],
)
def test_what_means_the_same_is_stored_the_same(spec: ServiceSpec) -> None:
    assert canonical(spec) == canonical(PLAIN)
    assert canonical(canonical(spec)) == canonical(spec)


def test_what_is_said_stays_and_stands_in_one_place() -> None:
    networks, ports = [NetworkTarget("b"), NetworkTarget("a")], [PortConfig(target_port=80, host_ip="0.0.0.0")]
    container = ContainerSpec("demo", mounts=[Mount(target="/b"), Mount(target="/a")], platform="linux/arm64/v8")
    spec = canonical(
        ServiceSpec(
            "web",
            task_template=TaskSpec(container, Resources(Limits(pids=5)), RestartPolicy(max_attempts=2)),
            update_config=UpdateConfig(delay=1),
            networks=networks,
            endpoint_spec=EndpointSpec(ports=ports),
            depends_on=[Dependency("z"), Dependency("y")],
        )
    )

    task = spec.task_template
    assert (spec.networks, task.networks) == ([], networks)
    assert [mount.target for mount in task.container_spec.mounts] == ["/a", "/b"]
    assert task.resources == Resources(Limits(pids=5))
    assert task.restart_policy == RestartPolicy("any", max_attempts=2)
    assert task.placement == Placement(platforms=[Platform("arm64", "linux")])
    assert spec.update_config == UpdateConfig(delay=1, failure_action="pause", order="stop-first")
    assert spec.endpoint_spec == EndpointSpec("vip", [PortConfig(target_port=80)])
    assert [item.service for item in spec.depends_on] == ["y", "z"]


def test_compared_are_names_and_not_ids_and_no_order() -> None:
    def spec(networks: list[str], env: list[str], secret_id: str, config_id: str) -> ServiceSpec:
        container = ContainerSpec(
            "demo",
            env=env,
            secrets=[SecretReference(FileTarget("s"), secret_id, "key")],
            configs=[ConfigReference(FileTarget("c"), config_id, "settings")],
        )
        return ServiceSpec("web", task_template=TaskSpec(container, networks=[NetworkTarget(one) for one in networks]))

    names = {"id1": "front", "id2": "back"}
    stored = spec(["id1", "id2"], ["A=1", "B=2"], "s1", "c1")
    in_the_file = spec(["back", "front"], ["B=2", "A=1"], "", "")

    assert comparable(stored, names) == comparable(in_the_file, {})
    assert comparable(PLAIN, {}).endpoint_spec == EndpointSpec("vip")
    assert comparable(ServiceSpec(schedule=Schedule()), {}).schedule is None
