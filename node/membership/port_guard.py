"""The host's gRPC port is guarded by the kernel: how many connections an address may have, and how fast it makes them.

gRPC in Python accepts by itself and cannot be asked to count; a proxy before it would copy every image and every log.
The kernel counts for nothing: only a connection's first packet meets these rules. They are in a table of their own,
one for each port, so several daemons in one namespace do not touch each other's.

TLS has no part in this: a stranger's connection ends after `HANDSHAKE_TIME` (grpc_server.py), so what is counted
here is mostly those who have shown a certificate.
"""

from __future__ import annotations

import asyncio

import structlog

from overlay.interface import NetworkFailure
from overlay.kernel.nftables import NftContext

EACH = 64
"""Connections of one address (of one /64, with IPv6): a session, images, logs."""
ALL = 4096
"""Connections in all; a manager has one of every host."""
RATE, BURST = 50, 200
"""New connections of one address: a second, and at once."""

log = structlog.get_logger(__name__)


def table(port: int) -> str:
    """The name of a port's table."""
    return f"argosy_port_{port}"


def rules(port: int) -> str:
    """The table, in place of the one that may be there; one transaction."""
    network = "ip6 saddr and ffff:ffff:ffff:ffff::"
    return f"""
table inet {table(port)}
delete table inet {table(port)}
table inet {table(port)} {{
  set held {{ type ipv4_addr; size 65535; flags dynamic; }}
  set held6 {{ type ipv6_addr; size 65535; flags dynamic; }}
  set fresh {{ type ipv4_addr; size 65535; flags dynamic; timeout 1m; }}
  set fresh6 {{ type ipv6_addr; size 65535; flags dynamic; timeout 1m; }}
  chain input {{ type filter hook input priority -10; policy accept;
    tcp dport {port} ct state new jump door
  }}
  chain door {{
    add @held {{ ip saddr ct count over {EACH} }} counter reject with tcp reset
    add @held6 {{ {network} ct count over {EACH} }} counter reject with tcp reset
    update @fresh {{ ip saddr limit rate over {RATE}/second burst {BURST} packets }} counter drop
    update @fresh6 {{ {network} limit rate over {RATE}/second burst {BURST} packets }} counter drop
    ct count over {ALL} counter reject with tcp reset
  }}
}}
"""


class PortGuard:
    """The rules of one port, from start to stop. A daemon that is killed leaves them; the next one replaces them."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def start(self) -> None:
        """Put the rules in force; a kernel that has no such rules is told of in the log, and the port is open."""
        try:
            await asyncio.to_thread(_run, rules(self._port))
        except (NetworkFailure, OSError) as error:
            log.warning("connections to the host's port are not bounded", port=self._port, reason=str(error)[:300])

    async def stop(self) -> None:
        """Take them away."""
        name = table(self._port)
        try:
            await asyncio.to_thread(_run, f"table inet {name}\ndelete table inet {name}\n")
        except (NetworkFailure, OSError) as error:
            log.warning("the rules of the host's port stay", table=name, reason=str(error)[:300])


def _run(commands: str) -> None:
    nft = NftContext()
    try:
        nft.run(commands)
    finally:
        nft.close()
