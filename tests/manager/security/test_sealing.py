"""Sealing: the cluster's keys can be opened by its managers only."""

from __future__ import annotations

import msgspec
import pytest

from api.codec import encode
from api.errors import Unavailable
from api.objects.wanted import Cluster
from manager.security import ca, sealing
from manager.security.encryption import DecryptionError

KEYS = {name: ca.new_key() for name in ("m1", "m2")}
PUBLIC = {name: ca.requested_key(ca.signing_request(key)) for name, key in KEYS.items()}
SEAL_KEY = sealing.new_key()
OPEN = Cluster(
    "c1", ca_key="-----BEGIN PRIVATE KEY-----", worker_secret="ws", manager_secret="ms", data_key=b"d" * 32,
    former_data_keys=[b"e" * 32], seal_key=SEAL_KEY, wraps=sealing.wraps(SEAL_KEY, PUBLIC),
)  # fmt: skip


@pytest.mark.parametrize("node_id", ["m1", "m2"])
def test_every_manager_opens_what_is_closed_with_its_own_key(node_id: str) -> None:
    assert sealing.opened(sealing.closed(OPEN), node_id, KEYS[node_id]) == OPEN


def test_closed_it_shows_nothing_secret() -> None:
    shown = encode(sealing.closed(OPEN))
    for hidden in (b"PRIVATE", b'"ws"', b'"ms"', encode(OPEN.data_key), encode(b"e" * 32), encode(SEAL_KEY)):
        assert hidden not in shown
        assert hidden in encode(OPEN)


def test_who_it_is_not_wrapped_for_does_not_open_it() -> None:
    closed = sealing.closed(OPEN)
    assert sealing.opened(closed, "m3", KEYS["m1"]) == closed
    assert sealing.opened(closed, "m1", KEYS["m2"]) == closed
    with pytest.raises(DecryptionError):
        sealing.unwrap(OPEN.wraps["m1"], "m2", KEYS["m1"])
    with pytest.raises(DecryptionError):
        sealing.unwrap(b"short", "m1", KEYS["m1"])


def test_who_has_not_opened_it_keeps_it_as_it_is_and_cannot_put_keys_in_place_of_those() -> None:
    closed = sealing.closed(OPEN)
    relabelled = msgspec.structs.replace(closed, labels={"a": "b"})
    assert sealing.closed(relabelled).sealed == closed.sealed
    with pytest.raises(Unavailable, match="has not opened the cluster's keys"):
        sealing.closed(msgspec.structs.replace(closed, worker_secret="mine"))


def test_a_cluster_that_was_never_sealed_stays_as_it_is() -> None:
    plain = Cluster("c1", ca_key="key")
    assert sealing.closed(plain) == plain == sealing.opened(plain, "m1", KEYS["m1"])
