"""Which networks' rules nftables rejects. Pure.

nftables loads all or nothing, so one bad rule would keep out every other network's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from overlay.plan.nft_rules import NftFragment, merge


def rejected(
    own: NftFragment, fragments: Mapping[str, NftFragment], loads: Callable[[NftFragment], bool]
) -> dict[str, NftFragment]:
    """The fragments to leave out, by network, so that the others load; empty if the host's own does not load.

    `own` is the host's fragment, which every load needs; `loads` says whether nftables would accept a fragment as the
    whole table.
    """
    if not loads(own):
        return {}
    taken, left_out = [own], {}
    for id, fragment in sorted(fragments.items()):
        if loads(merge([*taken, fragment])):
            taken.append(fragment)
        else:
            left_out[id] = fragment
    return left_out
