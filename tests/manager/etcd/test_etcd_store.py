"""The etcd store: the contract of stores, and failures of etcd."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator

import pytest

from api.errors import TooLarge, Unavailable
from api.objects.kinds import NODE, SESSION
from api.objects.observed import NodeSession
from manager.etcd.etcd_store import EtcdStore
from manager.store.batches import TransactionLimits
from manager.store.interface import ABSENT, Delete, Put, Stale, Store
from tests.contracts.etcd_process import EtcdProcess, free_ports
from tests.contracts.relay import Relay
from tests.contracts.store_contract import PATIENCE, StoreContract, Stores, node, until


def etcdctl(etcd: EtcdProcess, *arguments: str) -> str:
    """The output of etcdctl."""
    command = ["etcdctl", f"--endpoints={etcd.endpoint}", *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True, env={"ETCDCTL_API": "3"}).stdout


@pytest.fixture
async def stores(etcd: EtcdProcess) -> AsyncIterator[Stores]:
    etcdctl(etcd, "del", "--prefix", "/argosy/")
    opened: list[EtcdStore] = []

    async def open_store() -> Store:
        store = EtcdStore([etcd.endpoint])
        await store.start()
        opened.append(store)
        return store

    yield open_store
    for store in opened:
        await store.close()


class TestEtcdStore(StoreContract):
    """The contract, on a real etcd."""


async def commit_until_accepted(store: Store, change: Put) -> None:
    """Try again until the store is back, as every loop of the product does."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await store.commit([change])
                return
            except Unavailable:
                await asyncio.sleep(0.1)


async def test_values_in_etcd_are_readable_json(etcd: EtcdProcess, stores: Stores) -> None:
    store = await stores()

    await store.commit([Put(NODE, "n1", node("n1", "red"))])

    shown = etcdctl(etcd, "get", "/argosy/wanted/nodes/n1", "--print-value-only")
    assert shown.strip() == '{"ID":"n1","Spec":{"Labels":{"label":"red"}}}'


async def test_while_etcd_is_dead_requests_fail_and_afterwards_everything_goes_on(
    etcd: EtcdProcess, stores: Stores
) -> None:
    store, other = await stores(), await stores()
    await store.commit([Put(NODE, "before", node("before"))])
    lease = await store.lease(60)
    await lease.put(SESSION, "n1", NodeSession("m1"))
    etcd.kill()
    try:
        with pytest.raises(Unavailable):
            await store.commit([Put(NODE, "during", node("during"))])
        with pytest.raises(Unavailable):
            await store.lease(5)
        with pytest.raises(Unavailable):
            await lease.refresh()
        assert set(store.state.nodes) == {"before"}
    finally:
        etcd.start()

    await commit_until_accepted(store, Put(NODE, "after", node("after")))
    await until(other, lambda: "after" in other.state.nodes)
    await lease.refresh()

    assert set(other.state.nodes) == {"before", "after"}
    assert other.state.sessions == {"n1": NodeSession("m1")}


async def test_a_store_that_cannot_reach_etcd_says_so_at_start() -> None:
    store = EtcdStore([f"127.0.0.1:{free_ports(1)[0]}"])

    with pytest.raises(Unavailable, match="cannot be used now"):
        await store.start()

    await store.close()


async def test_a_dead_endpoint_is_passed_over(etcd: EtcdProcess, stores: Stores) -> None:
    await stores()
    store = EtcdStore([f"127.0.0.1:{free_ports(1)[0]}", etcd.endpoint])

    await store.start()
    await store.commit([Put(NODE, "n1", node("n1"))])

    assert set(store.state.nodes) == {"n1"}
    await store.close()


async def test_an_endpoint_that_falls_silent_is_left_within_seconds(etcd: EtcdProcess, stores: Stores) -> None:
    writer = await stores()
    relay = Relay(etcd.endpoint)
    await relay.start()
    store = EtcdStore([relay.endpoint, etcd.endpoint])
    await store.start()
    lease = await store.lease(10)

    relay.hold()
    with pytest.raises(Unavailable):
        await lease.refresh()
    await lease.refresh()
    await writer.commit([Put(NODE, "n1", node("n1"))])
    await until(store, lambda: "n1" in store.state.nodes)
    await store.commit([Put(NODE, "n2", node("n2"))])

    assert set(store.state.nodes) == {"n1", "n2"}
    await store.close()
    await relay.close()


async def test_what_was_compacted_while_the_watch_was_away_is_listed_again(etcd: EtcdProcess, stores: Stores) -> None:
    writer = await stores()
    await writer.commit([Put(NODE, "old", node("old")), Put(NODE, "same", node("same"))])
    relay = Relay(etcd.endpoint)
    await relay.start()
    store = EtcdStore([relay.endpoint])
    await store.start()
    dirty = store.track()
    dirty.take()

    relay.cut()
    await writer.commit([Delete(NODE, "old")])
    revision = await writer.commit([Put(NODE, "new", node("new"))])
    etcdctl(etcd, "compact", str(revision))
    relay.heal()
    await until(store, lambda: "new" in store.state.nodes)

    assert set(store.state.nodes) == {"same", "new"}
    assert dirty.nodes == {"old", "new"}
    await store.close()
    await relay.close()


async def test_a_watch_that_breaks_goes_on_where_it_was(etcd: EtcdProcess, stores: Stores) -> None:
    writer = await stores()
    relay = Relay(etcd.endpoint)
    await relay.start()
    store = EtcdStore([relay.endpoint])
    await store.start()

    for number in range(5):
        relay.cut()
        await writer.commit([Put(NODE, f"a{number}", node("x")), Put(NODE, f"b{number}", node("x"))])
        await writer.commit([Delete(NODE, f"a{number}")])
        relay.heal()
        await until(store, lambda: store.state.nodes == writer.state.nodes)

    assert set(store.state.nodes) == {f"b{number}" for number in range(5)}
    await store.close()
    await relay.close()


async def test_a_commit_over_the_limits_is_split(etcd: EtcdProcess, stores: Stores) -> None:
    await stores()
    store = EtcdStore([etcd.endpoint], limits=TransactionLimits(operations=10))
    await store.start()

    last = await store.commit([Put(NODE, f"n{i}", node(f"n{i}")) for i in range(25)])

    assert len(store.state.nodes) == 25
    assert len({store.state.version(NODE, f"n{i}") for i in range(25)}) == 3
    assert store.state.version(NODE, "n24") == last
    await store.close()


async def test_of_a_split_commit_what_came_before_the_refused_part_stays_and_is_seen(
    etcd: EtcdProcess, stores: Stores
) -> None:
    await stores()
    store = EtcdStore([etcd.endpoint], limits=TransactionLimits(operations=2))
    await store.start()
    await store.commit([Put(NODE, "taken", node("taken"))])

    with pytest.raises(Stale, match="wanted/nodes/taken exists already"):
        await store.commit(
            [Put(NODE, name, node(name), expected=ABSENT) for name in ("a", "b")]
            + [Put(NODE, "taken", node("taken"), expected=ABSENT)]
        )

    assert set(store.state.nodes) == {"a", "b", "taken"}
    await store.close()


async def test_the_largest_commit_of_compared_keys_fits_one_transaction(stores: Stores) -> None:
    store = await stores()
    names = [f"n{i}" for i in range(TransactionLimits().operations)]

    revision = await store.commit([Put(NODE, name, node(name), expected=ABSENT) for name in names])
    gone = await store.commit([Delete(NODE, name, expected=revision) for name in names])

    assert gone == revision + 1
    assert not store.state.nodes


async def test_a_value_that_etcd_does_not_take_is_refused_in_a_sentence(stores: Stores) -> None:
    store = await stores()

    with pytest.raises(TooLarge, match="etcd does not take a change of this size"):
        await store.commit([Put(NODE, "n1", node("n1", "x" * (34 << 20)))])


async def test_keys_and_values_that_are_none_of_ours_are_passed_over(etcd: EtcdProcess, stores: Stores) -> None:
    store = await stores()
    etcdctl(etcd, "put", "/argosy/wanted/nodes/bad", "not json")
    etcdctl(etcd, "put", "/argosy/from/the/future", "{}")

    await store.commit([Put(NODE, "n1", node("n1"))])
    again = await stores()

    assert set(store.state.nodes) == {"n1"}
    assert set(again.state.nodes) == {"n1"}


async def test_a_state_of_many_pages_is_loaded(stores: Stores) -> None:
    store = await stores()
    await store.commit([Put(NODE, f"n{i}", node(f"n{i}")) for i in range(5001)])

    other = await stores()

    assert other.state.nodes == store.state.nodes
