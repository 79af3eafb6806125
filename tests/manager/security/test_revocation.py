"""Revocation: which certificates are revoked."""

from __future__ import annotations

from api.node_spec import NodeSpec
from api.objects.kinds import CERTIFICATE, NODE
from api.objects.wanted import Certificate, Node
from api.states import Role
from manager.security.revocation import (
    expired_records,
    is_recorded,
    record_of,
    revocation_list,
    revoked_by_node,
    serials_in,
)
from manager.store.in_memory import MemoryStore
from manager.store.interface import Delete, Put
from tests.manager.certificates import credentials

MANAGER = Node("m1", spec=NodeSpec(role=Role.MANAGER))


async def test_a_certificate_is_withdrawn_with_its_nodes_role_and_comes_back_with_it() -> None:
    store, certificate = MemoryStore(), credentials("m1", Role.MANAGER).certificate
    await store.commit([Put(NODE, "m1", MANAGER), record_of("m1", certificate)])
    assert is_recorded(store.state, certificate)
    assert revoked_by_node(store.state) == {}
    await store.commit([Put(NODE, "m1", Node("m1"))])
    serials = revoked_by_node(store.state)["m1"]
    assert len(serials) == 1
    await store.commit([Put(NODE, "m1", MANAGER)])
    assert revoked_by_node(store.state) == {}
    await store.commit([Delete(NODE, "m1")])
    assert revoked_by_node(store.state) == {"m1": serials}
    assert serials_in(revocation_list(serials)) == serials


async def test_notes_go_when_the_certificate_has_ended() -> None:
    store = MemoryStore()
    await store.commit([Put(CERTIFICATE, id, Certificate("m1", float(end))) for id, end in (("a", 10), ("b", 30))])
    assert expired_records(store.state, 20.0) == [Delete(CERTIFICATE, "a")]
