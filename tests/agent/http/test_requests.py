"""Bodies of the host's part of the API are read as Docker reads them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agent.runtime.oci_runtime import OciRuntime
from tests.agent.runtime.hosts import load, plan, run

pytestmark = pytest.mark.root
OURS = {"User-Agent": "argosy/1.0"}


@pytest.fixture
async def client(socket: Path) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession("http://host", connector=aiohttp.UnixConnector(str(socket))) as session:
        yield session


async def post(
    client: aiohttp.ClientSession, path: str, body: object, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    async with client.post(path, json=body, headers=headers) as response:
        return response.status, json.loads(await response.read() or b"null")


async def test_keys_may_be_in_any_case(client: aiohttp.ClientSession, runtime: OciRuntime, root: Path) -> None:
    status, volume = await post(client, "/volumes/create", {"name": "data", "LABELS": {"Key": "Value"}})
    assert (status, volume["Name"], volume["Labels"]) == (201, "data", {"Key": "Value"})

    container = await run(runtime, plan(await load(runtime, root), "box", "sleep", "600"))
    status, made = await post(client, f"/containers/{container}/exec", {"cmd": ["echo", "hi"], "attachstdout": True})
    assert status == 201
    assert await post(client, f"/exec/{made['Id']}/start", {"DETACH": True}) == (200, None)


async def test_keys_that_nobody_knows_are_passed_over_but_for_our_own_client(client: aiohttp.ClientSession) -> None:
    body = {"Name": "data", "Colour": "red"}

    status, told = await post(client, "/volumes/create", body, OURS)
    assert (status, told["message"]) == (400, "unknown field $.Colour")
    status, _ = await post(client, "/volumes/create", body)
    assert status == 201


async def test_wrong_types_are_refused_by_path(client: aiohttp.ClientSession, runtime: OciRuntime, root: Path) -> None:
    status, told = await post(client, "/volumes/create", {"name": "data", "driverOpts": {"size": 5}})
    assert (status, told["message"]) == (400, "DriverOpts.size: must be a string, not 5")

    container = await run(runtime, plan(await load(runtime, root), "box", "sleep", "600"))
    status, told = await post(client, f"/containers/{container}/exec", {"Cmd": "ls"})
    assert (status, told["message"]) == (400, "Cmd: must be a list, not 'ls'")
