"""Images from another host, over the real wire."""

from __future__ import annotations

import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from agent.runtime.images.image_store import ImageStore
from agent.runtime.images.peer_source import GrpcPeers
from agent.runtime.interface import Image, ImageMissing
from agent.runtime.oci_runtime import OciRuntime
from agent.serving.host_service import handlers
from api.wire import rpc
from tests.agent.callers import Granted, callers
from tests.contracts.certificates import Authority

pytestmark = pytest.mark.root
AUTHORITY = Authority()


@pytest.fixture
async def address(runtime: OciRuntime) -> AsyncIterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{probe.getsockname()[1]}"
    server = grpc.aio.server(options=rpc.OPTIONS)
    server.add_generic_rpc_handlers((handlers(runtime, callers("node2"), Granted("node2")),))
    server.add_secure_port(where, rpc.server_credentials(AUTHORITY.issue("node1", "worker")))
    await server.start()
    yield where
    await server.stop(None)


@pytest.fixture
def store(root: Path) -> ImageStore:
    peers = GrpcPeers(lambda: AUTHORITY.issue("node2", "worker"))
    return ImageStore(root / "other", root / "other-run", peers, random.Random(1))


async def test_an_image_comes_over_the_wire_with_its_id(address: str, store: ImageStore, image: Image) -> None:
    found = await store.image(f"docker.io/library/demo:1@{image.id}", [f"node1@{address}"])

    assert (found.id, found.names) == (image.id, ())
    assert found.digests == (f"docker.io/library/demo@{image.id}",)


async def test_another_node_than_expected_gives_nothing(address: str, store: ImageStore, image: Image) -> None:
    with pytest.raises(ImageMissing, match="host node7 did not give it"):
        await store.image(f"127.0.0.1:1/demo@{image.id}", [f"node7@{address}"])


async def test_a_peer_without_the_image_says_so(address: str, store: ImageStore, image: Image) -> None:
    digest = "sha256:" + "0" * 64
    with pytest.raises(ImageMissing, match=rf"host node1 did not give it \(No such image: 127.0.0.1:1/none@{digest}\)"):
        await store.image(f"127.0.0.1:1/none@{digest}", [f"node1@{address}"])
