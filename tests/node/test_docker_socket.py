"""Docker's own path: taken while it is free, never from a running daemon."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from node.http.docker_socket import DockerSocket


class Server:
    """Answers "ours" on whatever it is given."""

    def __init__(self) -> None:
        self.servers: list[asyncio.Server] = []

    async def serve(self, listener: socket.socket) -> Callable[[], Awaitable[None]]:
        server = await asyncio.start_unix_server(_answer, sock=listener)
        self.servers.append(server)

        async def stop() -> None:
            server.close()

        return stop


async def _answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"ours")
    writer.close()


async def said(path: Path) -> bytes:
    """What answers at a path; b"" for nobody."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(path))
    except (ConnectionRefusedError, FileNotFoundError):
        return b""
    try:
        return await reader.read()
    finally:
        writer.close()


def other(path: Path, *, listens: bool) -> socket.socket:
    """Another daemon's socket."""
    there = socket.socket(socket.AF_UNIX)
    there.bind(str(path))
    if listens:
        there.listen()
    return there


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "docker.sock"


@pytest.fixture
def subject(path: Path) -> DockerSocket:
    return DockerSocket(path, Server().serve, lambda draft: draft.chmod(0o660))


async def test_a_free_path_is_taken_and_given_back_at_the_end(subject: DockerSocket, path: Path) -> None:
    work = asyncio.get_running_loop().create_task(subject.run())
    async with asyncio.timeout(30):
        while not await said(path):
            await asyncio.sleep(0.01)

    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert os.listdir(path.parent) == ["docker.sock"]
    work.cancel()
    await asyncio.wait([work])
    assert os.listdir(path.parent) == []


async def test_what_a_dead_daemon_left_is_replaced(subject: DockerSocket, path: Path) -> None:
    other(path, listens=False).close()

    await subject.check()

    assert await said(path) == b"ours"


async def test_a_daemon_that_lives_keeps_its_socket(subject: DockerSocket, path: Path) -> None:
    with other(path, listens=True):
        inode = path.stat().st_ino

        await subject.check()

        assert path.stat().st_ino == inode
    await subject.check()  # it has died since
    assert await said(path) == b"ours"


async def test_one_that_came_later_keeps_its_socket_at_our_end(subject: DockerSocket, path: Path) -> None:
    work = asyncio.get_running_loop().create_task(subject.run())
    async with asyncio.timeout(30):
        while not await said(path):
            await asyncio.sleep(0.01)
    path.unlink()
    with other(path, listens=True):
        work.cancel()
        await asyncio.wait([work])
        assert path.is_socket()


async def test_a_name_taken_away_is_taken_again(subject: DockerSocket, path: Path) -> None:
    await subject.check()
    path.unlink()

    await subject.check()

    assert await said(path) == b"ours"


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.write_text("mine")], ids=["directory", "file"])
async def test_what_is_no_socket_is_left_alone(subject: DockerSocket, path: Path, make: Callable[[Path], None]) -> None:
    make(path)

    await subject.check()

    assert path.exists()
    assert not path.is_socket()
