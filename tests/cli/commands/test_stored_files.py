"""`argosy secret` and `argosy config` against the real API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.test_control_plane import _client
from tests.manager.http.world import World, control_plane


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with control_plane(tmp_path, _client(tmp_path)) as world:
        yield world


@pytest.mark.parametrize("what", ["secret", "config"])
async def test_a_file_is_created_listed_inspected_and_removed(world: World, what: str, tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_bytes(b"open sesame")

    id = await world.docker(what, "create", "-l", "a=b", "word", str(file))

    assert await world.docker(what, "ls", "--format", "{{.ID}} {{.Name}} {{.Labels}}") == f"{id} word a=b"
    assert await world.docker(what, "ls", "-q", "--filter", "name=other") == ""
    (seen,) = json.loads(await world.docker(what, "inspect", "word"))
    assert seen["ID"] == id
    assert ("Data" in seen["Spec"]) == (what == "config")
    assert await world.docker(what, "rm", "word") == "word"
    failed = await world.run(what, "rm", "word")
    assert not failed.ok
    assert f"{what} word not found" in failed.stderr.decode()


async def test_a_file_that_is_not_there_is_named(world: World) -> None:
    failed = await world.run("secret", "create", "word", "/no/such")

    assert "cannot read the secret from /no/such: No such file or directory" in failed.stderr.decode()
    assert "the data must" not in failed.stderr.decode()
