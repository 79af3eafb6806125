"""Connection ending: closes established TCP connections to ports of this host (`ss --kill`, the kernel's sock_diag).

Needed because etcd checks a client's certificate only when it connects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kit.process import run

SS_TIMEOUT = 10.0
"""Seconds."""


async def end_connections(ports: Sequence[int], spared: Iterable[str]) -> bool:
    """End the connections to the ports, except those from the spared IP addresses.

    Returns False when some could not be ended: `ss` is missing, or the kernel lacks INET_DIAG_DESTROY.
    """
    command = ("ss", "--no-header", "--numeric", "--tcp")
    chosen = ("state", "established", selection(ports, spared))
    try:
        before = listed_connections((await run(*command, *chosen, timeout=SS_TIMEOUT)).stdout)
        if not before:
            return True
        await run(*command, "--kill", *chosen, timeout=SS_TIMEOUT)
        after = listed_connections((await run(*command, *chosen, timeout=SS_TIMEOUT)).stdout)
    except (OSError, TimeoutError):
        return False
    return not before & after


def selection(ports: Sequence[int], spared: Iterable[str]) -> str:
    """The filter expression for ss."""
    at = " or ".join(f"sport = :{port}" for port in ports)
    shown = (f"[{address}]" if ":" in address else address for address in sorted(spared))
    return " and ".join([f"( {at} )", *(f"not dst {address}" for address in shown)])


def listed_connections(listing: bytes) -> frozenset[str]:
    """The connections in the output of ss, each as "local address:port remote address:port"."""
    rows = (line.split() for line in listing.decode(errors="replace").splitlines())
    return frozenset(" ".join(row[2:4]) for row in rows if len(row) >= 4)
