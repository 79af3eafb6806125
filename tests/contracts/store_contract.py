"""What every store promises: one suite, run in memory and on a real etcd.

A subclass brings a fixture `stores`: a function that opens a further store on one and the same cluster, empty at first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from api.node_spec import NodeSpec
from api.objects.kinds import LEADERSHIP, NODE, SERVICE, SESSION, STATUS
from api.objects.observed import Leadership, NodeSession, TaskStatus
from api.objects.wanted import Node, Service
from api.service.service_spec import ServiceSpec
from api.states import TaskState
from manager.store.interface import ABSENT, Delete, Fence, Fenced, Lease, LeaseEnded, Put, Stale, Store
from manager.store.keys import path_of

Stores = Callable[[], Awaitable[Store]]
TTL = 2.0
"""The shortest lease etcd gives."""
PATIENCE = 30.0


async def until(store: Store, condition: Callable[[], Any]) -> None:
    """Wait until the store's state meets the condition."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await store.wait_newer(store.state.revision)


def node(name: str, label: str = "") -> Node:
    """A small value that can be told from others."""
    return Node(id=name, spec=NodeSpec(labels={"label": label} if label else {}))


async def lead(store: Store) -> tuple[Lease, Fence]:
    """Take the leadership's key."""
    lease = await store.lease(TTL)
    revision = await lease.put(LEADERSHIP, "current", Leadership("m1"), expected=ABSENT)
    return lease, Fence(path_of(LEADERSHIP, "current"), revision)


class StoreContract:
    """The promises of manager/store/interface.py, one by one."""

    async def test_a_writer_reads_its_own_write_at_once(self, stores: Stores) -> None:
        store = await stores()

        revision = await store.commit([Put(NODE, "n1", node("n1", "red"))])

        assert store.state.nodes["n1"] == node("n1", "red")
        assert store.state.version(NODE, "n1") == revision
        assert store.state.revision >= revision

    async def test_a_store_opened_later_has_everything(self, stores: Stores) -> None:
        first = await stores()
        await first.commit([Put(NODE, f"n{i}", node(f"n{i}")) for i in range(20)])
        await first.commit([Delete(NODE, "n7")])

        second = await stores()

        assert second.state.nodes == first.state.nodes
        assert second.state.version(NODE, "n3") == first.state.version(NODE, "n3")

    async def test_stores_see_one_another_in_order_and_without_a_gap(self, stores: Stores) -> None:
        writer, reader = await stores(), await stores()
        seen: list[str] = []

        async def watch() -> None:
            while "200" not in seen:
                await reader.wait_newer(reader.state.revision)
                current = reader.state.nodes["n"].spec.labels["label"]
                assert not seen or int(current) >= int(seen[-1])
                seen.append(current)

        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            group.create_task(watch())
            for number in range(1, 201):
                await writer.commit([Put(NODE, "n", node("n", str(number))), Put(NODE, f"n{number}", node("x"))])

        assert len(reader.state.nodes) == 201

    async def test_a_write_at_an_old_version_is_refused_and_nothing_of_its_commit_written(self, stores: Stores) -> None:
        store = await stores()
        old = await store.commit([Put(NODE, "n1", node("n1"))])
        await store.commit([Put(NODE, "n1", node("n1", "newer"))])

        with pytest.raises(Stale):
            await store.commit([Put(NODE, "n2", node("n2")), Put(NODE, "n1", node("n1", "late"), expected=old)])

        assert store.state.nodes == {"n1": node("n1", "newer")}

    async def test_an_absent_key_can_be_demanded(self, stores: Stores) -> None:
        store = await stores()
        await store.commit([Put(NODE, "n1", node("n1"), expected=ABSENT)])

        with pytest.raises(Stale):
            await store.commit([Put(NODE, "n1", node("n1", "second"), expected=ABSENT)])

        await store.commit([Delete(NODE, "n1")])
        await store.commit([Put(NODE, "n1", node("n1", "third"), expected=ABSENT)])
        assert store.state.nodes == {"n1": node("n1", "third")}

    async def test_a_delete_at_an_old_version_is_refused(self, stores: Stores) -> None:
        store = await stores()
        old = await store.commit([Put(NODE, "n1", node("n1"))])
        new = await store.commit([Put(NODE, "n1", node("n1", "newer"))])

        with pytest.raises(Stale):
            await store.commit([Delete(NODE, "n1", expected=old)])
        await store.commit([Delete(NODE, "n1", expected=new)])

        assert not store.state.nodes

    async def test_of_two_writers_at_one_version_one_wins(self, stores: Stores) -> None:
        one, two = await stores(), await stores()
        version = await one.commit([Put(NODE, "n1", node("n1"))])

        results = await asyncio.gather(
            one.commit([Put(NODE, "n1", node("n1", "one"), expected=version)]),
            two.commit([Put(NODE, "n1", node("n1", "two"), expected=version)]),
            return_exceptions=True,
        )

        assert sorted(type(result).__name__ for result in results) == ["Stale", "int"]

    async def test_deleting_what_is_not_there_changes_nothing(self, stores: Stores) -> None:
        store = await stores()
        await store.commit([Put(NODE, "n1", node("n1"))])

        await store.commit([Delete(NODE, "never")])
        await store.commit([])

        assert store.state.nodes == {"n1": node("n1")}

    async def test_a_key_changed_twice_in_one_commit_is_refused(self, stores: Stores) -> None:
        store = await stores()

        with pytest.raises(ValueError, match="wanted/nodes/n1 twice"):
            await store.commit([Put(NODE, "n1", node("n1")), Delete(NODE, "n1")])

    async def test_ids_of_different_kinds_do_not_meet(self, stores: Stores) -> None:
        store = await stores()
        status = TaskStatus(TaskState.RUNNING, 12.5, "started")

        await store.commit([Put(NODE, "x", node("x")), Put(STATUS, "x", status)])
        await store.commit([Delete(NODE, "x")])

        assert not store.state.nodes
        assert store.state.statuses == {"x": status}

    async def test_a_commit_of_many_thousand_keys_arrives_whole(self, stores: Stores) -> None:
        store, other = await stores(), await stores()
        changes = [Put(NODE, f"n{i:05}", node(f"n{i:05}", "x" * 50)) for i in range(12_000)]

        revision = await store.commit(changes)

        assert len(store.state.nodes) == 12_000
        await until(other, lambda: other.state.revision >= revision)
        assert other.state.nodes == store.state.nodes

    async def test_a_fence_lets_the_leader_write_and_nobody_after_it(self, stores: Stores) -> None:
        store = await stores()
        lease, fence = await lead(store)
        await store.commit([Put(NODE, "n1", node("n1"))], fence)
        await lease.end()

        with pytest.raises(Fenced):
            await store.commit([Put(NODE, "n2", node("n2"))], fence)

        assert set(store.state.nodes) == {"n1"}

    async def test_the_next_leader_fences_off_the_one_before(self, stores: Stores) -> None:
        store = await stores()
        lease, old = await lead(store)
        await lease.end()
        _, new = await lead(store)

        with pytest.raises(Fenced):
            await store.commit([Put(NODE, "n1", node("n1"))], old)
        await store.commit([Put(NODE, "n1", node("n1"))], new)

        assert set(store.state.nodes) == {"n1"}

    async def test_being_fenced_is_told_before_being_stale(self, stores: Stores) -> None:
        store = await stores()
        lease, fence = await lead(store)
        await lease.end()

        with pytest.raises(Fenced):
            await store.commit([Put(NODE, "n1", node("n1"), expected=77)], fence)

    async def test_of_commits_made_at_once_each_succeeds_or_fails_by_itself(self, stores: Stores) -> None:
        store = await stores()
        _, fence = await lead(store)
        version = await store.commit([Put(NODE, "taken", node("taken"))])
        fine = [
            [Put(NODE, f"n{i}", node(f"n{i}"), ABSENT), Put(STATUS, f"n{i}", TaskStatus(TaskState.NEW))]
            for i in range(40)
        ]
        stale = [Put(NODE, "partly", node("partly")), Put(NODE, "taken", node("late"), expected=version - 1)]
        fenced = [Put(NODE, "usurper", node("usurper"))]

        commits = [*(store.commit(changes) for changes in fine), store.commit(stale), store.commit([])]
        results = await asyncio.gather(
            *commits, store.commit(fenced, Fence(fence.key, fence.revision - 1)), store.commit([Delete(NODE, "never")]),
            store.commit([Put(NODE, "leader", node("leader"))], fence), return_exceptions=True,
        )  # fmt: skip

        kinds = [type(result).__name__ for result in results]
        assert kinds == ["int"] * 40 + ["Stale", "int", "Fenced", "int", "int"]
        assert set(store.state.nodes) == {f"n{i}" for i in range(40)} | {"taken", "leader"}
        assert len(store.state.statuses) == 40
        assert store.state.nodes["taken"] == node("taken")

    async def test_commits_of_one_key_made_at_once_come_one_after_another(self, stores: Stores) -> None:
        store = await stores()

        results = await asyncio.gather(
            *(store.commit([Put(NODE, "n1", node("n1", str(i)), expected=ABSENT)]) for i in range(20)),
            *(store.commit([Put(NODE, "n2", node("n2", str(i)))]) for i in range(20)),
            return_exceptions=True,
        )

        assert sorted(type(result).__name__ for result in results[:20]) == ["Stale"] * 19 + ["int"]
        revisions = [result for result in results[20:] if isinstance(result, int)]
        assert len(set(revisions)) == 20
        assert store.state.version(NODE, "n2") == max(revisions)

    async def test_a_commit_that_is_given_up_does_not_hold_up_the_others(self, stores: Stores) -> None:
        store = await stores()
        commits = [asyncio.ensure_future(store.commit([Put(NODE, f"n{i}", node(f"n{i}"))])) for i in range(10)]
        await asyncio.sleep(0)
        for commit in commits[::2]:
            commit.cancel()

        await asyncio.gather(*commits, return_exceptions=True)
        await store.commit([Put(NODE, "after", node("after"))])

        assert {"n1", "n3", "n5", "n7", "n9", "after"} <= set(store.state.nodes)

    async def test_a_leased_key_goes_when_nobody_refreshes_it(self, stores: Stores) -> None:
        store = await stores()
        lease = await store.lease(TTL)
        await lease.put(SESSION, "n1", NodeSession("m1"))
        await store.commit([Put(NODE, "n1", node("n1"))])
        assert store.state.sessions == {"n1": NodeSession("m1")}

        await until(store, lambda: not store.state.sessions)

        assert set(store.state.nodes) == {"n1"}
        with pytest.raises(LeaseEnded):
            await lease.refresh()
        with pytest.raises(LeaseEnded):
            await lease.put(SESSION, "n1", NodeSession("m1"))

    async def test_a_refreshed_lease_stays(self, stores: Stores) -> None:
        store = await stores()
        kept, left = await store.lease(TTL), await store.lease(TTL)
        await kept.put(SESSION, "kept", NodeSession("m1"))
        await left.put(SESSION, "left", NodeSession("m1"))

        async with asyncio.timeout(PATIENCE):
            while "left" in store.state.sessions:
                await kept.refresh()
                await asyncio.sleep(TTL / 8)

        assert set(store.state.sessions) == {"kept"}
        await kept.end()
        await until(store, lambda: not store.state.sessions)

    async def test_many_leases_are_refreshed_side_by_side(self, stores: Stores) -> None:
        store = await stores()
        leases = [await store.lease(TTL) for _ in range(50)]

        for _ in range(3):
            await asyncio.gather(*(lease.refresh() for lease in leases))

        await asyncio.gather(*(lease.end() for lease in leases))
        results = await asyncio.gather(*(lease.refresh() for lease in leases), return_exceptions=True)
        assert {type(result) for result in results} == {LeaseEnded}

    async def test_a_key_taken_over_by_another_lease_outlives_the_first(self, stores: Stores) -> None:
        store = await stores()
        first, second = await store.lease(TTL), await store.lease(60)
        await first.put(SESSION, "n1", NodeSession("m1"))
        await second.put(SESSION, "n1", NodeSession("m2"))

        await first.end()
        await store.commit([Put(NODE, "later", node("later"))])

        assert store.state.sessions == {"n1": NodeSession("m2")}

    async def test_a_tracker_begins_with_everything_and_collects_what_changes(self, stores: Stores) -> None:
        store = await stores()
        await store.commit([Put(SERVICE, "s1", Service("s1", spec=ServiceSpec(name="web")))])

        dirty = store.track()
        begin = dirty.take()
        await store.commit([Put(NODE, "n1", node("n1"))])
        later = dirty.take()
        store.untrack(dirty)
        await store.commit([Put(NODE, "n2", node("n2"))])

        assert begin.services == {"s1"}
        assert (later.services, later.nodes) == (set(), {"n1"})
        assert not dirty
