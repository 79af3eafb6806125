"""Rekeying: when the cluster's keys are replaced, and that no data is lost."""

from __future__ import annotations

import msgspec
import pytest

from api.node_spec import NodeSpec
from api.objects.kinds import CLUSTER, DEFAULT_CLUSTER, NODE, SECRET, SERVICE
from api.objects.wanted import Cluster, Node, Secret, Service
from api.registry_auth import Login
from api.states import Role
from api.stored_file import SecretSpec
from manager.security import ca, encryption, sealing
from manager.security.data_key import unsealed
from manager.security.registry_credentials import RegistryCredentials, credentials_of, sealed
from manager.security.rekeying import KEPT, again_in, due
from manager.store.in_memory import MemoryStore
from manager.store.interface import Delete, Put
from tests.manager.certificates import CLUSTER as PLAIN

KEPT_LOGIN = RegistryCredentials("registry.example", Login("me", "pass"))


def public() -> bytes:
    """A node's public key."""
    return ca.requested_key(ca.signing_request(ca.new_key()))


def node(id: str, role: Role = Role.MANAGER, key: bytes | None = None) -> Node:
    """A node with a key."""
    return Node(id, spec=NodeSpec(role=role), public_key=public() if key is None else key)


@pytest.fixture
async def store() -> MemoryStore:
    """Managers m1 and m2, a worker, a secret and a registry login."""
    store, key = MemoryStore(), encryption.new_key()
    await store.commit([Put(CLUSTER, DEFAULT_CLUSTER, msgspec.structs.replace(PLAIN, data_key=key))])
    await store.commit([Put(NODE, id, node(id, role)) for id, role in
                        (("m1", Role.MANAGER), ("m2", Role.MANAGER), ("w1", Role.WORKER))])  # fmt: skip
    await store.commit(
        [Put(SECRET, "x", Secret("x", spec=SecretSpec(name="x"), sealed=encryption.seal(key, "x", b"hush")))]
    )
    await store.commit([Put(SERVICE, "s", sealed(store.state, Service("s"), KEPT_LOGIN)[0])])
    return store


async def settle(store: MemoryStore, now: float = 0.0) -> Cluster:
    """Write what is due until nothing is. Returns the cluster."""
    for _ in range(100):
        if not (changes := due(store.state, now)):
            assert store.state.cluster is not None
            return store.state.cluster
        await store.commit(changes)
    raise AssertionError("there is always something due")


async def test_a_cluster_is_sealed_once_every_managers_key_is_known(store: MemoryStore) -> None:
    await store.commit([Put(NODE, "m2", node("m2", key=b""))])
    assert due(store.state, 0.0) == []
    await store.commit([Put(NODE, "m2", node("m2"))])
    cluster = await settle(store)
    assert (set(cluster.wraps), len(cluster.seal_key)) == ({"m1", "m2"}, 32)
    assert cluster.worker_secret == PLAIN.worker_secret


async def test_a_new_manager_gets_the_keys_and_nothing_else_changes(store: MemoryStore) -> None:
    before = await settle(store)
    await store.commit([Put(NODE, "w1", node("w1"))])
    after = await settle(store)
    assert set(after.wraps) == {"m1", "m2", "w1"}
    assert after == msgspec.structs.replace(before, wraps=after.wraps)


@pytest.mark.parametrize("removed", [False, True])
async def test_when_a_manager_is_one_no_more_all_it_knew_is_made_anew_but_nothing_is_lost(
    store: MemoryStore, removed: bool
) -> None:
    before = await settle(store)
    await store.commit([Put(NODE, "m2", node("m2", Role.WORKER))] if not removed else [])
    if removed:
        await store.commit([Delete(NODE, "m2")])
    after = await settle(store, now=5.0)
    assert set(after.wraps) == {"m1"}
    for name in ("seal_key", "data_key", "worker_secret", "manager_secret"):
        assert getattr(after, name) != getattr(before, name)
    state = store.state
    assert unsealed(state, "x", state.table(SECRET)["x"].sealed) == b"hush"
    assert credentials_of(state, state.services["s"]) == KEPT_LOGIN
    with pytest.raises(encryption.DecryptionError):
        encryption.unseal(before.data_key, "x", state.table(SECRET)["x"].sealed)

    # a secret that another manager has just encrypted with the former key
    assert after.former_data_keys == [before.data_key]
    late = Secret("y", spec=SecretSpec(name="y"), sealed=encryption.seal(before.data_key, "y", b"late"))
    await store.commit([Put(SECRET, "y", late)])
    await settle(store, now=6.0)
    assert unsealed(state, "y", state.table(SECRET)["y"].sealed) == b"late"
    assert again_in(state) is not None
    assert (await settle(store, now=5.0 + KEPT)).former_data_keys == []
    assert again_in(state) is None
    assert unsealed(state, "y", state.table(SECRET)["y"].sealed) == b"late"


async def test_a_manager_that_has_not_opened_the_keys_changes_nothing(store: MemoryStore) -> None:
    cluster = await settle(store)
    await store.commit(
        [Put(CLUSTER, DEFAULT_CLUSTER, sealing.closed(cluster)), Put(NODE, "m2", node("m2", Role.WORKER))]
    )
    assert due(store.state, 0.0) == []
