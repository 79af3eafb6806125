"""The guard table in a kernel namespace: elements added by netlink and by libnftables read the same."""

from __future__ import annotations

import pytest

from overlay.kernel.nftables import NftContext
from overlay.kernel.port_guard import PortGuard
from overlay.plan import port_guard_rules
from overlay.plan.port_guard_rules import GuardedPort
from tests.overlay.plan.test_nft_rules import elsewhere

pytestmark = pytest.mark.root

PLUGS = (
    GuardedPort("ae0123456789a", "02:42:0a:00:01:07", "10.0.1.7"),
    GuardedPort("ae0123456789ab", "02:42:0a:00:02:07", "10.0.2.7"),
)


def listing() -> str:
    nft = NftContext()
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
        nft = NftContext()
        nft.run(port_guard_rules.remove("argosy"))
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


def test_a_table_that_is_as_it_should_be_is_not_replaced() -> None:
    """While it is, packets pass it: sets of a table that goes are empty at once."""

    def work() -> tuple[list[str], list[str]]:
        one = PortGuard("argosy")
        one.take_over({"a": PLUGS[:1]})
        done: list[str] = []
        run = one._run
        one._run = lambda commands: (done.append(commands), run(commands))[1]  # type: ignore[method-assign]
        one.renew(frozenset())
        one.admit("b", PLUGS[1:])
        one.forget("a")
        one.renew(frozenset({"av4097"}))
        changed = [text for text in done if not text.startswith("list")]
        nft = NftContext()
        nft.run("flush chain bridge argosy guard")
        nft.close()
        one.renew(frozenset({"av4097"}))
        one.close()
        return changed, [text for text in done if not text.startswith("list")][len(changed) :]

    changed, mended = elsewhere(work)
    assert changed == [
        'delete element bridge argosy ports { "ae0123456789a" }\n'
        'delete element bridge argosy own { "ae0123456789a" . 02:42:0a:00:01:07 . 10.0.1.7 }\n'
        'add element bridge argosy tunnels { "av4097" }\n'
    ]
    assert len(mended) == 1
    assert mended[0].startswith("add table")
