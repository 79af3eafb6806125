"""The table in the kernel: a failed change is made later, and an unchanged table is not loaded again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from overlay.host_networks import HostNetworks
from overlay.interface import NetworkFailure, NetworkView
from overlay.kernel.nft_table import NftTable
from overlay.kernel.nftables import NftContext
from overlay.plan.network_snapshot import NetworkSnapshot
from overlay.plan.nft_rules import NftFragment
from tests.overlay.hosts import sh
from tests.overlay.orders import HOST, ingress_snapshot
from tests.overlay.plan.test_nft_rules import elsewhere, fragment_of, unready

pytestmark = pytest.mark.root

PORT = 4789
BOTH = ingress_snapshot()
ONE = replace(BOTH, endpoints=(BOTH.endpoints[0], unready(BOTH.endpoints[1])))


def with_ruleset(work: Callable[[NftTable], None]) -> None:
    """In a network namespace of its own."""

    def run() -> None:
        ruleset = NftTable("argosy")
        try:
            work(ruleset)
        except BaseException as error:
            found.append(error)
        finally:
            ruleset.close()

    found: list[BaseException] = []
    elsewhere(run)
    if found:
        raise found[0]


def test_a_change_that_failed_is_made_by_the_next_one() -> None:
    def work(ruleset: NftTable) -> None:
        ruleset.bring(fragment_of(BOTH), PORT, check=False)
        bad = fragment_of(ONE)
        with pytest.raises(NetworkFailure):
            ruleset.bring(NftFragment(bad.sets, {**bad.chains, "bad": ("no rule at all",)}), PORT, check=False)
        assert leads_to_both(ruleset.listing())
        ruleset.bring(fragment_of(ONE), PORT, check=False)
        assert not leads_to_both(ruleset.listing())

    with_ruleset(work)


def test_only_a_table_that_somebody_changed_is_loaded_anew() -> None:
    def work(ruleset: NftTable) -> None:
        ruleset.bring(fragment_of(BOTH), PORT, check=False)
        ruleset.bring(fragment_of(ONE), PORT, check=False)
        loaded = handle()
        for _ in range(2):
            ruleset.bring(fragment_of(ONE), PORT, check=True)
        assert handle() == loaded
        nft = NftContext()
        nft.run("add table ip other")
        ruleset.bring(fragment_of(ONE), PORT, check=True)
        assert handle() == loaded, "somebody's own table"
        nft.run("flush chain ip argosy forward")
        ruleset.bring(fragment_of(ONE), PORT, check=True)
        assert handle() != loaded
        assert "ct status dnat accept" in ruleset.listing()
        nft.run("delete table ip argosy")
        ruleset.bring(fragment_of(ONE), PORT, check=True)
        assert "ct status dnat accept" in ruleset.listing()
        nft.close()

    with_ruleset(work)


def test_a_new_agent_takes_over_the_table_as_it_is() -> None:
    def work(ruleset: NftTable) -> None:
        ruleset.bring(fragment_of(BOTH), PORT, check=False)
        ruleset.bring(fragment_of(ONE), PORT, check=False)
        ruleset.bring(fragment_of(BOTH), PORT, check=False)
        loaded = handle()
        for wanted, same in ((BOTH, True), (ONE, False), (ONE, True)):
            new = NftTable("argosy")
            new.bring(fragment_of(wanted), PORT, check=True)
            assert (handle() == loaded) is same
            assert leads_to_both(new.listing()) is (wanted is BOTH)
            loaded = handle()
            new.close()

    with_ruleset(work)


def handle() -> int:
    """Of the table: another one when it was made anew."""
    listing = json.loads(sh("nft", "-j", "-a", "list", "tables"))
    return next(o["table"]["handle"] for o in listing["nftables"] if o.get("table", {}).get("name") == "argosy")


def test_rules_of_a_failed_round_are_not_reported_as_in_force(tmp_path: Path) -> None:
    """The kernel could not be read once, just as an endpoint left."""

    def view(snapshot: NetworkSnapshot) -> NetworkView:
        return NetworkView(
            {BOTH.network.id: BOTH.network},
            {service.id: service for service in snapshot.services},
            {endpoint.id: endpoint for endpoint in snapshot.endpoints},
            {peer.id: peer for peer in snapshot.peers},
        )

    async def rounds() -> str:
        networks = HostNetworks(HOST.address, tmp_path, resync=0.2, resolv_conf=tmp_path / "none")
        await networks.start()
        networks.update(view(BOTH))
        await networks.settled()
        kernel = networks._kernel._networks
        assert kernel
        read, failures = kernel.read, [0]

        def read_or_fail() -> object:
            failures[0] += 1
            if failures[0] == 1:
                networks.update(view(ONE))
            if failures[0] <= 4:
                raise OSError("no buffer space")
            return read()

        # the second failing round is the one with the new view; each round reads twice
        kernel.read = read_or_fail  # type: ignore[method-assign, assignment]
        while not failures[0]:
            await asyncio.sleep(0.01)
        await networks.routed()
        nft = NftContext()
        listing = await networks._kernel.run(lambda: nft.run("list table ip argosy"))
        await networks.remove_all()
        return listing

    def run() -> None:
        found.append(asyncio.run(rounds()))

    found: list[str] = []
    elsewhere(run)
    assert "dnat to 10.0.1.11" in found[0]
    assert not leads_to_both(found[0])


def leads_to_both(listing: str) -> bool:
    return "1 : 10.0.1.12" in listing
