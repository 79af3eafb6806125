"""The registry client with skopeo and a minimal registry: digests, platforms, logins, refusals."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from api.errors import NotFound
from api.image_reference import parse
from api.registry_auth import Login
from manager.images.registry import ask_registry

needs_skopeo = pytest.mark.skipif(not shutil.which("skopeo"), reason="needs skopeo")
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
ID = "sha256:" + "a" * 64


def digest(data: bytes) -> str:
    """The digest of content, as registries name it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass
class SmallRegistry:
    """Serves manifests and blobs from dictionaries; requires its login if it has one."""

    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    login: str = ""
    port: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        path = request.path
        wanted = "Basic " + base64.b64encode(self.login.encode()).decode()
        if self.login and request.headers.get("Authorization") != wanted:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="r"'})
        name = path.rpartition("/")[2]
        if "/manifests/" in path and name in self.manifests:
            kind, data = self.manifests[name]
            return web.Response(body=data, headers={"Content-Type": kind, "Docker-Content-Digest": digest(data)})
        if "/blobs/" in path and name in self.blobs:
            return web.Response(body=self.blobs[name])
        return web.Response(status=200 if path == "/v2/" else 404)

    def add(self, tag: str) -> str:
        """A single-platform image; returns its digest."""
        config = json.dumps(
            {"architecture": "arm64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
        ).encode()
        self.blobs[digest(config)] = config
        kind = "application/vnd.oci.image.config.v1+json"
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
            "config": {"mediaType": kind, "digest": digest(config), "size": len(config)},
        }).encode()  # fmt: skip
        self.manifests[tag] = self.manifests[digest(manifest)] = (MANIFEST, manifest)
        return digest(manifest)


@pytest.fixture
async def registry() -> AsyncIterator[SmallRegistry]:
    """A registry on loopback."""
    small = SmallRegistry()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", small.handle)
    async with TestServer(app) as server:
        small.port = server.port or 0
        yield small


@needs_skopeo
async def test_an_image_has_the_digest_of_its_manifest_and_the_platform_of_its_config(registry: SmallRegistry) -> None:
    expected = registry.add("1")
    found = await ask_registry(parse(f"127.0.0.1:{registry.port}/demo:1"), None)
    assert (found.digest, found.media_type) == (expected, MANIFEST)
    assert found.platforms == (("arm64", "linux", ""),)


@needs_skopeo
async def test_an_index_has_the_platforms_it_lists_without_attestations(registry: SmallRegistry) -> None:
    entry = {"mediaType": MANIFEST, "digest": ID, "size": 1}
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        {**entry, "platform": {"architecture": "amd64", "os": "linux"}},
        {**entry, "platform": {"architecture": "arm", "os": "linux", "variant": "v7"}},
        {**entry, "platform": {"architecture": "unknown", "os": "unknown"}},
    ]}).encode()  # fmt: skip
    registry.manifests["2"] = (INDEX, index)
    found = await ask_registry(parse(f"127.0.0.1:{registry.port}/demo:2"), None)
    assert found.digest == digest(index)
    assert found.platforms == (("amd64", "linux", ""), ("arm", "linux", "v7"))


@needs_skopeo
async def test_a_login_is_used_and_a_missing_one_is_told(registry: SmallRegistry) -> None:
    expected = registry.add("1")
    registry.login = "me:secret"
    reference = parse(f"127.0.0.1:{registry.port}/demo:1")
    assert (await ask_registry(reference, Login("me", "secret"))).digest == expected
    with pytest.raises(NotFound, match=r"authentication required|unauthorized|401"):
        await ask_registry(reference, None)


@needs_skopeo
async def test_a_tag_that_is_not_there_and_a_registry_that_is_not_there_are_told(registry: SmallRegistry) -> None:
    with pytest.raises(NotFound, match=r"demo:9: .*manifest"):
        await ask_registry(parse(f"127.0.0.1:{registry.port}/demo:9"), None)
    with pytest.raises(NotFound, match="connection refused"):
        await ask_registry(parse("127.0.0.1:1/demo:1"), None)
