"""The attacker is an image: what it brings in place of files, and where its links lead."""

from __future__ import annotations

import tarfile
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from agent.runtime.base import PlannedFile, RuntimeFailure
from tests.agent.runtime.hosts import output, plan
from tests.attacks.image_tools import Victim, alive, victim, with_file
from tests.images import Link, Special, busybox_layer

pytestmark = pytest.mark.root
FIFO, ZERO = Special(tarfile.FIFOTYPE), Special(tarfile.CHRTYPE, 1, 5)


@pytest.fixture
async def host() -> AsyncIterator[Victim]:
    async with victim() as host:
        yield host


# ── what stands in the place of a file that is read ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "what", "words"),
    [
        ("etc/passwd", FIFO, "it is a FIFO, not a file"),
        ("etc/group", FIFO, "it is a FIFO, not a file"),
        ("etc/passwd", ZERO, "it is a device, not a file"),
        ("etc/passwd", None, "it is a directory, not a file"),
        ("etc/passwd", Link("loop"), "Too many levels of symbolic links"),
        ("etc/group", b"x" * (1 << 20) + b"\n", "it is larger than 1048576 bytes"),
    ],
)
async def test_what_stands_for_the_users_is_no_file(
    host: Victim, path: str, what: bytes | Link | Special | None, words: str
) -> None:
    """A FIFO kept the whole host waiting, and then the next host; a device was read without an end."""
    await host.have([busybox_layer(), {path: what, "etc/loop": Link("passwd")}])

    with pytest.raises(RuntimeFailure, match=f"cannot read /{path} of the container: {words}"):
        await host.run("true")
    assert await host.runtime.containers() == []


@pytest.mark.parametrize("target", ["/secret", "../../../../../../../../secret"])
async def test_users_are_not_those_of_the_host(host: Victim, target: str) -> None:
    """The host's own file is told of to nobody."""
    (host.root / "secret").write_text("app:x:4242:4242::/:\n")
    await host.have(with_file("etc/passwd", Link(target.replace("/secret", f"{host.root}/secret"))))

    with pytest.raises(RuntimeFailure, match="unable to find user app"):
        await host.run("id", "-u", user="app")
    assert (await host.run("id", "-u"))[1] == "0\n"


# ── where links lead ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("target", ["../../../../../..{root}/there", "/loop"])
async def test_a_working_directory_is_made_in_the_container_only(host: Victim, target: str) -> None:
    await host.have([busybox_layer(), {"work": Link(target.format(root=host.root)), "loop": Link("/loop")}])

    if target == "/loop":
        with pytest.raises(RuntimeFailure, match="cannot use /work/deep as the working directory"):
            await host.run("sh", "-c", "pwd", dir="/work/deep")
    else:
        assert (await host.run("sh", "-c", "pwd", dir="/work/deep")) == (0, f"{host.root}/there/deep\n")
    assert not (host.root / "there").exists()


async def test_a_working_directory_below_a_fifo_is_refused(host: Victim) -> None:
    await host.have(with_file("work", FIFO))

    with pytest.raises(RuntimeFailure, match="cannot use /work/deep as the working directory: Not a directory"):
        await host.run("true", dir="/work/deep")


async def test_a_secret_stays_in_its_container(host: Victim) -> None:
    """Its target is a link in the image that leads to a directory of the host."""
    await host.have([busybox_layer(), {"run/": None, "run/secrets": Link(f"../../../../../..{host.root}")}])
    image = host.runtime.image_store.get("evil:1")
    wanted = plan(image, "victim", "cat", "/run/secrets/password")
    secret = PlannedFile("/run/secrets/password", b"hidden", 0, 0, 0o400)
    assert await alive(output(host.runtime, replace(wanted, files=(secret,)))) == (0, "hidden")
    assert not (host.root / "password").exists()
