"""The guard of containers' ports in a kernel of its own: what is written one way reads as what is written the other."""

from __future__ import annotations

import pytest

from overlay import guard
from overlay.guard import Plug
from overlay.nft import Nft
from overlay.portguard import PortGuard
from tests.overlay.test_rules import elsewhere

pytestmark = pytest.mark.root

PLUGS = (
    Plug("ae0123456789a", "02:42:0a:00:01:07", "10.0.1.7"),
    Plug("ae0123456789ab", "02:42:0a:00:02:07", "10.0.2.7"),
)


def listing() -> str:
    nft = Nft()
    try:
        return nft.run("list table bridge argosy")
    finally:
        nft.close()


def test_what_a_start_adds_is_what_the_whole_table_has() -> None:
    def work() -> tuple[str, str]:
        one = PortGuard("argosy")
        one.take_over({})
        one.admit("a", PLUGS)
        one.admit("a", PLUGS)  # again, as after a start that failed
        added = listing()
        one.renew(frozenset())
        whole = listing()
        one.close()
        return added, whole

    added, whole = elsewhere(work)
    assert sorted(added.split()) == sorted(whole.split())
    assert '"ae0123456789a" . 02:42:0a:00:01:07 . 10.0.1.7' in added


def test_a_table_that_somebody_took_away_is_there_again_before_the_next_port() -> None:
    def work() -> str:
        one = PortGuard("argosy")
        one.take_over({"a": PLUGS[:1]})
        nft = Nft()
        nft.run(guard.remove("argosy"))
        nft.close()
        one.admit("b", PLUGS[1:])
        found = listing()
        one.close()
        return found

    found = elsewhere(work)
    assert "10.0.1.7" in found
    assert "10.0.2.7" in found


def test_a_sandbox_that_is_gone_leaves_with_the_next_renewal() -> None:
    def work() -> str:
        one = PortGuard("argosy")
        one.take_over({"a": PLUGS[:1], "b": PLUGS[1:]})
        one.forget("a")
        one.renew(frozenset({"av4097"}))
        found = listing()
        one.remove()
        one.close()
        return found

    found = elsewhere(work)
    assert "10.0.1.7" not in found
    assert "10.0.2.7" in found
    assert '"av4097"' in found
