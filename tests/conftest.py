"""What all tests share: a clean machine afterwards, and one lab of three hosts for whatever needs real ones."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# Imported early: hypothesis imports it while a test fails, and CPython 3.11 can die there when grpc objects are
# collected at that moment ("AST constructor recursion depth mismatch").
import hypothesis.internal.observability  # noqa: F401
import pytest

from deploy.demo.image import build
from deploy.lab import lab as labs
from tests import processes
from tests.e2e.world import IMAGE, World

LAB = os.environ.get("ARGOSY_TEST_LAB", "e2e")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
OPTIONS = ["--node-generic-resource", "gpu=one,gpu=two,ssd=3", "--docker-socket", "/var/run/docker.sock"]
"""Of every host's argosyd: things to reserve, by name and by number; and Docker's own socket."""


@pytest.fixture(scope="session", autouse=True)
def _no_cgroup_stays() -> Iterator[None]:
    """Runtimes under test share the machine's /argosy cgroup; the last one out removes it."""
    yield
    for root in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()):
        for group in (*root.glob("argosy/*"), root / "argosy"):
            with suppress(OSError):
                group.rmdir()


@pytest.fixture(scope="session", autouse=True)
def _no_process_stays() -> Iterator[None]:
    """Whatever a test, a lab or one of its hosts starts ends with it."""
    os.environ[processes.MARK] = run = f"{os.getpid()}.{time.monotonic_ns()}"
    yield
    left = processes.left_by(run, patience=10.0)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert left == {}


@pytest.fixture(scope="session", autouse=True)
def _devices_stay_devices() -> Iterator[None]:
    """Tests run as root, and what takes a device file's place breaks the whole machine."""
    yield
    assert [path for path in DEVICES if not Path(path).is_char_device()] == []


@pytest.fixture(scope="session")
def peer_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image archive whose containers make calls when they are asked (tests/e2e/app/peer.py)."""
    archive = tmp_path_factory.mktemp("image") / "peer.tar"
    build(archive, IMAGE, Path(__file__).parent / "e2e" / "app")
    return archive


@pytest.fixture(scope="session")
def world(peer_image: Path) -> Iterator[World]:
    """One lab: m1, w1, w2, with the image loaded. Tests leave it as they found it."""
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
