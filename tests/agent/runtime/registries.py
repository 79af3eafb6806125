"""A registry on loopback, for tests."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientSession

from agent.runtime.host_features import machine
from kit import process

_CONFIG = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@asynccontextmanager
async def registry(root: Path) -> AsyncIterator[str]:
    """Its "address:port"."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = root / "registry.yml"
    config.write_text(_CONFIG.format(root=root / "registry", port=port))
    child = await asyncio.create_subprocess_exec(
        "docker-registry", "serve", str(config), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(20):
            while not _answers(port):
                await asyncio.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        child.kill()
        await child.wait()


async def push(archive: Path, reference: str) -> None:
    """Push the one image of a docker-archive."""
    flags = ("--insecure-policy", "copy", "-q", "--dest-tls-verify=false")
    result = await process.run("skopeo", *flags, f"docker-archive:{archive}", f"docker://{reference}")
    assert result.ok, result.complaint


async def push_list(reference: str, of: str) -> str:
    """Push a list of manifests with one image of the registry, for this machine, and one for another; its digest."""
    flags = ("inspect", "--raw", "--tls-verify=false", f"docker://{of}")
    manifest = (await process.run("skopeo", *flags)).stdout
    address, _, rest = reference.partition("/")
    name, _, tag = rest.partition(":")
    entry = {"mediaType": json.loads(manifest)["mediaType"], "size": len(manifest), "digest": _digest(manifest)}
    entries = [entry | {"platform": {"architecture": arch, "os": "linux"}} for arch in ("s390x", machine())]
    kind = "application/vnd.docker.distribution.manifest.list.v2+json"
    data = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode()
    where = f"http://{address}/v2/{name}/manifests/{tag}"
    async with ClientSession() as client, client.put(where, data=data, headers={"Content-Type": kind}) as answer:
        assert answer.status == 201, await answer.text()
    return _digest(data)


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True
