"""Pure: which networks' rules load together. nftables takes all or nothing, so one bad rule would stop every other."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from overlay.plan.nft_rules import Part, merge


def refused(own: Part, parts: Mapping[str, Part], loads: Callable[[Part], bool]) -> dict[str, Part]:
    """The parts that are to be left out, by network, so that the others load; none when that does not help.

    `own` is the host's part, which all need; `loads` says whether nftables would take a part as the whole table.
    """
    if not loads(own):
        return {}
    taken, left_out = [own], {}
    for id, part in sorted(parts.items()):
        if loads(merge([*taken, part])):
            taken.append(part)
        else:
            left_out[id] = part
    return left_out
