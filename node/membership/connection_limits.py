"""Limits for connections to the host's gRPC port, as nftables rules: how many per address, and how many per second.

gRPC in Python accepts connections by itself and cannot count them; a proxy before it would copy every image and every
log. In the kernel this is cheap: only a connection's first packet meets these rules. Each port has a table of its own,
so that several daemons in one network namespace do not change each other's.

These limits do not depend on TLS: a connection without a certificate ends after `HANDSHAKE_TIME` (grpc_server.py), so
most of the connections that count here have shown one.
"""

from __future__ import annotations

import asyncio

import structlog

from overlay.interface import NetworkFailure
from overlay.kernel.nftables import NftContext

EACH = 64
"""Connections per address (per /64 with IPv6): a session, images, logs."""
ALL = 4096
"""Connections in all; a manager has one of every host."""
RATE, BURST = 50, 200
"""New connections per address: per second, and in one burst."""

log = structlog.get_logger(__name__)


def table(port: int) -> str:
    """The name of a port's table."""
    return f"argosy_port_{port}"


def rules(port: int) -> str:
    """Commands that replace the port's table, in one transaction."""
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


class ConnectionLimits:
    """The rules of one port, from start to stop. A killed daemon leaves them behind; the next one replaces them."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def start(self) -> None:
        """Load the rules. If the kernel lacks such rules, log that; the port is then without limits."""
        try:
            await asyncio.to_thread(_run, rules(self._port))
        except (NetworkFailure, OSError) as error:
            log.warning("connections to the host's port are not bounded", port=self._port, reason=str(error)[:300])

    async def stop(self) -> None:
        """Remove the rules."""
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
