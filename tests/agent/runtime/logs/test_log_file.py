"""Logs: lines put together, tails, rotations."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.runtime.interface import Image, RuntimeFailure
from agent.runtime.logs.log_file import SKIPPED, LogPolicy, policy, read, rotate
from agent.runtime.logs.log_format import Assembler, Selection
from agent.runtime.oci_runtime import OciRuntime
from api.service.container import Driver
from api.service.service_spec import TaskSpec
from tests.agent.runtime.hosts import plan, run, text

ALL = Selection()
STAMP = b"2024-01-02T03:04:05.500000000+00:00"


def line(said: str, stream: str = "stdout", kind: str = "F") -> bytes:
    return STAMP + f" {stream} {kind} {said}\n".encode()


def test_parts_of_a_line_are_put_together_per_stream() -> None:
    data = line("a", kind="P") + line("x", "stderr") + line("b") + b"torn\n" + line("c")

    assembler = Assembler()

    found = [item for n in range(0, len(data), 7) for item in assembler.feed(data[n : n + 7])]

    assert [(item.stream, item.text) for item in found] == [("stderr", b"x\n"), ("stdout", b"ab\n"), ("stdout", b"c\n")]
    assert found[0].time == 1704164645.5


def test_policies_and_their_problems() -> None:
    assert policy(None) == LogPolicy()
    assert policy(None, LogPolicy(max_files=9)) == LogPolicy(max_files=9)
    assert policy(Driver("", {"max-size": "2m"}), LogPolicy(max_files=9)) == LogPolicy(max_size=2 << 20, max_files=9)
    assert policy(Driver("json-file", {"max-size": "2m", "max-file": "5"})) == LogPolicy(max_size=2 << 20, max_files=5)
    assert not policy(Driver("none")).keep
    with pytest.raises(RuntimeFailure, match='log driver "gelf" is not known'):
        policy(Driver("gelf"))
    with pytest.raises(RuntimeFailure, match="'huge' is not a size"):
        policy(Driver("local", {"max-size": "huge"}))


async def texts(directory: Path, tail: int = -1, wanted: Selection = ALL) -> list[str]:
    return [
        item.text.decode().strip()
        async for batch in read(directory, wanted, tail, False, lambda: True)
        for item in batch
    ]


async def test_a_log_is_read_across_its_rotations(tmp_path: Path) -> None:
    (tmp_path / "log.2").write_bytes(line("1") + line("2"))
    (tmp_path / "log.1").write_bytes(line("3") + line("4", kind="P"))
    (tmp_path / "log").write_bytes(line("5") + line("6", "stderr"))

    assert await texts(tmp_path) == ["1", "2", "3", "45", "6"]
    assert await texts(tmp_path, tail=2) == ["45", "6"]
    assert await texts(tmp_path, tail=0) == []
    assert await texts(tmp_path, wanted=Selection(stdout=False)) == ["6"]
    assert await texts(tmp_path, wanted=Selection(since=1704164646)) == []


async def test_following_goes_on_over_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(line("1"))
    over = False
    found: list[str] = []

    async def follow() -> None:
        async for batch in read(tmp_path, Selection(), -1, True, lambda: over):
            found.extend(item.text.decode().strip() for item in batch)

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(follow())
        while found != ["1"]:
            await asyncio.sleep(0.01)
        log.write_bytes(line("1") + line("2"))
        log.rename(tmp_path / "log.1")
        log.write_bytes(line("3"))
        while found != ["1", "2", "3"]:
            await asyncio.sleep(0.01)
        over = True


class Writer:
    """Writes numbered lines as conmon does, and rotates as the agent does."""

    def __init__(self, directory: Path, kept: LogPolicy) -> None:
        self.directory, self.kept, self.number = directory, kept, 0

    def write(self, count: int) -> None:
        with (self.directory / "log").open("ab") as file:
            for _ in range(count):
                file.write(line(str(self.number)))
                self.number += 1

    def rotate(self) -> None:
        assert rotate(self.directory, self.kept)


async def follow(directory: Path, writer: Writer, script: list[int]) -> list[str]:
    """What a follower gets who cannot read while each number of rotations is done."""
    found: list[str] = []
    over = False
    lines = read(directory, ALL, -1, True, lambda: over)
    writer.write(1)
    for rotations in script:
        while not found or found[-1] != str(writer.number - 1):
            found += [item.text.decode().strip() for item in await anext(lines)]
        for _ in range(rotations):
            writer.write(3)
            writer.rotate()
        writer.write(1)
    over = True
    async for batch in lines:
        found += [item.text.decode().strip() for item in batch]
    return found


@pytest.mark.parametrize("script", [[1, 1, 1], [0, 2, 0, 2], [2, 2, 2], [3, 3], [3, 0, 3, 1]])
async def test_following_loses_no_line_over_as_many_rotations_as_there_are_files(
    tmp_path: Path, script: list[int]
) -> None:
    """Also when the file that was being read is gone by then: what it held had been read."""
    writer = Writer(tmp_path, LogPolicy(max_size=1, max_files=4))

    assert await follow(tmp_path, writer, script) == [str(number) for number in range(writer.number)]


async def test_a_follower_is_told_when_files_went_away_that_he_had_not_read(tmp_path: Path) -> None:
    writer = Writer(tmp_path, LogPolicy(max_size=1, max_files=2))

    found = await follow(tmp_path, writer, [4])

    assert found == ["0", "1", "2", "3", SKIPPED.decode().strip(), "10", "11", "12", "13"]


async def test_an_unfinished_line_counts_as_one(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(line("1") + line("2") + line("3", kind="P"))

    assert await texts(tmp_path, tail=1) == ["3"]
    assert await texts(tmp_path, tail=2) == ["2", "3"]
    assert await texts(tmp_path, tail=0) == []
    assert await texts(tmp_path, tail=10**30) == ["1", "2", "3"]


async def test_an_unfinished_line_counts_as_one_for_a_follower_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(line("1") + line("2") + line("3", kind="P"))
    over = False
    lines = read(tmp_path, ALL, 2, True, lambda: over)

    assert [item.text for item in await anext(lines)] == [b"2\n"]
    with log.open("ab") as file:
        file.write(line("4"))
    assert [item.text for item in await anext(lines)] == [b"34\n"]


def test_rotation_keeps_so_many_files(tmp_path: Path) -> None:
    kept = LogPolicy(max_size=10, max_files=3)
    for number in range(5):
        (tmp_path / "log").write_text(f"{number}" * 10)
        assert rotate(tmp_path, kept)

    files = {path.name: path.read_text()[0] for path in tmp_path.iterdir()}
    assert files == {"log.1": "4", "log.2": "3", "log.rotations": "5"}
    (tmp_path / "log").write_text("small")
    assert not rotate(tmp_path, kept)


@pytest.mark.root
async def test_a_containers_log_is_rotated_without_a_loss(runtime: OciRuntime, image: Image, root: Path) -> None:
    task = TaskSpec(log_driver=Driver("json-file", {"max-size": "20k", "max-file": "50"}))
    script = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; sleep 0.2; echo end"
    id = await run(runtime, plan(image, "t", "sh", "-c", script, task=task))
    directory = root / "data/containers" / id

    async with asyncio.timeout(30):
        while "end" not in await text(runtime, id):
            rotate(directory, policy(task.log_driver))
            await asyncio.sleep(0.01)
    await runtime.wait(id)

    assert (await text(runtime, id)).splitlines() == [f"line {n}" for n in range(3000)] + ["end"]
    assert (directory / "log.1").exists()
