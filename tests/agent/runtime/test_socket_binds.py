"""A container that binds the daemon's socket has the new one after the daemon began anew."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from agent.runtime.containers.socket_binds import SocketBinds
from agent.runtime.interface import Image
from agent.runtime.oci_runtime import OciRuntime
from api.service.container import Mount
from tests.agent.runtime.calls import PYTHON, mounts, usable
from tests.agent.runtime.hosts import plan, run

pytestmark = [pytest.mark.root, pytest.mark.skipif(not usable(), reason="needs the host's /usr/bin/python3")]
CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"


def listening(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    found = socket.socket(socket.AF_UNIX)
    found.bind(str(path))
    found.listen()
    return found


async def test_a_bound_socket_follows(runtime: OciRuntime, image: Image, root: Path) -> None:
    """Also through a link in the container, read-only as it was, and one mount for one."""
    path = root / "docker.sock"
    bound = Mount(type="bind", source=str(path), target="/run/api.sock", read_only=True)
    connect = [PYTHON, "-c", CONNECT, "/run/api.sock"]
    binds = SocketBinds(runtime, [path])
    with listening(path):
        id = await run(runtime, plan(image, "t", "sleep", "1000", mounts=[bound, *mounts()]))
        assert (await runtime.exec(id, connect, 30.0)).code == 0
        await binds.look()
        before = (await runtime.exec(id, ["cat", "/proc/self/mountinfo"], 30.0)).text.count(b"api.sock")

    for _ in range(2):
        with listening(path):
            assert b"refused" in (await runtime.exec(id, connect, 30.0)).text

            await binds.look()

            assert (await runtime.exec(id, connect, 30.0)).text == b""
            found = (await runtime.exec(id, ["cat", "/proc/self/mountinfo"], 30.0)).text
            assert found.count(b"api.sock") == before == 1
            assert b"/run/api.sock ro" in found


async def test_other_sockets_are_left_alone(runtime: OciRuntime, image: Image, root: Path) -> None:
    path = root / "other.sock"
    bound = Mount(type="bind", source=str(path), target="/run/api.sock")
    with listening(path):
        id = await run(runtime, plan(image, "t", "sleep", "1000", mounts=[bound, *mounts()]))
    with listening(path):
        await SocketBinds(runtime, [root / "docker.sock"]).look()

        done = await runtime.exec(id, [PYTHON, "-c", CONNECT, "/run/api.sock"], 30.0)

    assert b"refused" in done.text
