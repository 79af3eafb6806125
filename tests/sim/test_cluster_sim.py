"""Random clusters, each from a seed: laws hold after every commit and every step of an agent, and all comes to rest.

ARGOSY_SIM_SEEDS says how many seeds (200 if not said).
"""

from __future__ import annotations

import os

import pytest

from tests.sim.cluster import Cluster

SEEDS = int(os.environ.get("ARGOSY_SIM_SEEDS", "200"))
GROUP = 25


@pytest.mark.parametrize("first", range(0, SEEDS, GROUP))
def test_the_laws_hold_whatever_befalls_the_cluster(first: int) -> None:
    for seed in range(first, min(first + GROUP, SEEDS)):
        try:
            Cluster(seed).run()
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
