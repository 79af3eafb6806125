"""What a node says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.node_description import describe, describe_host, image_names, repository_of
from agent.options import AgentConfig
from agent.runtime.interface import Image
from api.objects.observed import EngineDescription, NodeDescription
from api.service.resources import Reservations, Resources

CONFIG = AgentConfig("n1", "host1", Path("/none"), "192.0.2.1", manager_port=2377, labels={"disk": "ssd"})
IMAGE = Image("sha256:aa", ("reg:5000/shop/web:2", "docker.io/library/web:1"), ("docker.io/library/web@sha256:dd",))


def test_a_description_has_sizes_in_dockers_units_and_every_name_of_an_image() -> None:
    assert describe(CONFIG, [IMAGE], 4, 1024, "x86_64") == NodeDescription(
        hostname="host1",
        architecture="x86_64",
        resources=Resources(reservations=Reservations(nano_cpus=4_000_000_000, memory_bytes=1024)),
        engine=EngineDescription("", {"disk": "ssd"}),
        address="192.0.2.1",
        manager_port=2377,
        images=[
            "docker.io/library/web:1",
            "docker.io/library/web@sha256:aa",
            "docker.io/library/web@sha256:dd",
            "reg:5000/shop/web:2",
            "reg:5000/shop/web@sha256:aa",
            "sha256:aa",
        ],
        tags={"docker.io/library/web:1": "sha256:dd", "reg:5000/shop/web:2": "sha256:aa"},
    )


def test_two_tags_of_one_name_are_told_apart() -> None:
    images = [Image("sha256:aa", ("reg/web:1",), ()), Image("sha256:bb", ("reg/web:2",), ())]
    assert describe(CONFIG, images, 1, 1, "x86_64").tags == {"reg/web:1": "sha256:aa", "reg/web:2": "sha256:bb"}


def test_an_image_without_a_name_is_known_by_its_id() -> None:
    assert list(image_names(Image("sha256:aa", (), ()))) == ["sha256:aa"]


@pytest.mark.parametrize(
    ("reference", "repository"),
    [("web", "web"), ("web:1", "web"), ("r:5000/web", "r:5000/web"), ("r:5000/web:1@sha256:aa", "r:5000/web")],
)
def test_repository_of(reference: str, repository: str) -> None:
    assert repository_of(reference) == repository


def test_this_machine_has_processors_and_memory() -> None:
    resources = describe_host(CONFIG, []).resources

    assert resources
    assert resources.reservations
    assert resources.reservations.nano_cpus >= 1_000_000_000
    assert resources.reservations.memory_bytes > 2**27
