"""The networks of this host, kept as the newest view wants them.

view → snapshots → plan → diff → kernel; snapshots → rules → nftables; snapshots → names → DNS. Only networks that
changed are planned again. Every minute, and after an error, the kernel is read and compared with what is wanted.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from pathlib import Path
from typing import NoReturn, TypeVar

import structlog

from api.defaults import LOCAL_SUBNET, VXLAN_PORT
from api.service.ports import PortConfig
from api.wire.host_bounds import MOST_PREFIXES
from kit.ip import address_of
from kit.process import run
from kit.supervisor import stop, supervise
from kit.timing import backoff
from kit.troubles import Troubles, error_sentence
from overlay.interface import LOCAL_BRIDGE, NetworkFailure, NetworkView, Sandbox
from overlay.kernel.conntrack import Conntrack
from overlay.kernel.kernel_networks import KernelNetworks, find_host, read_host_prefixes
from overlay.kernel.nft_table import NftTable
from overlay.kernel.sysctl_files import read_sysctls, write_sysctls
from overlay.plan import datagram_routes, host_prefixes, link_names, rejected_fragments, sysctls
from overlay.plan.datagram_routes import Frontend
from overlay.plan.host_state import HostState
from overlay.plan.kernel_diff import diff
from overlay.plan.kernel_objects import Address, ApplyObject, Bridge, HostFacts, Operation
from overlay.plan.network_snapshot import NetworkSnapshot, lasting_addresses, local_snapshot, ready_addresses, snapshots
from overlay.plan.nft_rules import NftFragment
from overlay.sandboxes import Sandboxes

log = structlog.get_logger(__name__)

LOCAL_ALTERNATIVES = ("172.30.240.0/20", "192.168.240.0/20", "100.127.240.0/20")
"""For the host's own network, where the host itself is in the usual subnet."""
BATCH = 0.02
"""Seconds between two rounds: what changes meanwhile is applied together."""
RESYNC = 60.0
"""Seconds after which the kernel is read again although nothing changed."""
ANSWER_WITHIN = 0.1
"""Seconds that a backend which is chosen no more has to answer connections that were begun before."""
PORTS_WAIT = 5.0
"""Seconds `open` waits for the host's own ports to be published."""
RETRY, MOST_RETRY = 1.0, 15.0
"""Seconds before another try after an error, and after many; news are tried at once."""

T = TypeVar("T")


class HostNetworks:
    """overlay.interface.Networks for this network namespace."""

    def __init__(
        self,
        address: str,
        exec_root: Path,
        *,
        vxlan_port: int = VXLAN_PORT,
        local_subnet: str = LOCAL_SUBNET,
        table: str = "argosy",
        resync: float = RESYNC,
        resolv_conf: Path = Path("/etc/resolv.conf"),
        troubles: Troubles | None = None,
    ) -> None:
        """`address` is the underlay's; state is kept in `<exec_root>/overlay`, namespaces in `<exec_root>/netns`."""
        self._host = HostFacts(address, "", 1500, vxlan_port)
        self._local_subnet = IPv4Network(local_subnet)
        self._table = table
        self._troubles = troubles or Troubles()
        self._resync_every = resync
        self._state = exec_root / "overlay"
        self._sandboxes = Sandboxes(exec_root, self._state, resolv_conf, table)
        self._pool: ThreadPoolExecutor | None = None
        self._kernel: KernelNetworks | None = None
        self._conntrack: Conntrack | None = None
        self._changed_frontends: set[Frontend] = set()
        self._gone: set[str] = set()
        self._left: set[str] = set()
        self._someone_left = asyncio.Event()
        self._ruleset: NftTable | None = None
        self._view: NetworkView | None = None
        self._local_wanted = False
        self._applied = HostState()
        self._refused: dict[str, NftFragment] = {}
        self._told_of: frozenset[str] = frozenset()
        self._lacking: frozenset[str] = frozenset()
        self._leaving: frozenset[str] = frozenset()
        self._asked = 0
        self._done = self._tried = self._routed = 0
        self._loaded = self._reread = False
        self._dirty = asyncio.Event()
        self._round = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Take over what a former agent left. Nothing is removed before the first view has come."""
        if not os.path.exists("/proc/sys/net/bridge"):
            for module in ("br_netfilter", "vxlan"):
                await _modprobe(module)
        await self._in_pool(self._connect)
        await self._in_pool(lambda: write_sysctls(sysctls.HOST))
        await self._look_at_settings()
        self._local_subnet = await self._in_pool(self._choose_local)
        await self._sandboxes.start()
        self._local_wanted = any(LOCAL_BRIDGE in placed.addresses for placed in self._sandboxes.placed.values())
        loop = asyncio.get_running_loop()
        work = supervise(self._run, "networks' work", self._troubles, _delays)
        forgetting = supervise(self._forget_unanswered, "connections of backends that left", self._troubles, _delays)
        self._tasks = [loop.create_task(work, name="networks"), loop.create_task(forgetting, name="unanswered")]

    def update(self, view: NetworkView) -> None:
        """The newest wanted state; applied soon, retried until it holds."""
        self._view = view
        self._changed()

    async def ready(self, network_ids: tuple[str, ...]) -> None:
        """Until these networks exist here, with every endpoint known by now: who starts may call them at once."""
        if LOCAL_BRIDGE in network_ids:
            self._want_local()
        asked = self._asked
        async with self._round:
            await self._round.wait_for(lambda: self._tried >= asked and all(self._has(id) for id in network_ids))

    async def settled(self) -> None:
        """Until everything asked for so far (views, sandboxes) is in the kernel and in DNS."""
        asked = self._asked
        async with self._round:
            await self._round.wait_for(lambda: self._done >= asked)

    async def routed(self) -> None:
        """Until names and load balancing are as everything asked for so far wants them, whatever devices lack."""
        asked = self._asked
        async with self._round:
            await self._round.wait_for(lambda: self._routed >= asked)

    async def open(self, sandbox: Sandbox) -> str:
        """Make the sandbox; returns the path of its network namespace. Raises NetworkFailure."""
        on_local = not sandbox.interfaces and not sandbox.isolated
        if on_local or any(one.network_id == LOCAL_BRIDGE for one in sandbox.interfaces):
            await self.ready((LOCAL_BRIDGE,))
        path = await self._sandboxes.open(sandbox, self._applied.snapshots, self._host)
        if sandbox.host_ports:
            self._changed()
            # some other network's trouble must not hold up this container
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PORTS_WAIT):
                    await self.settled()
        return path

    async def close(self, id: str) -> None:
        """Remove the sandbox, if there is one."""
        placed = self._sandboxes.placed.get(id)
        await self._sandboxes.close(id)
        if placed:
            # its address may be somebody else's soon
            self._gone.update(placed.addresses.values())
            self._changed()

    def addresses(self, id: str) -> Mapping[str, str]:
        """Network id → address, without prefix length."""
        placed = self._sandboxes.placed.get(id)
        return dict(placed.addresses) if placed else {}

    def host_ports(self, id: str) -> tuple[PortConfig, ...]:
        """Ports published on this host for a sandbox, with the numbers they got."""
        placed = self._sandboxes.placed.get(id)
        return tuple(
            PortConfig("", p.protocol, p.target, p.published, "host", p.host_ip)
            for p in (placed.ports if placed else ())
        )

    async def prefixes(self) -> tuple[str, ...]:
        """The IPv4 networks that this host's own addresses and routes lead to."""
        local = self._local_subnet
        # everybody knows the usual one
        own = [] if str(local) == LOCAL_SUBNET else [(str(local.network_address), local.prefixlen)]
        return await self._in_pool(lambda: host_prefixes.prefixes([*read_host_prefixes(), *own], MOST_PREFIXES))

    async def stop(self) -> None:
        """Stop serving; the kernel's networks stay as they are."""
        await stop(self._tasks)
        self._tasks = []
        self._disconnect()

    async def remove_all(self) -> None:
        """Remove everything of ours from the kernel and from the disk. Also before `start` and after `stop`."""
        await stop(self._tasks)
        self._tasks = []
        await self._sandboxes.close_all()
        await self._sandboxes.unguard()
        await self._in_pool(self._connect)
        await self._in_pool(self._clear)
        self._disconnect()
        self._applied, self._view, self._local_wanted = HostState(), None, False
        shutil.rmtree(self._state, ignore_errors=True)

    def _connect(self) -> None:
        if self._kernel is None:
            self._host = find_host(self._host.address, self._host.vxlan_port)
            self._kernel = KernelNetworks(self._host)
        self._ruleset = self._ruleset or NftTable(self._table)
        self._conntrack = self._conntrack or Conntrack()

    def _choose_local(self) -> IPv4Network:
        """The subnet of the host's own network: the one it has, else one that is not in the host's way."""
        assert self._kernel is not None
        had = [what for what in self._kernel.read() if isinstance(what, Address)]
        for one in had:
            if one.link == link_names.LOCAL_BRIDGE_LINK:
                return IPv4Network(one.address, strict=False)
        used = [*host_prefixes.prefixes(read_host_prefixes(), MOST_PREFIXES), *(one.address for one in had)]
        chosen = host_prefixes.free_of(used, (str(self._local_subnet), *LOCAL_ALTERNATIVES))
        if chosen != str(self._local_subnet):
            log.warning("the host is itself in the usual subnet of its own network", instead=chosen)
        return IPv4Network(chosen)

    def _disconnect(self) -> None:
        self._sandboxes.stop()
        if self._pool:
            self._pool.shutdown(wait=True)
            self._pool = None
        if self._kernel:
            self._kernel.close()
            self._kernel = None
        if self._conntrack:
            self._conntrack.close()
            self._conntrack = None
        if self._ruleset:
            self._ruleset.close()
            self._ruleset = None

    def _has(self, id: str) -> bool:
        """Whether it is there as it is wanted now, and not just being taken away."""
        snapshot = self._applied.snapshots.get(id)
        if snapshot is None or id in self._lacking or id in self._leaving:
            return False
        wanted = self._view.networks.get(id) if self._view else None
        return wanted is None or wanted == snapshot.network

    def _want_local(self) -> None:
        if not self._local_wanted:
            self._local_wanted = True
            self._changed()

    def _changed(self) -> None:
        self._asked += 1
        self._dirty.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        resync_at, waits = loop.time(), _delays()
        while True:
            try:
                async with asyncio.timeout_at(resync_at):
                    await self._dirty.wait()
            except TimeoutError:
                pass
            asked = self._asked
            self._dirty.clear()
            whole = self._reread or loop.time() >= resync_at
            try:
                await self._apply(whole)
            except Exception as error:
                fault = None if isinstance(error, NetworkFailure | OSError) else error
                self._troubles.report("networks", f"not as wanted: {error_sentence(error)}", fault)
                await self._tell(self._done, asked, asked if self._loaded else self._routed)
                await asyncio.sleep(RETRY)
                # the kernel is read anew then; news are tried before
                resync_at = loop.time() + next(waits) - RETRY
                self._reread = True
                continue
            waits, self._reread = _delays(), False
            self._troubles.resolve("networks")
            if whole:
                resync_at = loop.time() + self._resync_every
            await self._tell(asked, asked, asked)
            await asyncio.sleep(BATCH)

    async def _tell(self, done: int, tried: int, routed: int) -> None:
        async with self._round:
            self._done, self._tried, self._routed = done, tried, routed
            self._round.notify_all()

    def _wanted(self) -> dict[str, NetworkSnapshot]:
        """What the networks should be; before the first view, what they are."""
        wanted = snapshots(self._view) if self._view is not None else dict(self._applied.snapshots)
        if self._local_wanted:
            gateway = f"{address_of(int(self._local_subnet.network_address) + 1)}/{self._local_subnet.prefixlen}"
            wanted[LOCAL_BRIDGE] = local_snapshot(str(self._local_subnet), gateway, 0)
        return wanted

    async def _apply(self, whole: bool) -> None:
        before, self._loaded = self._applied, False
        wanted, ports = self._wanted(), self._sandboxes.host_ports
        first = self._view is None  # as it was now: a view may come while this is being applied
        self._leaving = frozenset(before.snapshots) - frozenset(wanted)
        if whole:
            await self._look_at_settings()
        if whole or {*before.snapshots} != {*wanted}:
            await self._mend(frozenset(link_names.vxlan(s.network.vni) for s in wanted.values() if s.network.vni))
        bridge_ports = self._sandboxes.bridge_ports(wanted)
        # in the worker: a large network takes long enough to make heartbeats late
        after = await self._in_pool(lambda: before.towards(wanted, ports, bridge_ports, self._host, self._refused))
        try:
            await self._in_pool(lambda: self._bring(before, after, whole, keep=first))
            if after.moved_since(before):
                # a bridge that gets another MAC address loses its neighbours and routes
                await self._in_pool(lambda: self._bring(after, after, True, keep=first))
            self._lacking = frozenset(after.fragments.keys() & self._refused.keys())
        except Exception:
            # one network's trouble is not the others': what did come about is used
            self._lacking = await self._in_pool(lambda: self._lacks(after))
            raise
        finally:
            self._applied, self._leaving = after, frozenset()
            self._tell_of_networks(after)
            self._sandboxes.know(after.names, sure=not first)
            old, new = before.differing(after), after.differing(before)
            self._gone |= lasting_addresses(old) - lasting_addresses(new)
            self._changed_frontends.update(datagram_routes.to_check(before.frontends, after.frontends))
            if left := ready_addresses(old) - ready_addresses(new):
                self._left |= left
                self._someone_left.set()
            if self._loaded:
                await self._in_pool(lambda: self._forget(after))

    async def _look_at_settings(self) -> None:
        """Whether the host's owner has set for all devices what bridges cannot do with."""
        overrides = await self._in_pool(lambda: sysctls.overrides(read_sysctls(sysctls.BRIDGE)))
        if overrides:
            self._troubles.report("host settings", "; ".join(map(str, overrides)))
        else:
            self._troubles.resolve("host settings")

    async def _mend(self, devices: frozenset[str]) -> None:
        try:
            await self._sandboxes.mend(devices)
            self._troubles.resolve("sandboxes")
        except (NetworkFailure, OSError) as error:
            self._troubles.report("sandboxes", error_sentence(error))

    def _bring(self, before: HostState, after: HostState, whole: bool, keep: bool) -> None:
        """Bring the kernel from the one to the other; `whole`: from wherever it is. In the worker thread.

        `keep`: remove nothing, and leave rules alone that a former agent wrote.
        """
        assert self._kernel is not None
        assert self._ruleset is not None
        desired = after.bridge_ports.union(
            *(p for id, p in after.plans.items() if whole or before.plans.get(id) is not p)
        )
        known = before.bridge_ports.union(*(p for id, p in before.plans.items() if after.plans.get(id) is not p))
        actual = self._kernel.read() if whole else known
        operations: list[Operation] = diff(actual, desired)
        if keep:
            operations = [operation for operation in operations if isinstance(operation, ApplyObject)]
        failure: Exception | None = None
        try:
            self._kernel.apply(operations)
        except Exception as error:
            failure = error
        for what in desired:
            if isinstance(what, Bridge) and (whole or ApplyObject(what) in operations):
                try:
                    write_sysctls(sysctls.for_bridge(what.name))
                except OSError as error:
                    failure = failure or error
        if not (keep and self._ruleset.listing()):
            self._load_what_loads(self._ruleset, after, whole)
        self._loaded = True
        if failure:
            raise failure

    def _forget(self, after: HostState) -> None:
        """Let go of connections that no longer follow the rules, now that those are in force. In the worker thread."""
        assert self._conntrack is not None
        if not self._gone and not self._changed_frontends:
            return
        gone, changed = frozenset(self._gone), frozenset(self._changed_frontends)
        try:
            self._conntrack.forget(after.frontends, changed, gone)
        except (NetworkFailure, OSError) as error:
            log.warning("old connections not forgotten, trying again with the next change", error=str(error))
            return
        # what came meanwhile stays
        self._gone -= gone
        self._changed_frontends -= changed

    async def _forget_unanswered(self) -> NoReturn:
        """A client whose SYN a backend that left does not answer meets another one with its next SYN."""
        while True:
            await self._someone_left.wait()
            self._someone_left.clear()
            left, self._left = frozenset(self._left), set()
            await asyncio.sleep(ANSWER_WITHIN)
            gone = left - ready_addresses(self._applied.snapshots.values())
            if gone and (conntrack := self._conntrack) is not None:
                await self._in_pool(lambda: conntrack.forget_unanswered(gone))  # noqa: B023 - it is awaited here

    def _lacks(self, after: HostState) -> frozenset[str]:
        """Networks without their devices or address."""
        assert self._kernel is not None
        actual = self._kernel.read()
        needed = {id: {what for what in plan if what.order <= Address.order} for id, plan in after.plans.items()}
        return frozenset(id for id, objects in needed.items() if not objects <= actual)

    def _load_what_loads(self, ruleset: NftTable, after: HostState, whole: bool) -> None:
        """Raises NetworkFailure; the networks that are to blame are left out from the next time on."""
        port = self._host.vxlan_port
        try:
            ruleset.bring(after.merged, port, check=whole)
        except NetworkFailure:
            self._refused = rejected_fragments.rejected(
                after.own, after.fragments, lambda fragment: ruleset.would_take(fragment, port)
            )
            raise

    def _tell_of_networks(self, after: HostState) -> None:
        """Say which networks are not what they should be."""
        self._refused = {id: fragment for id, fragment in self._refused.items() if after.fragments.get(id) == fragment}
        why = {**dict.fromkeys(self._refused, "nftables does not take its rules"), **after.broken}
        titles = {id: f"network {after.snapshots[id].network.name if id in after.snapshots else id}" for id in why}
        for about in self._told_of - {*titles.values()}:
            self._troubles.resolve(about)
        for id, about in titles.items():
            self._troubles.report(about, why[id])
        self._told_of = frozenset(titles.values())

    def _clear(self) -> None:
        assert self._kernel is not None
        assert self._ruleset is not None
        self._kernel.apply(diff(self._kernel.read(), frozenset()))
        self._ruleset.clear()

    async def _in_pool(self, work: Callable[[], T]) -> T:
        self._pool = self._pool or ThreadPoolExecutor(1, "networks")
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._pool, work))


def _delays() -> Iterator[float]:
    return backoff(random.Random(), first=RETRY, most=MOST_RETRY)


async def _modprobe(module: str) -> None:
    """Where it is built in, or modules cannot be loaded, what lacks shows later by name."""
    try:
        await run("modprobe", "-q", module, timeout=30)
    except (OSError, TimeoutError) as error:
        log.warning("kernel module not loaded", module=module, error=str(error))
