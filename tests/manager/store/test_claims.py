"""Claims: a name is taken only while its owner has it."""

from __future__ import annotations

from api.objects.kinds import CLAIM, SECRET
from api.objects.wanted import Claim, Secret
from api.stored_file import SecretSpec
from manager.store.claims import claim, claim_id, is_taken, release
from manager.store.interface import Delete, Put
from tests import make


def test_a_name_is_taken_by_an_owner_that_goes_by_it() -> None:
    state = make.state(
        make.service("s1", name="web"),
        (CLAIM, "service.web", Claim("s1")),
        (CLAIM, "service.old", Claim("s1")),
        (CLAIM, "service.gone", Claim("s2")),
        (SECRET, "x1", Secret("x1", spec=SecretSpec("key"))),
        (CLAIM, "secret.key", Claim("x1")),
    )

    assert is_taken(state, "service", "web")
    assert is_taken(state, "secret", "key")
    assert not is_taken(state, "service", "old")
    assert not is_taken(state, "service", "gone")
    assert not is_taken(state, "config", "key")


def test_a_network_that_is_to_go_gives_its_name_away() -> None:
    claimed = (CLAIM, "network.front", Claim("n1"))
    assert is_taken(make.state(make.network("n1", name="front"), claimed), "network", "front")
    assert not is_taken(make.state(make.network("n1", name="front", removed=True), claimed), "network", "front")


def test_a_claim_is_written_and_given_back_at_its_version_and_by_its_owner_only() -> None:
    state = make.state((CLAIM, "service.web", Claim("s1")))
    version = state.version(CLAIM, "service.web")

    assert claim(state, "service", "api", "s2") == Put(CLAIM, claim_id("service", "api"), Claim("s2"), 0)
    assert claim(state, "service", "web", "s2") == Put(CLAIM, "service.web", Claim("s2"), version)
    assert release(state, "service", "web", "s1") == [Delete(CLAIM, "service.web", version)]
    assert release(state, "service", "web", "s2") == []
