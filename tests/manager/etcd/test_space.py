"""Space in etcd: which action is chosen, and a flood of writes to a real etcd with a small quota."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.errors import Unavailable
from api.objects.kinds import CONFIG, NODE
from api.objects.wanted import Config
from api.stored_file import ConfigSpec
from manager.etcd.etcd_store import FULL, EtcdStore
from manager.etcd.space import LastCompaction, SpaceAction, SpaceUsage, next_action
from manager.store.interface import Delete, Put
from tests.contracts.etcd_process import EtcdProcess
from tests.contracts.store_contract import node

QUOTA = 16 << 20


@pytest.mark.parametrize(
    ("space", "last", "act"),
    [
        (SpaceUsage(100, 40, 30, 9), LastCompaction(), None),
        (SpaceUsage(100, 60, 55, 9), LastCompaction(), SpaceAction.COMPACT),
        (SpaceUsage(100, 60, 55, 9), LastCompaction(7, 53), None),  # no history to compact
        (
            SpaceUsage(100, 90, 85, 9),
            LastCompaction(7, 84),
            SpaceAction.COMPACT,
        ),  # full: objects may have been deleted since
        (SpaceUsage(100, 90, 85, 9), LastCompaction(9, 85), None),
        (SpaceUsage(100, 75, 30, 9), LastCompaction(9, 30), SpaceAction.DEFRAGMENT),
        (SpaceUsage(100, 65, 30, 9), LastCompaction(9, 30), None),
        (SpaceUsage(100, 101, 90, 9, alarm=True), LastCompaction(8, 90), SpaceAction.COMPACT),
        (SpaceUsage(100, 101, 98, 9, alarm=True), LastCompaction(9, 98), SpaceAction.DEFRAGMENT),
        (SpaceUsage(100, 20, 20, 9, alarm=True), LastCompaction(9, 98, defragmented=True), SpaceAction.DISARM),
        (
            SpaceUsage(100, 101, 98, 9, alarm=True),
            LastCompaction(9, 98, defragmented=True),
            None,
        ),  # users have to delete something
    ],
)
def test_what_is_done_when(space: SpaceUsage, last: LastCompaction, act: SpaceAction | None) -> None:
    assert next_action(space, last) is act


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EtcdStore]:
    etcd = EtcdProcess(tmp_path, f"--quota-backend-bytes={QUOTA}")
    etcd.start()
    store = EtcdStore([etcd.endpoint])
    await store.start()
    store.keep_room(etcd.endpoint, None, QUOTA)
    assert store.space is not None
    store.space.pause = 0.1
    try:
        yield store
    finally:
        await store.close()
        etcd.kill()


def config(number: int, size: int) -> Config:
    return Config(f"c{number}", spec=ConfigSpec(f"conf{number}", data=bytes(size)))


async def test_a_flood_of_updates_leaves_the_store_writable(store: EtcdStore) -> None:
    """The same few objects written again and again: 48 MiB with a quota of 16."""
    refused = 0
    for number in range(256):
        while True:
            try:
                await store.commit([Put(CONFIG, f"c{number % 4}", config(number % 4, 190_000))])
                break
            except Unavailable:
                refused += 1
                assert refused < 600, "it does not recover"
                await asyncio.sleep(0.1)
    await store.commit([Put(NODE, "n1", node("n1"))])


async def test_a_store_full_of_configs_refuses_more_in_words_and_recovers_when_some_are_removed(
    store: EtcdStore,
) -> None:
    assert store.space is not None
    store.space.pause = 3600.0
    await asyncio.sleep(0.2)  # from here on it checks only when the test calls it
    stored, refusal = 0, ""
    while not refusal and stored < 200:
        try:
            await store.commit([Put(CONFIG, f"c{stored}", config(stored, 200_000))])
            stored += 1
        except Unavailable as error:
            refusal = str(error)
        await asyncio.sleep(0.15)  # etcd counts only what it has written to its file
        await store.space.check()
    assert refusal == FULL
    # what the leader and agents write is still accepted, so that the cluster works
    lease = await store.lease(60)
    await lease.end()
    for number in range(stored):
        await store.commit([Delete(CONFIG, f"c{number}")])

    async def writable() -> None:
        assert store.space is not None
        while True:
            try:
                await store.commit([Put(CONFIG, "new", config(0, 200_000))])
                return
            except Unavailable:
                await store.space.check()

    await asyncio.wait_for(writable(), 60)
