"""When tasks are the same, and what differs between two specs."""

from __future__ import annotations

from msgspec.structs import replace

from api.service.container import ContainerSpec, Mount
from api.service.equality import Difference, differences, task_fingerprint
from api.service.host_config import Device, HostConfig
from api.service.placement import Placement, Platform, Preference, SpreadOver
from api.service.ports import EndpointSpec, PortConfig
from api.service.service_spec import ServiceSpec, TaskSpec

LINUX = [Platform("amd64", "linux")]


def test_fields_are_named_by_their_paths_and_absent_ones_are_none() -> None:
    old = ServiceSpec("web", task_template=TaskSpec(ContainerSpec("demo:1", env=["X=1", "Y=2"], args=["a"])))
    new = ServiceSpec("web", task_template=TaskSpec(ContainerSpec("demo:2", env=["Y=3", "Z=4"], args=["a", "b"])))

    path = "TaskTemplate.ContainerSpec"
    assert differences(old, new) == [
        Difference(f"{path}.Args", ["a"], ["a", "b"]),
        Difference(f"{path}.Env[X]", "1", None),
        Difference(f"{path}.Env[Y]", "2", "3"),
        Difference(f"{path}.Env[Z]", None, "4"),
        Difference(f"{path}.Image", "demo:1", "demo:2"),
    ]
    assert differences(old, old) == []


def test_entries_are_named_by_what_tells_them_apart_and_else_by_their_place() -> None:
    old = ContainerSpec(
        hosts=["10.0.0.1 db"],
        mounts=[Mount(target="/a", source="x")],
        host_config=HostConfig(devices=[Device("/dev/a")]),
    )
    new = ContainerSpec(
        hosts=["10.0.0.1 db more", "10.0.0.1 also"],
        mounts=[Mount(target="/b"), Mount(target="/a", source="y")],
        host_config=HostConfig(devices=[Device("/dev/b")]),
    )

    assert differences(old, new) == [
        Difference("HostConfig.Devices[0].PathOnHost", "/dev/a", "/dev/b"),
        Difference("Hosts[10.0.0.1#2]", None, "also"),
        Difference("Hosts[10.0.0.1]", "db", "db more"),
        Difference("Mounts[/a].Source", "x", "y"),
        Difference("Mounts[/b].Target", None, "/b"),
    ]


def test_tasks_are_of_the_template_and_the_ports_of_their_hosts() -> None:
    spec = ServiceSpec("web", task_template=TaskSpec(ContainerSpec("demo:1")))
    mesh, host = PortConfig(target_port=80), PortConfig(target_port=80, publish_mode="host")

    same = [
        replace(spec, labels={"a": "b"}),
        replace(spec, endpoint_spec=EndpointSpec(ports=[mesh])),
        spec.scaled(7),
    ]
    others = [
        replace(spec, endpoint_spec=EndpointSpec(ports=[host])),
        replace(spec, task_template=replace(spec.task_template, force_update=1)),
    ]
    assert all(task_fingerprint(one) == task_fingerprint(spec) for one in same)
    assert all(task_fingerprint(one) != task_fingerprint(spec) for one in others)


def test_of_a_placement_only_platforms_make_other_tasks() -> None:
    def placed(placement: Placement | None) -> ServiceSpec:
        return ServiceSpec(task_template=TaskSpec(placement=placement))

    plain = task_fingerprint(placed(None))
    assert task_fingerprint(placed(Placement(constraints=["node.role == worker"], max_replicas=1))) == plain
    assert task_fingerprint(placed(Placement(preferences=[Preference(SpreadOver("node.labels.a"))]))) == plain
    assert task_fingerprint(placed(Placement(platforms=LINUX))) != plain
