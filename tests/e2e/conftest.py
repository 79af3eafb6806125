"""One lab of three hosts for all end-to-end tests, and an image that its containers run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.demo.image import build
from deploy.lab import lab as labs
from tests.e2e.world import World

LAB = os.environ.get("ARGOSY_TEST_LAB", "e2e")
IMAGE = "argosy-peer:1"
OPTIONS = ["--node-generic-resource", "gpu=one,gpu=two,ssd=3"]
"""Of every host's argosyd: things to reserve, by name and by number."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "e2e" in str(item.path):
            item.add_marker(pytest.mark.lab)


@pytest.fixture(scope="session")
def peer_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = tmp_path_factory.mktemp("image") / "peer.tar"
    build(archive, IMAGE, Path(__file__).parent / "app")
    return archive


@pytest.fixture(scope="session")
def world(peer_image: Path) -> Iterator[World]:
    if os.geteuid():
        pytest.skip("a lab needs root")
    labs.down(LAB)
    for line in labs.up(LAB, managers=1, workers=2, options=OPTIONS):
        print(line)
    world = World(labs.Lab.open(LAB))
    try:
        world.argosy("image", "load", "-i", str(peer_image))
        yield world
    finally:
        if keep := os.environ.get("ARGOSY_TEST_LOGS"):
            for host in world.hosts:
                shutil.copy(world.lab.paths.log(host), Path(keep) / f"{host}.log")
        labs.down(LAB)
