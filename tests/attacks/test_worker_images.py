"""A host of the cluster that has gone to the bad: what it says of images, what it sends, and what it asks for."""

from __future__ import annotations

import asyncio
import random
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from agent.runtime.images.image_store import ImageStore
from agent.runtime.interface import ImageMissing
from agent.serving.host_service import handlers
from agent.serving.image_grants import MOST_AT_ONCE, ManagerGrants
from api.node_spec import NodeSpec
from api.objects.decided import Revision, Task
from api.objects.kinds import DESCRIPTION, NODE, REVISION, TASK, revision_id
from api.objects.observed import NodeDescription
from api.objects.wanted import Node
from api.service.container import ContainerSpec
from api.service.service_spec import ServiceSpec, TaskSpec
from api.states import Role, TaskState
from api.wire import rpc
from api.wire.assignments import ImageAssignment
from api.wire.host_messages import EXPORT_METHOD, ExportRequest
from kit.timing import wall_clock
from manager.assignments.assignment_sources import assignment_set
from manager.dispatch.dispatcher import Dispatcher
from manager.store.in_memory import MemoryStore
from manager.store.interface import Delete, Put
from node.membership.grpc_server import HostServer
from tests.agent.callers import callers
from tests.attacks.image_tools import FalsePeer, changed_layers, joined, rename_layer
from tests.e2e.world import World
from tests.fakes import FakeRuntime
from tests.images import busybox_layer, docker_archive, image_config, image_id, layer_tar, sha256
from tests.manager.certificates import credentials, free_port
from tests.manager.http.cluster_api import W1, new_manager, serve

# ── images: what a tag means ─────────────────────────────────────────────────────────────────────────────────────

NGINX = "docker.io/library/nginx:latest"
GOOD, EVIL = [busybox_layer()], [busybox_layer(), {"bin/evil": b"its own program"}]
EVIL_ID, EVIL_DIGEST = "sha256:" + "e" * 64, "sha256:" + "d" * 64


@pytest.mark.parametrize("says", ["it was loaded there", "a registry has it"])
async def test_it_says_that_its_own_image_is_nginx(says: str) -> None:
    """A manager took its word, at once for a loaded image and otherwise when no registry answered."""
    meaning = EVIL_ID if says == "it was loaded there" else EVIL_DIGEST
    manager = await new_manager(tags={W1: {NGINX: meaning}})
    if says == "a registry has it":
        node = manager.store.state.descriptions[W1]
        images = [NGINX, f"docker.io/library/nginx@{EVIL_DIGEST}", EVIL_ID]
        await manager.store.commit([Put(DESCRIPTION, W1, NodeDescription(address=node.address, images=images,
                                                                         tags={NGINX: EVIL_DIGEST}))])  # fmt: skip
    async with serve(manager) as api:
        await api.call("POST", "/services/create", {
            "Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "nginx:latest"}},
        })  # fmt: skip
        pinned = (await api.get("/services/web"))["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]

    assert pinned == "nginx:latest"
    assert api.registry.asked


async def needing_nginx(image: str = NGINX) -> MemoryStore:
    """Manager m1, workers w1 and w2; a task on w2 needs nginx, and w1 says that it has everything of that name."""
    store = MemoryStore()
    spec = ServiceSpec(name="web", task_template=TaskSpec(container_spec=ContainerSpec(image=image)))
    names = [NGINX, EVIL_ID, f"docker.io/library/nginx@{EVIL_ID}"]
    await store.commit([
        Put(NODE, "m1", Node("m1", spec=NodeSpec(role=Role.MANAGER))), Put(NODE, "w1", Node("w1")),
        Put(NODE, "w2", Node("w2")), Put(REVISION, revision_id("s1", 1), Revision("s1", 1, spec)),
        Put(DESCRIPTION, "w1", NodeDescription(address="192.0.2.1", images=names, tags={NGINX: EVIL_ID})),
        Put(TASK, "t1", Task("t1", "s1", 1, slot=1, node_id="w2", state=TaskState.ASSIGNED)),
    ])  # fmt: skip
    return store


async def test_hosts_are_not_sent_to_it_for_a_tag() -> None:
    """Of a tag that no registry resolved, hosts were told to fetch it there."""
    store = await needing_nginx()

    assert not [order for order in assignment_set(store.state, "w2").values() if isinstance(order, ImageAssignment)]


# ── images: what it sends ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="argosy-attack-") as directory:
        yield Path(directory)


async def fetched(root: Path, reference: str, sent: Path) -> tuple[ImageStore, str]:
    """A host that was told to fetch that from the attacker: its images, and its complaint."""
    store = ImageStore(root / "host", root / "host-run", FalsePeer(sent), random.Random(1))
    try:
        await store.image(reference, ["w1@192.0.2.1:7946"])
    except ImageMissing as error:
        return store, str(error)
    return store, ""


def has_evil(store: ImageStore) -> bool:
    """Whether the attacker's program is in an image of the host."""
    return any((layer / "bin/evil").exists() for image in store.all() for layer in store.layers(image.id))


@pytest.mark.root
async def test_it_sends_another_image_for_a_tag(root: Path) -> None:
    docker_archive(root / "sent.tar", [], EVIL)
    store, complaint = await fetched(root, "127.0.0.1:1/nginx:latest", root / "sent.tar")

    assert "its tag is known to no manager" in complaint
    assert store.all() == []


@pytest.mark.root
async def test_it_sends_another_image_for_a_registrys_digest(root: Path) -> None:
    docker_archive(root / "sent.tar", [], EVIL)
    store, complaint = await fetched(root, f"127.0.0.1:1/nginx@{EVIL_DIGEST}", root / "sent.tar")

    assert "host w1 did not give it (it did not send the whole image)" in complaint
    assert store.all() == []


@pytest.mark.root
@pytest.mark.parametrize("how", ["other layers in the manifest", "other bytes under a layer's name"])
async def test_it_sends_the_right_config_with_other_layers(root: Path, how: str) -> None:
    """skopeo holds layers against the manifest, which was the attacker's: the image had the right id."""
    id = changed_layers(root / "sent.tar", GOOD, EVIL[1:])
    if how == "other bytes under a layer's name":
        rename_layer(root / "sent.tar", EVIL[1], GOOD[0])
    store, complaint = await fetched(root, f"127.0.0.1:1/nginx@{id}", root / "sent.tar")

    assert "host w1 did not give it (" in complaint
    assert not has_evil(store)
    assert store.find(id) is None


@pytest.mark.root
async def test_it_gives_its_image_more_names(root: Path) -> None:
    """What was asked for came, and under the name of something else, which the next service then ran."""
    id = docker_archive(root / "sent.tar", ["nginx:latest"], GOOD)
    store, _ = await fetched(root, f"docker.io/library/demo@{id}", root / "sent.tar")

    assert store.find("nginx:latest") is None


@pytest.mark.root
async def test_it_sends_more_images_than_one(root: Path) -> None:
    id, own = image_id(GOOD), image_id(EVIL)
    both = root / "both.tar"
    docker_archive(root / "a.tar", [], GOOD)
    docker_archive(root / "b.tar", ["nginx:latest"], EVIL)
    joined(both, root / "a.tar", root / "b.tar")
    store, _ = await fetched(root, f"docker.io/library/demo@{id}", both)

    assert store.find(own) is None
    assert store.find("nginx:latest") is None


@pytest.mark.root
@pytest.mark.parametrize("size", [1 << 50, 1 << 62])
async def test_it_sends_a_layer_without_an_end(root: Path, size: int) -> None:
    """The disk was written full."""
    config = image_config([layer_tar(GOOD[0])], {})
    with (root / "sent.tar").open("wb") as file:
        for name, length, data in (
            (sha256(config), len(config), config + bytes(-len(config) % 512)),
            (sha256(layer_tar(GOOD[0])), size, b""),
        ):
            info = tarfile.TarInfo(f"blobs/sha256/{name[7:]}")
            info.size = length
            file.write(info.tobuf(tarfile.GNU_FORMAT) + data)
        file.truncate(1 << 30)
    _, complaint = await fetched(root, f"127.0.0.1:1/nginx@{sha256(config)}", root / "sent.tar")

    assert f"there is no room for a layer of {size} bytes" in complaint
    assert sum(path.stat().st_blocks for path in (root / "host").rglob("*")) * 512 < 1 << 20


# ── images: what it asks for ─────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def cluster(store: MemoryStore) -> AsyncIterator[int]:
    """Manager m1 with a dispatcher, and host n1 whose images others may want; n1's port."""
    dispatcher = Dispatcher(store, "m1", wall_clock, random.Random(1))
    manager, host = free_port(), free_port()
    runtime = FakeRuntime()
    runtime.add_image(EVIL_ID.removeprefix("sha256:"))
    known = callers("w1", "w2", managers=("m1",))
    grants = ManagerGrants(lambda: credentials("n1"), lambda: [f"127.0.0.1:{manager}"])
    servers = (
        (HostServer(credentials("m1", Role.MANAGER), lambda: dispatcher, []), manager),
        (HostServer(credentials("n1"), lambda: None, [handlers(runtime, known, grants)]), host),
    )
    for server, port in servers:
        await server.start("127.0.0.1", port)
    try:
        yield host
    finally:
        for server, _ in servers:
            await server.stop()


async def asked_for(port: int, who: str, reference: str = EVIL_ID) -> str:
    """A node asks n1 for an image: "" when it comes, else what n1 says."""
    async with rpc.channel(f"127.0.0.1:{port}", credentials(who), "n1") as channel:
        try:
            first = await rpc.unary_stream(channel, EXPORT_METHOD, bytes)(ExportRequest(reference)).read()
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"
    return "" if first else "nothing"


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Managers do not wait long for news that may be under way."""
    monkeypatch.setattr("manager.dispatch.dispatcher.KNOWN_WITHIN", 0.2)


@pytest.mark.usefixtures("_impatient")
async def test_it_asks_for_an_image_that_it_has_no_task_for() -> None:
    """Every member got every image, with whatever is in it."""
    store = await needing_nginx(f"{NGINX}@{EVIL_ID}")
    await store.commit([Put(NODE, "n1", Node("n1"))])
    async with cluster(store) as port:
        assert await asked_for(port, "w2") == ""
        assert await asked_for(port, "w1") == "PERMISSION_DENIED: node w1 has no task that needs it"
        await store.commit([Delete(NODE, "w2", store.state.version(NODE, "w2"))])
        assert await asked_for(port, "w2") == "PERMISSION_DENIED: node w2 is not part of this cluster"


async def test_it_asks_for_images_without_an_end() -> None:
    """Each request would keep the host and a manager busy for some seconds; others are answered as before."""
    store = await needing_nginx(f"{NGINX}@{EVIL_ID}")
    await store.commit([Put(NODE, "n1", Node("n1"))])
    async with cluster(store) as port:
        flood = [asyncio.ensure_future(asked_for(port, "w1")) for _ in range(MOST_AT_ONCE + 3)]
        done, _ = await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
        assert "asks for more than 8 images at once" in done.pop().result()
        assert await asked_for(port, "w2") == ""
        for one in flood:
            one.cancel()
        await asyncio.gather(*flood, return_exceptions=True)


@pytest.mark.usefixtures("_impatient")
async def test_it_asks_for_a_tag() -> None:
    store = await needing_nginx()
    await store.commit([Put(NODE, "n1", Node("n1"))])
    async with cluster(store) as port:
        assert await asked_for(port, "w2", NGINX) == f"PERMISSION_DENIED: {NGINX} is no digest"


def test_a_name_given_on_a_worker_means_nothing_to_the_others(world: World, tmp_path: Path) -> None:
    """On a fleet: the manager pinned services to what the worker had loaded, and every host ran that."""
    docker_archive(tmp_path / "evil.tar", ["127.0.0.1:1/popular:1"], EVIL)
    world.argosy("image", "load", "-i", str(tmp_path / "evil.tar"), host="w1")
    try:
        said = world.argosy(
            "service", "create", "--detach", "--name", "popular", "--constraint", "node.hostname==w2",
            "127.0.0.1:1/popular:1", "true",
        )  # fmt: skip
        assert "could not be resolved to a digest" in said
        world.until(lambda: "its tag is known to no manager" in world.argosy("service", "ps", "--no-trunc", "popular"))
    finally:
        world.argosy("service", "rm", "popular")
        world.argosy("image", "rm", "--force", "127.0.0.1:1/popular:1", host="w1")
