"""The attacker is an image: what it brings in place of files, and where its links lead."""

from __future__ import annotations

import bz2
import io
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from agent.runtime.bundle import mounts
from agent.runtime.containers.copy_helper import FAILED, MISSING
from agent.runtime.interface import PlannedFile, RuntimeFailure
from api.errors import Invalid, Unavailable
from api.service.container import Mount, VolumeOptions
from kit import process
from tests.agent.runtime.hosts import chunks, make_runtime, output, plan, run
from tests.attacks.image_tools import PATIENCE, Victim, alive, changed_layers, victim, with_file
from tests.e2e.world import World
from tests.images import Layer, Link, Special, busybox_layer, docker_archive, layer_tar

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


# ── docker cp ────────────────────────────────────────────────────────────────────────────────────────────────────


async def copied(verb: str, root: Path, path: str, archive: bytes | None = None) -> process.Result:
    """What the copier does in a root, for at most as long as a client would wait."""
    command = (sys.executable, "-m", "agent.runtime.containers.copy_helper", verb, str(root), path)
    return await alive(process.run(*command, stdin=archive, timeout=20.0))


@pytest.fixture
def jail() -> Iterator[Path]:
    """A container's root with a /proc of its own, as a running one has it."""
    with tempfile.TemporaryDirectory(prefix="argosy-attack-") as directory:
        jail = Path(directory, "jail")
        (jail / "proc").mkdir(parents=True)
        (jail / "etc").mkdir()
        subprocess.run(["mount", "-t", "proc", "proc", str(jail / "proc")], check=True)
        try:
            yield jail
        finally:
            subprocess.run(["umount", str(jail / "proc")], check=True)


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK, stat.S_IFLNK])
async def test_a_copy_replaces_what_stands_in_its_place_and_does_not_write_into_it(jail: Path, kind: int) -> None:
    """A FIFO kept the copier for ever; through a device the host's own was written."""
    place = jail / "etc/config"
    if kind == stat.S_IFLNK:
        place.symlink_to(f"/proc/{os.getpid()}/root" + str(jail.parent / "of-the-host"))
    else:
        os.mknod(place, kind | 0o666, os.makedev(1, 3))

    done = await copied("write", jail, "/etc", layer_tar({"config": b"new"}))

    assert (done.code, done.stderr) == (0, b"")
    assert stat.S_ISREG(place.lstat().st_mode)
    assert place.read_text() == "new"
    assert not (jail.parent / "of-the-host").exists()


@pytest.mark.parametrize("link", [f"/proc/{os.getpid()}/root{{}}", f"/proc/{os.getpid()}/cwd/..{{}}", "../../../..{}"])
async def test_links_of_proc_lead_no_copy_out_of_the_container(jail: Path, link: str) -> None:
    """A container that shares the host's process ids sees the host's root in its own /proc."""
    (jail.parent / "secret").write_text("of the host")
    (jail / "out").symlink_to(link.format(jail.parent))

    read = await copied("read", jail, "/out/secret")
    written = await copied("write", jail, "/out", layer_tar({"planted": b"by the container"}))

    assert read.code in (MISSING, FAILED)
    assert b"of the host" not in read.stdout
    assert written.code in (MISSING, FAILED)
    assert not (jail.parent / "planted").exists()


async def test_an_archive_goes_no_higher_than_the_root(jail: Path) -> None:
    (jail / "etc/up").symlink_to(f"/proc/{os.getpid()}/root" + str(jail.parent))
    inside: Layer = {
        "../../../../planted": b"1",
        "up/planted": b"2",
        "hard": Special(tarfile.LNKTYPE, target="up/secret"),
    }
    (jail.parent / "secret").write_text("of the host")
    for name, content in inside.items():
        await copied("write", jail, "/etc", layer_tar({name: content}))

    assert not (jail.parent / "planted").exists()
    assert not (jail / "etc/hard").exists()
    assert (jail / "planted").read_text() == "1"


async def test_what_is_no_file_is_copied_out_without_being_opened(jail: Path) -> None:
    for kind in (stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK):
        os.mknod(jail / f"etc/{kind}", kind | 0o666, os.makedev(1, 5))
    (jail / "etc/text").write_text("text")
    os.link(jail / "etc/text", jail / "etc/twin")

    done = await copied("read", jail, "/etc")

    with tarfile.open(fileobj=io.BytesIO(done.stdout.split(b"\n", 1)[1])) as archive:
        kinds = {entry.name: entry.type for entry in archive}
    assert kinds == {
        "etc": tarfile.DIRTYPE, f"etc/{stat.S_IFIFO}": tarfile.FIFOTYPE, f"etc/{stat.S_IFCHR}": tarfile.CHRTYPE,
        "etc/text": tarfile.REGTYPE, "etc/twin": tarfile.LNKTYPE,
    }  # fmt: skip


# ── archives of images ───────────────────────────────────────────────────────────────────────────────────────────


async def test_an_archive_whose_layers_are_not_its_configs_is_refused(host: Victim) -> None:
    """It had the id of the image that it seemed to be."""
    id = changed_layers(host.root / "image.tar", [busybox_layer()], [{"bin/evil": b"1"}], "demo:1")

    with pytest.raises(Invalid, match="the image's layers are not those that its config names"):
        await host.runtime.image_store.load(chunks(host.root / "image.tar"))
    assert host.runtime.image_store.all() == []
    assert host.runtime.image_store.find(id) is None


async def test_a_config_that_cannot_be_read_is_refused_and_the_host_starts_again(host: Victim) -> None:
    """It was stored, and from then on no image could be loaded and argosyd did not start."""
    changed_layers(host.root / "image.tar", [busybox_layer()], [busybox_layer()], "evil:1", author=None)
    with pytest.raises(Invalid, match="the image's config cannot be read"):
        await host.runtime.image_store.load(chunks(host.root / "image.tar"))
    await host.have([busybox_layer()], "good:1")

    again = make_runtime(host.root)
    assert [image.names for image in again.image_store.all()] == [("docker.io/library/good:1",)]


async def test_a_layer_writes_nothing_outside_of_its_image(host: Victim) -> None:
    secret = host.root / "secret"
    secret.write_text("of the host")
    out = "../" * 40 + str(host.root).lstrip("/")
    layers: list[Layer] = [
        {f"{out}/planted": b"1"},
        {"link": Link(str(host.root)), "link/planted": b"2"},
        {"hard": Special(tarfile.LNKTYPE, target=f"{out}/secret")},
        {"hard": Special(tarfile.LNKTYPE, target="link/secret"), "link": Link(str(host.root))},
    ]
    for layer in layers:
        try:
            await host.have([busybox_layer(), layer])
        except Invalid:
            continue

    assert not (host.root / "planted").exists()
    assert (secret.stat().st_nlink, secret.read_text()) == (1, "of the host")


async def test_an_archive_that_unpacks_to_more_than_the_disk_has_is_given_up(
    host: Victim, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few megabytes of compressed zeros filled memory first, and then the disk."""
    monkeypatch.setattr("agent.runtime.images.image_receiver.KEEP_FREE", shutil.disk_usage(host.root).free - (64 << 20))
    bomb = bz2.compress(bytes(1 << 28))

    async def stream() -> AsyncIterator[bytes]:
        yield bomb

    with pytest.raises(Unavailable, match="the disk is full"):
        await alive(host.runtime.image_store.load(stream()))
    assert not any(host.root.rglob("image.tar"))


# ── volumes, which a container may have while another gets them ──────────────────────────────────────────────────


async def test_a_volume_is_not_filled_through_links_that_are_put_in_it_meanwhile(host: Victim) -> None:
    """The image's files went where the links of a container that had the empty volume already pointed."""
    volumes, victim = host.runtime.volumes, host.root / "of-the-host"
    victim.mkdir()
    (victim / "file").write_text("of the host")
    image = host.root / "image-root"
    (image / "data/dir").mkdir(parents=True)
    (image / "data/file").write_text("of the image")
    (image / "data/dir/planted").write_text("of the image")
    volumes.create("shared")
    (volumes.data("shared") / "file").symlink_to(victim / "file")
    (volumes.data("shared") / "dir").symlink_to(victim)

    with pytest.raises(RuntimeFailure, match="cannot fill volume shared"):
        await volumes._fill("shared", image, "/data")

    assert (victim / "file").read_text() == "of the host"
    assert not (victim / "planted").exists()


async def test_a_part_of_a_volume_is_what_it_was_when_it_was_looked_at(host: Victim) -> None:
    """A link that came in its place before the runtime had mounted it led to the host's own files."""
    volumes, victim = host.runtime.volumes, host.root / "of-the-host"
    victim.mkdir()
    (victim / "secret").write_text("of the host")
    volumes.create("shared")
    (volumes.data("shared") / "part").mkdir()
    (volumes.data("shared") / "away").symlink_to(victim)
    part = Mount(type="volume", source="shared", target="/x", volume_options=VolumeOptions(subpath="part"))

    with ExitStack() as held:
        (made,) = await mounts.make("c", [part], (), host.root, volumes, held)
        (volumes.data("shared") / "part").rmdir()
        (volumes.data("shared") / "part").symlink_to(victim)
        assert os.listdir(made.oci["source"]) == []
    assert not os.path.exists(made.oci["source"])
    away = Mount(type="volume", source="shared", target="/x", volume_options=VolumeOptions(subpath="away"))
    with ExitStack() as held, pytest.raises(RuntimeFailure, match="volume shared has no path away"):
        await mounts.make("c", [away], (), host.root, volumes, held)


# ── what a command says ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_health_check_that_talks_without_an_end_is_cut_off(host: Victim) -> None:
    """All of it was kept in memory."""
    await host.have([busybox_layer()])
    id = await run(host.runtime, plan(host.runtime.image_store.get("evil:1"), "talker", "sleep", "600"))
    flood = ("/bin/busybox", "sh", "-c", "yes | head -c 50000000; echo the end")

    said = await alive(host.runtime.exec(id, flood, PATIENCE))

    assert (said.code, len(said.text) <= 64 * 1024, said.text[-8:]) == (0, True, b"the end\n")


# ── on a fleet ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_image_with_a_fifo_for_its_users_takes_no_host_down(world: World, tmp_path: Path) -> None:
    """It took host after host, as each that died gave its tasks to the next."""
    docker_archive(tmp_path / "fifo.tar", ["fifo:1"], with_file("etc/passwd", FIFO))
    world.argosy("image", "load", "-i", str(tmp_path / "fifo.tar"))
    world.argosy(
        "service", "create", "--detach", "--name", "fifo", "--mode", "global", "--user", "root", "fifo:1", "true"
    )
    try:
        world.until(lambda: world.argosy("service", "ps", "--no-trunc", "fifo").count("it is a FIFO, not a file") >= 3)
        for host in world.hosts:
            assert world.api("/info", host=host)["Swarm"]["LocalNodeState"] == "active"
        assert {node["Status"]["State"] for node in world.api("/nodes")} == {"ready"}
    finally:
        world.argosy("service", "rm", "fifo")
        for host in world.hosts:  # those that got it by its digest know it by its id
            for image in world.api("/images/json", host=host):
                if "fifo:1" in image["RepoTags"] or any(name.startswith("fifo@") for name in image["RepoDigests"]):
                    id = image["Id"]
                    world.until(lambda: world.argosy("image", "rm", "--force", id, host=host) is not None)  # noqa: B023
