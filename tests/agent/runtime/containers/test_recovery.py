"""Records that are damaged, lost, or of another version never leave a container behind: it is adopted, or removed."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from agent.runtime.containers import container_record, recovery
from agent.runtime.containers.container_record import Record, tolerant
from agent.runtime.images.layer_store import LayerStore
from agent.runtime.images.reference_store import ReferenceStore
from agent.runtime.interface import Image, RuntimeFailure, container_id
from agent.runtime.oci_runtime import OciRuntime
from agent.runtime.volumes.local_volumes import Volumes
from api.codec import encode
from api.service.container import ContainerSpec
from api.service.service_spec import TaskSpec
from kit.thread_pool import ThreadPool
from kit.timing import wall_clock
from tests.agent.runtime.hosts import make_runtime, plan, run

KEPT = Record(
    id="c1", name="web.1", task_id="t1", image="x", image_id="sha256:1", hostname="h", netns="",
    spec=TaskSpec(container_spec=ContainerSpec(image="x")), pid=7, pid_born=8,
)  # fmt: skip


def test_a_part_of_another_version_hides_itself_only() -> None:
    raw = json.loads(encode(KEPT))
    raw["Spec"] = {"ContainerSpec": {"Image": "x", "Mounts": [{"Type": "of the future"}]}}
    raw["Volumes"] = "of the future"
    raw["Invention"] = {"of": "the future"}

    assert tolerant(json.dumps(raw).encode()) == msgspec.structs.replace(KEPT, spec=TaskSpec())


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"Id": 5}'])
def test_what_does_not_say_whose_it_is_is_no_record(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"lacks|JSON|Input|Expected"):
        tolerant(data)


def truncate(directory: Path) -> None:
    """One file is cut off."""
    path = directory / container_record.FILE
    path.write_bytes(path.read_bytes()[:40])


def outdate(directory: Path) -> None:
    """The spec is of a version that this one does not know."""
    for path in directory.glob(f"{container_record.FILE}*"):
        raw = json.loads(path.read_bytes())
        path.write_text(json.dumps(raw | {"Spec": {"ContainerSpec": {"Mounts": "new"}}}))


@pytest.mark.root
@pytest.mark.parametrize("damage", [truncate, outdate])
async def test_a_container_is_adopted_in_spite_of(
    runtime: OciRuntime, image: Image, root: Path, damage: Callable[[Path], None]
) -> None:
    id = await run(runtime, plan(image, "t", "sleep", "1000"))
    pid = (await runtime.containers())[0].pid
    damage(root / "data/containers" / id)

    again = make_runtime(root)

    assert [(one.id, one.task_id, one.pid) for one in await again.containers()] == [(id, "t", pid)]
    await again.remove(id)
    assert recovery.processes(id) == []


def spoil(directory: Path) -> None:
    """Both files are damaged."""
    for path in directory.glob(f"{container_record.FILE}*"):
        path.write_bytes(b"\xff")


def lose(directory: Path) -> None:
    """The whole directory is gone, but for what is mounted in it."""
    for path in directory.iterdir():
        if path.is_file():
            path.unlink()


@pytest.mark.root
@pytest.mark.parametrize("damage", [spoil, lose])
async def test_a_container_of_which_nothing_is_known_is_removed(
    runtime: OciRuntime, image: Image, root: Path, damage: Callable[[Path], None]
) -> None:
    id = await run(runtime, plan(image, "t", "sleep", "1000"))
    other = await run(runtime, plan(image, "u", "sleep", "1000"))
    damage(root / "data/containers" / id)
    assert recovery.processes(id) != []

    again = make_runtime(root)
    life = asyncio.ensure_future(again.run())
    try:
        async with asyncio.timeout(30):
            while recovery.strays(root / "data/containers", root / "exec/oci", [other]):
                await asyncio.sleep(0.05)
    finally:
        life.cancel()

    assert recovery.processes(id) == []
    assert not (root / "data/containers" / id).exists()
    assert not (root / "exec/oci" / id).exists()
    assert [one.id for one in await again.containers()] == [other]
    await again.remove(other)


def test_names_of_images_survive_one_damaged_file_and_no_damage_stops_the_host(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    ReferenceStore(path).add("sha256:1", ["docker.io/library/demo:1"])
    path.write_bytes(b"{")
    assert ReferenceStore(path).named("docker.io/library/demo:1") == "sha256:1"

    for each in tmp_path.iterdir():
        each.write_bytes(b"{")
    assert ReferenceStore(path).named("docker.io/library/demo:1") == ""


def test_an_entry_of_the_image_store_that_is_not_understood_hides_itself_only(tmp_path: Path) -> None:
    store = LayerStore(tmp_path, tmp_path / "run", ThreadPool("test", 1, 30.0))
    lists = tmp_path / "overlay-images"
    lists.mkdir()
    (lists / "images.json").write_text('[{"id": "1", "layer": "l"}, {"id": 2}, {"id": "3", "names": ["n"], "new": {}}]')
    assert set(store.images()) == {"sha256:1", "sha256:3"}

    (lists / "images.json").write_text('[{"id": "1"')
    assert store.images() == {}


def test_a_damaged_volume_is_neither_listed_nor_made_anew(tmp_path: Path) -> None:
    volumes = Volumes(tmp_path, wall_clock)
    for name in ("good", "half", "bad"):
        volumes.create(name, options={"type": "tmpfs", "device": "tmpfs"})
    (tmp_path / "half/volume.json").write_bytes(b"")
    for path in (tmp_path / "bad").glob("volume.json*"):
        path.write_bytes(b"")

    assert [volume.name for volume in volumes.all()] == ["good", "half"]
    assert volumes.get("half").options["type"] == "tmpfs"
    with pytest.raises(RuntimeFailure, match="put it right, or remove its directory"):
        volumes.create("bad")
    shutil.rmtree(tmp_path / "bad")
    assert volumes.create("bad").options == {}


def test_only_ids_are_taken_for_containers(tmp_path: Path) -> None:
    id = container_id("t")
    for name in ("lost+found", id):
        (tmp_path / name).mkdir()

    assert recovery.strays(tmp_path, tmp_path / "none", []) == [id]
    assert recovery.strays(tmp_path, tmp_path / "none", [id]) == []
