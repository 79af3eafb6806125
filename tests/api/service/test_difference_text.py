"""Differences of specs, as people read them."""

from __future__ import annotations

import pytest

from api.service.container import ContainerSpec, Mount
from api.service.difference_text import difference_line
from api.service.equality import differences
from api.service.ports import EndpointSpec, PortConfig
from api.service.resources import Limits

Container = ContainerSpec


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        (Container(image="a"), Container(image="a"), []),
        (Container(image="a"), Container(image="b"), ["Image: a → b"]),
        (Container(), Container(init=False), ["Init: (none) → false"]),
        (Container(env=["A=1", "B=2"]), Container(env=["B=2", "A=3"]), ["Env[A]: 1 → 3"]),
        (Container(env=["A=1"]), Container(env=[]), ["Env[A]: 1 → (none)"]),
        (Container(args=["a"]), Container(args=["a", "b"]), ['Args: ["a"] → ["a", "b"]']),
        (
            Container(mounts=[Mount(target="/a", source="x"), Mount(target="/b")]),
            Container(mounts=[Mount(target="/b"), Mount(target="/a", source="y")]),
            ["Mounts[/a].Source: x → y"],
        ),
        (
            Container(stop_grace_period=10 * 10**9),
            Container(stop_grace_period=90 * 10**9),
            ["StopGracePeriod: 10s → 1m30s"],
        ),
        (
            Limits(500_000_000, 64 << 20),
            Limits(),
            ["MemoryBytes: 64M → (none)", "NanoCPUs: 0.5 → (none)"],
        ),
        (Container(labels={"a": "1"}), Container(labels={"a": ""}), ['Labels.a: 1 → ""']),
        (
            EndpointSpec(ports=[PortConfig(target_port=80)]),
            EndpointSpec(ports=[PortConfig(target_port=80, published_port=8080)]),
            ["Ports[80/tcp].PublishedPort: (none) → 8080"],
        ),
        (
            EndpointSpec(ports=[PortConfig(target_port=80)] * 2),
            EndpointSpec(ports=[PortConfig(target_port=80)]),
            ["Ports[80/tcp#2].TargetPort: 80 → (none)"],
        ),
    ],
)  # fmt: skip
def test_fields_are_told_by_what_names_them(old: object, new: object, lines: list[str]) -> None:
    assert [difference_line(change) for change in differences(old, new)] == lines


def test_long_values_are_cut() -> None:
    (found,) = differences(Container(image="a"), Container(image="b" * 500))
    assert len(difference_line(found)) < 150


def test_values_that_came_as_json_are_compared_by_value() -> None:
    from api.codec import decode

    said = decode(EndpointSpec, '{"Ports": [{"Protocol": "tcp", "TargetPort": 80, "PublishMode": "ingress"}]}')
    assert differences(said, EndpointSpec(ports=[PortConfig(target_port=80)])) == []
