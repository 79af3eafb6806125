"""Connection ending: which connections are closed."""

from __future__ import annotations

from manager.etcd.connection_ending import listed_connections, selection


def test_the_spared_addresses_are_left_out() -> None:
    assert selection((2379, 2380), {"fd00::1", "10.0.0.1"}) == (
        "( sport = :2379 or sport = :2380 ) and not dst 10.0.0.1 and not dst [fd00::1]"
    )
    assert selection((2379,), ()) == "( sport = :2379 )"


def test_connections_are_told_apart_by_both_their_ends() -> None:
    listing = b"0 39 10.0.0.1:2379 10.0.0.2:4711\n0 0 [::1]:2379 [::1]:5\n\n"
    assert listed_connections(listing) == {"10.0.0.1:2379 10.0.0.2:4711", "[::1]:2379 [::1]:5"}
