"""The kernel of this host, brought from one planned state of its networks to another: objects, sysctls and rules.

Every method but `run` and `close` is blocking and is called in the worker thread, by `run`. One network's failure does
not stop the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from typing import TypeVar

import structlog

from api.wire.host_bounds import MOST_PREFIXES
from overlay.interface import NetworkFailure
from overlay.kernel.kernel_networks import KernelNetworks, find_host, read_host_prefixes
from overlay.kernel.nft_table import NftTable
from overlay.kernel.sysctl_files import write_sysctls
from overlay.plan import host_prefixes, link_names, rejected_fragments, sysctls
from overlay.plan.host_state import HostState
from overlay.plan.kernel_diff import diff
from overlay.plan.kernel_objects import Address, ApplyObject, Bridge, HostFacts, Operation
from overlay.plan.nft_rules import NftFragment

log = structlog.get_logger(__name__)

LOCAL_ALTERNATIVES = ("172.30.240.0/20", "192.168.240.0/20", "100.127.240.0/20")
"""Subnets for the host's own network, if the host itself is in the usual one."""

T = TypeVar("T")


class HostKernel:
    """The networks in this host's kernel, and the thread that works on them."""

    def __init__(self, address: str, vxlan_port: int, table: str) -> None:
        """`address` is the underlay's; `table` is the name of the nftables table."""
        self.host = HostFacts(address, "", 1500, vxlan_port)
        self.rejected: dict[str, NftFragment] = {}
        """Fragments that nftables rejected, by network id; they are left out of the next state."""
        self.is_loaded = False
        """Whether `bring` has loaded the rules, even if devices failed; the caller resets it before a round."""
        self._table_name = table
        self._pool: ThreadPoolExecutor | None = None
        self._networks: KernelNetworks | None = None
        self._table: NftTable | None = None

    async def run(self, work: Callable[[], T]) -> T:
        """Run blocking work in the worker thread."""
        self._pool = self._pool or ThreadPoolExecutor(1, "networks")
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._pool, work))

    def close(self) -> None:
        """End the thread and close the sockets; everything in the kernel stays."""
        if self._pool:
            self._pool.shutdown(wait=True)
            self._pool = None
        if self._networks:
            self._networks.close()
            self._networks = None
        if self._table:
            self._table.close()
            self._table = None

    def connect(self) -> None:
        """Open the sockets and read the host's facts. Idempotent."""
        if self._networks is None:
            self.host = find_host(self.host.address, self.host.vxlan_port)
            self._networks = KernelNetworks(self.host)
        self._table = self._table or NftTable(self._table_name)

    def choose_local_subnet(self, usual: IPv4Network) -> IPv4Network:
        """The subnet of the host's own network: the one it has, else one that does not overlap the host's own."""
        assert self._networks is not None
        existing = [what for what in self._networks.read() if isinstance(what, Address)]
        for one in existing:
            if one.link == link_names.LOCAL_BRIDGE_LINK:
                return IPv4Network(one.address, strict=False)
        used = [*host_prefixes.prefixes(read_host_prefixes(), MOST_PREFIXES), *(one.address for one in existing)]
        chosen = host_prefixes.free_of(used, (str(usual), *LOCAL_ALTERNATIVES))
        if chosen != str(usual):
            log.warning("the host is itself in the usual subnet of its own network", instead=chosen)
        return IPv4Network(chosen)

    def bring(self, before: HostState, after: HostState, whole: bool, keep: bool) -> None:
        """Bring the kernel from one state to the other; `whole`: from whatever state it is in.

        `keep`: remove nothing, and do not replace rules that a former agent wrote. Raises NetworkFailure, OSError.
        """
        assert self._networks is not None
        assert self._table is not None
        desired = after.bridge_ports.union(
            *(p for id, p in after.plans.items() if whole or before.plans.get(id) is not p)
        )
        known = before.bridge_ports.union(*(p for id, p in before.plans.items() if after.plans.get(id) is not p))
        actual = self._networks.read() if whole else known
        operations: list[Operation] = diff(actual, desired)
        if keep:
            operations = [operation for operation in operations if isinstance(operation, ApplyObject)]
        failure: Exception | None = None
        try:
            self._networks.apply(operations)
        except Exception as error:
            failure = error
        for what in desired:
            if isinstance(what, Bridge) and (whole or ApplyObject(what) in operations):
                try:
                    write_sysctls(sysctls.for_bridge(what.name))
                except OSError as error:
                    failure = failure or error
        if not (keep and self._table.listing()):
            self._load_rules(self._table, after, whole)
        self.is_loaded = True
        if failure:
            raise failure

    def lacking(self, state: HostState) -> frozenset[str]:
        """Ids of networks whose devices or addresses are not all in the kernel."""
        assert self._networks is not None
        actual = self._networks.read()
        needed = {id: {what for what in plan if what.order <= Address.order} for id, plan in state.plans.items()}
        return frozenset(id for id, objects in needed.items() if not objects <= actual)

    def clear(self) -> None:
        """Remove all of Argosy's objects and rules. Raises NetworkFailure."""
        assert self._networks is not None
        assert self._table is not None
        self._networks.apply(diff(self._networks.read(), frozenset()))
        self._table.clear()

    def _load_rules(self, table: NftTable, after: HostState, whole: bool) -> None:
        """Raises NetworkFailure; the networks whose rules caused it are left out of the next state."""
        port = self.host.vxlan_port
        try:
            table.bring(after.merged, port, check=whole)
        except NetworkFailure:
            self.rejected = rejected_fragments.rejected(
                after.own, after.fragments, lambda fragment: table.would_take(fragment, port)
            )
            raise
