"""Random clusters, each from a seed: laws hold after every commit and every step of an agent, and all comes to rest.

ARGOSY_SIM_SEEDS says how many seeds (300 if not said); docs/design/testing.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from tests.sim.seeds import GROUP, running

SEEDS = int(os.environ.get("ARGOSY_SIM_SEEDS", "300"))


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[int, Future[str]]]:
    """What comes of each group of seeds."""
    with running(0, SEEDS) as groups:
        yield groups


@pytest.mark.parametrize("first", range(0, SEEDS, GROUP))
def test_the_laws_hold_whatever_befalls_the_cluster(outcomes: dict[int, Future[str]], first: int) -> None:
    assert outcomes[first].result() == ""
