"""The prefixes that a host itself uses, from its addresses and routes; no cluster network may overlap them. Pure.

Default routes (and the two halves that a VPN sets) do not count, nor do prefixes that never leave a host or a link. The
cluster's own bridges and tables are left out by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, collapse_addresses

from api.network.subnets import WIDEST

_NOT_OURS = tuple(IPv4Network(text) for text in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"))


def prefixes(found: Iterable[tuple[str, int]], most: int) -> tuple[str, ...]:
    """The prefixes that cover these (address, prefix length), in order; of more than `most` only the widest."""
    usable = []
    for address, length in found:
        network = IPv4Network((address, length), strict=False)
        if length >= WIDEST and not any(network.subnet_of(other) for other in _NOT_OURS):
            usable.append(network)
    joined = sorted(collapse_addresses(usable), key=lambda network: (network.prefixlen, network))
    return tuple(str(network) for network in sorted(joined[:most]))


def free_of(used: Iterable[str], candidates: Sequence[str]) -> str:
    """The first of the candidates that overlaps nothing in use; the first of all if each does."""
    taken = [IPv4Network(text, strict=False) for text in used]
    free = (one for one in candidates if not any(IPv4Network(one).overlaps(other) for other in taken))
    return next(free, candidates[0])
