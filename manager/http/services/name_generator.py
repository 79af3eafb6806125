"""Random names for services that are created without one, as Docker makes them."""

from __future__ import annotations

import random

_HOW = (
    "agile", "bold", "brave", "bright", "busy", "calm", "clever", "daring", "eager", "fair", "fleet", "gentle",
    "happy", "hardy", "jolly", "keen", "kind", "lively", "lucky", "merry", "modest", "nimble", "noble", "patient",
    "quick", "quiet", "ready", "sturdy", "swift", "vivid",
)  # fmt: skip
_WHAT = (
    "barque", "brig", "caravel", "carrack", "catamaran", "clipper", "cog", "corvette", "cutter", "dhow", "dinghy",
    "frigate", "galleon", "galley", "gondola", "junk", "kayak", "ketch", "lugger", "packet", "pilot", "pinnace", "punt",
    "schooner", "skiff", "sloop", "tender", "trawler", "tug", "xebec", "yawl",
)  # fmt: skip


def invented_name(rng: random.Random) -> str:
    """A name like "nimble_schooner_417"."""
    return f"{rng.choice(_HOW)}_{rng.choice(_WHAT)}_{rng.randrange(1000)}"
