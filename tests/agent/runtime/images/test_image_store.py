"""The image store on real skopeo."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from agent.runtime.images.image_store import ImageStore, LoadedImage
from agent.runtime.images.peer_source import PeerSource
from agent.runtime.interface import Image, ImageMissing
from agent.runtime.oci_runtime import OciRuntime
from agent.runtime.volumes.mount_syscalls import mount_overlay, unmount
from api.errors import Conflict, Invalid, NotFound, Unavailable
from tests.agent.runtime.hosts import chunks, load, plan
from tests.agent.runtime.registries import push, push_list, registry
from tests.images import Link, busybox_layer, docker_archive, image_id, oci_archive

pytestmark = pytest.mark.root
FULL = "docker.io/library/demo:1"
NOTHING = "sha256:" + "0" * 64
HEALTHY = {"Healthcheck": {"Test": ["CMD", "true"], "Interval": 5_000_000_000}, "Labels": {"a": "b"}}


class Peer:
    """Another host's store, reached without a network."""

    def __init__(self, store: ImageStore, delay: float = 0.0) -> None:
        self.asked: list[tuple[str, str]] = []
        self._store = store
        self._delay = delay

    async def fetch(self, peer: str, reference: str) -> AsyncIterator[bytes]:
        self.asked.append((peer, reference))
        await asyncio.sleep(self._delay)
        try:
            async for chunk in self._store.give(reference):
                yield chunk
        except NotFound as error:
            raise Unavailable(str(error)) from None


Stores = Callable[..., ImageStore]


@pytest.fixture
def stores(root: Path) -> Stores:
    def make(name: str, peers: PeerSource | None = None) -> ImageStore:
        return ImageStore(root / name, root / f"{name}-run", peers, random.Random(1))

    return make


@pytest.mark.parametrize("compressed", [False, True])
async def test_a_docker_archive_brings_all_its_names(stores: Stores, root: Path, compressed: bool) -> None:
    store = stores("a")
    id = docker_archive(root / "i.tar", ["demo:1", "shop/web:2"], config=HEALTHY, compressed=compressed)

    loaded = await store.load(chunks(root / "i.tar"))

    assert loaded == [LoadedImage("demo:1", id), LoadedImage("shop/web:2", id)]
    image = store.get("demo:1")
    assert (image.id, image.names) == (id, (FULL, "docker.io/shop/web:2"))
    assert image.labels == {"a": "b"}
    assert image.healthcheck is not None
    assert image.healthcheck.interval == 5_000_000_000


@pytest.mark.parametrize("compressed", [False, True])
async def test_an_oci_archive_is_named_by_its_annotation(stores: Stores, root: Path, compressed: bool) -> None:
    store = stores("a")
    id = oci_archive(root / "i.tar", FULL, compressed=compressed)

    assert await store.load(chunks(root / "i.tar")) == [LoadedImage("demo:1", id)]


async def test_an_image_without_a_name_is_loaded_by_id(stores: Stores, root: Path) -> None:
    store = stores("a")
    id = oci_archive(root / "i.tar", "")

    assert await store.load(chunks(root / "i.tar")) == [LoadedImage("", id)]
    assert store.get(id).names == ()


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "empty"), (b"no archive at all" * 100, "cannot be read"), (b"\x1f\x8b" + b"x" * 99, "broken")],
)
async def test_what_is_no_archive_is_refused(stores: Stores, data: bytes, words: str) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield data

    with pytest.raises(Invalid, match=words):
        await stores("a").load(stream())


async def test_an_image_keeps_its_id_from_host_to_host(stores: Stores, root: Path) -> None:
    first, second = stores("a"), stores("b")
    id = docker_archive(root / "i.tar", ["demo:1"], config=HEALTHY)
    await first.load(chunks(root / "i.tar"))

    await second.load(first.export(["demo:1"]))
    third = stores("c")
    await third.load(second.export([id]))

    for store in (second, third):
        image = store.get("demo:1")
        assert image.id == id
        assert image.healthcheck == first.get("demo:1").healthcheck


async def test_an_image_is_found_by_name_digest_and_id(stores: Stores, root: Path) -> None:
    store = stores("a")
    id = docker_archive(root / "i.tar", ["demo:1"])
    await store.load(chunks(root / "i.tar"))

    for text in ("demo:1", FULL, id, id[7:], id[7:19], f"demo@{id}", f"demo:1@{id}", f"docker.io/library/demo@{id}"):
        assert store.get(text).id == id, text
    with pytest.raises(ImageMissing):  # a host that is told to run a name is not content with an id that begins so
        await store.image(id[7:19], [], "never")
    for text in ("demo", "demo:2", "other:1", "demo@sha256:" + "0" * 64, "sha256:", ""):
        assert store.find(text) is None, text


async def test_names_outlive_a_restart(stores: Stores, root: Path) -> None:
    docker_archive(root / "i.tar", ["demo:1"])
    await stores("a").load(chunks(root / "i.tar"))

    assert stores("a").get("demo:1").names == (FULL,)


async def test_a_name_moves_to_the_newer_image(stores: Stores, root: Path) -> None:
    store = stores("a")
    old = docker_archive(root / "i.tar", ["demo:1"])
    await store.load(chunks(root / "i.tar"))
    new = docker_archive(root / "i.tar", ["demo:1"], config={"Env": ["A=1"]})
    await store.load(chunks(root / "i.tar"))

    assert store.get("demo:1").id == new
    assert store.get(old).names == ()


async def test_tag_and_remove(stores: Stores, root: Path) -> None:
    store = stores("a")
    id = docker_archive(root / "i.tar", ["demo:1"])
    await store.load(chunks(root / "i.tar"))
    store.tag("demo:1", "demo:stable")

    first = await store.remove("demo:1")
    assert (first.untagged, first.deleted) == (("demo:1",), "")
    last = await store.remove("demo:stable")

    assert (last.untagged, last.deleted) == (("demo:stable",), id)
    assert store.all() == []
    assert stores("a").all() == []
    with pytest.raises(NotFound):
        await store.remove("demo:1")


async def test_an_image_in_use_is_not_removed(runtime: OciRuntime, image: Image) -> None:
    wanted = plan(image, "user", "true")
    await runtime.create(wanted)

    with pytest.raises(Conflict, match="used by container user"):
        await runtime.image_store.remove("demo:1")
    await runtime.remove(wanted.id)
    await runtime.image_store.remove("demo:1")

    assert await runtime.images() == []


async def test_layers_are_shared_and_whiteouts_hold(stores: Stores, root: Path) -> None:
    base = busybox_layer()
    top = {"etc/.wh.group": b"", "d/": None, "d/x": b"1", "l": Link("d/x")}
    opaque = {"d/": None, "d/.wh..wh..opq": b"", "d/y": b"2"}
    store = stores("a")
    docker_archive(root / "i.tar", ["base:1"], [base])
    await store.load(chunks(root / "i.tar"))
    id = docker_archive(root / "i.tar", ["top:1"], [base, top, opaque])
    await store.load(chunks(root / "i.tar"))
    for name in ("upper", "work", "merged"):
        (root / name).mkdir()

    lower = store.layers(id)
    assert lower[-1] == store.layers(store.get("base:1").id)[-1]
    mount_overlay(lower, root / "upper", root / "work", root / "merged")
    try:
        assert not (root / "merged/etc/group").exists()
        assert [path.name for path in (root / "merged/d").iterdir()] == ["y"]
        assert (root / "merged/bin/sh").is_symlink()
    finally:
        unmount(root / "merged")


async def test_a_hundred_layers_can_be_mounted(root: Path) -> None:
    links = root / "store/l"
    links.mkdir(parents=True)
    for number in range(100):
        layer = root / "store" / f"{number:064}" / "diff"
        layer.mkdir(parents=True)
        (layer / f"f{number}").touch()
        (links / f"{number:026}").symlink_to(f"../{number:064}/diff")
    for name in ("upper", "work", "merged"):
        (root / name).mkdir()

    mount_overlay([links / f"{n:026}" for n in range(100)], root / "upper", root / "work", root / "merged")
    try:
        assert len(list((root / "merged").iterdir())) == 100
    finally:
        unmount(root / "merged")


async def test_an_image_comes_from_a_peer_once_however_many_ask(stores: Stores, root: Path) -> None:
    first = stores("a")
    id = docker_archive(root / "i.tar", ["demo:1"], config=HEALTHY)
    await first.load(chunks(root / "i.tar"))
    peer = Peer(first, delay=0.1)
    second = stores("b", peer)

    found = await asyncio.gather(*(second.image(f"{FULL}@{id}", ["n1@127.0.0.1:1"]) for _ in range(5)))

    assert {image.id for image in found} == {id}
    assert peer.asked == [("n1@127.0.0.1:1", f"{FULL}@{id}")]
    image = second.get(f"demo@{id}")
    assert (image.names, image.healthcheck) == ((), first.get("demo:1").healthcheck)


async def test_peers_are_not_asked_what_a_tag_means(stores: Stores, root: Path) -> None:
    first = stores("a")
    docker_archive(root / "i.tar", ["127.0.0.1:1/demo:1"])
    await first.load(chunks(root / "i.tar"))
    peer = Peer(first)

    with pytest.raises(
        ImageMissing, match="its tag is known to no manager, and other hosts are asked for digests only"
    ):
        await stores("b", peer).image("127.0.0.1:1/demo:1", ["n1@127.0.0.1:1"])
    assert peer.asked == []


async def test_a_registrys_image_goes_from_host_to_host_by_its_digest(stores: Stores, root: Path) -> None:
    id = docker_archive(root / "i.tar", ["demo:1"])
    async with registry(root) as address:
        await push(root / "i.tar", f"{address}/demo:1")
        listed = await push_list(f"{address}/demo:all", f"{address}/demo:1")
        first = stores("a")
        await first.pull(f"{address}/demo@{listed}")
    second = stores("b", Peer(first))
    third = stores("c", Peer(second))

    for digest in sorted(first.get(id).digests):
        assert (await second.image(digest, ["n1@127.0.0.1:1"])).id == id
    assert (await third.image(f"{address}/demo:all@{listed}", ["n1@127.0.0.1:1"])).id == id
    await second.remove(id, force=True)
    assert list((root / "b/argosy-manifests").iterdir()) == []


async def test_a_reference_by_image_id_comes_from_a_peer(stores: Stores, root: Path) -> None:
    first = stores("a")
    id = docker_archive(root / "i.tar", ["demo:1"])
    await first.load(chunks(root / "i.tar"))
    second = stores("b", Peer(first))

    assert (await second.image(f"docker.io/library/demo:1@{id}", ["n1@127.0.0.1:1"])).id == id


async def test_a_missing_image_tells_where_it_was_looked_for(stores: Stores) -> None:
    store = stores("b", Peer(stores("a")))

    with pytest.raises(ImageMissing) as missing:
        await store.image(f"127.0.0.1:1/none@{NOTHING}", ["n1@127.0.0.1:1"])

    words = str(missing.value)
    assert f"no image 127.0.0.1:1/none@{NOTHING}: it is not on this host" in words
    assert "host n1 did not give it (No such image" in words
    assert "registry 127.0.0.1:1 did not give it" in words


async def test_a_cancelled_fetch_is_taken_over_by_the_next(stores: Stores, root: Path) -> None:
    first = stores("a")
    id = docker_archive(root / "i.tar", ["demo:1"])
    await first.load(chunks(root / "i.tar"))
    peer = Peer(first, delay=0.2)
    second = stores("b", peer)
    async with asyncio.TaskGroup() as group:
        leader = group.create_task(second.image(f"{FULL}@{id}", ["n1@x"]))
        follower = group.create_task(second.image(f"{FULL}@{id}", ["n1@x"]))
        while not peer.asked:
            await asyncio.sleep(0.01)
        leader.cancel()

    assert (await follower).id == id
    assert len(peer.asked) == 2


async def test_waiting_for_images_ends_with_a_change(runtime: OciRuntime, root: Path) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(runtime.wait_images())
        await asyncio.sleep(0)
        assert not waiting.done()
        await load(runtime, root)

    assert waiting.done()


async def test_pulling_from_a_registry_on_loopback(stores: Stores, root: Path) -> None:
    id = docker_archive(root / "i.tar", ["demo:1"])
    async with registry(root) as address:
        await push(root / "i.tar", f"{address}/team/demo:1")
        store = stores("a")

        pulled = await store.pull(f"{address}/team/demo:1")

        assert (pulled.id, pulled.names) == (id, (f"{address}/team/demo:1",))
        (digest,) = pulled.digests
        assert store.get(digest).id == id
        fresh = stores("b")
        assert (await fresh.image(digest, [])).id == id
        assert fresh.get(digest).names == ()
        with pytest.raises(ImageMissing, match="manifest unknown"):
            await store.pull(f"{address}/team/demo:2")


async def test_pull_policies_say_who_is_asked(stores: Stores, root: Path) -> None:
    store = stores("a")
    id = docker_archive(root / "i.tar", ["127.0.0.1:1/demo:1"])
    await store.load(chunks(root / "i.tar"))

    assert (await store.image("127.0.0.1:1/demo:1", [], "never")).id == id
    with pytest.raises(ImageMissing, match="not on this host, and never to be pulled"):
        await store.image("127.0.0.1:1/other:1", ["n1@127.0.0.1:1"], "never")
    with pytest.raises(ImageMissing, match=r"cannot pull 127\.0\.0\.1:1/demo:1"):
        await store.image("127.0.0.1:1/demo:1", [], "always")
    assert (await store.image(f"127.0.0.1:1/demo@{id}", [], "always")).id == id


def test_the_test_images_know_their_ids(root: Path) -> None:
    assert docker_archive(root / "i.tar", ["demo:1"]) == image_id([busybox_layer()])
