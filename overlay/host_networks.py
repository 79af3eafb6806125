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
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import NoReturn

import structlog

from api.defaults import LOCAL_SUBNET, VXLAN_PORT
from api.service.ports import PortConfig
from api.wire.host_bounds import MOST_PREFIXES
from kit.ip import address_of
from kit.process import run
from kit.supervisor import stop, supervise
from kit.timing import backoff
from kit.troubles import Troubles, error_sentence
from overlay.host_kernel import HostKernel
from overlay.interface import LOCAL_BRIDGE, NetworkFailure, NetworkView, Sandbox
from overlay.kernel.kernel_networks import read_host_prefixes
from overlay.kernel.sysctl_files import read_sysctls, write_sysctls
from overlay.plan import host_prefixes, link_names, sysctls
from overlay.plan.host_state import HostState
from overlay.plan.network_snapshot import NetworkSnapshot, local_snapshot, ready_addresses, snapshots
from overlay.sandboxes import Sandboxes
from overlay.stale_connections import StaleConnections

log = structlog.get_logger(__name__)

BATCH = 0.02
"""Seconds between two rounds: changes in between are applied together."""
RESYNC = 60.0
"""Seconds after which the kernel is read again even if nothing changed."""
PORTS_WAIT = 5.0
"""Seconds `open` waits for the host's own ports to be published."""
RETRY, MOST_RETRY = 1.0, 15.0
"""Seconds before a retry after an error, and after many errors; a new view is tried at once."""


class HostNetworks:
    """Implements overlay.interface.Networks for this network namespace."""

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
        self._local_subnet = IPv4Network(local_subnet)
        self._troubles = troubles or Troubles()
        self._resync_every = resync
        self._state = exec_root / "overlay"
        self._sandboxes = Sandboxes(exec_root, self._state, resolv_conf, table)
        self._kernel = HostKernel(address, vxlan_port, table)
        self._stale = StaleConnections()
        self._view: NetworkView | None = None
        self._local_wanted = False
        self._applied = HostState()
        self._reported: frozenset[str] = frozenset()
        """Names of the networks that are reported as troubled."""
        self._lacking: frozenset[str] = frozenset()
        """Ids of networks that are not complete in the kernel."""
        self._leaving: frozenset[str] = frozenset()
        """Ids of networks that are being removed."""
        self._asked = 0
        """Number of changes asked for; the next line counts how many of them are done, tried, and routed."""
        self._done = self._tried = self._routed = 0
        self._reread = False
        """Whether the next round reads the kernel, after an error."""
        self._dirty = asyncio.Event()
        self._round = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Take over what a former agent left. Nothing is removed before the first view has come."""
        if not os.path.exists("/proc/sys/net/bridge"):
            for module in ("br_netfilter", "vxlan"):
                await _modprobe(module)
        await self._connect()
        await self._kernel.run(lambda: write_sysctls(sysctls.HOST))
        await self._check_settings()
        self._local_subnet = await self._kernel.run(lambda: self._kernel.choose_local_subnet(self._local_subnet))
        await self._sandboxes.start()
        self._local_wanted = any(LOCAL_BRIDGE in opened.addresses for opened in self._sandboxes.by_id.values())
        loop = asyncio.get_running_loop()
        work = supervise(self._run, "networks' work", self._troubles, _delays)
        forgetting = supervise(self._forget_unanswered, "connections of backends that left", self._troubles, _delays)
        self._tasks = [loop.create_task(work, name="networks"), loop.create_task(forgetting, name="unanswered")]

    def update(self, view: NetworkView) -> None:
        """The newest wanted state; applied soon, retried until it holds."""
        self._view = view
        self._changed()

    async def ready(self, network_ids: tuple[str, ...]) -> None:
        """Wait until these networks exist here with every endpoint known by now: a container may call them at once."""
        if LOCAL_BRIDGE in network_ids:
            self._want_local()
        asked = self._asked
        async with self._round:
            await self._round.wait_for(lambda: self._tried >= asked and all(self._has(id) for id in network_ids))

    async def settled(self) -> None:
        """Wait until everything asked for so far (views, sandboxes) is in the kernel and in DNS."""
        asked = self._asked
        async with self._round:
            await self._round.wait_for(lambda: self._done >= asked)

    async def routed(self) -> None:
        """Wait until names and load balancing follow everything asked for so far, even if devices are missing."""
        asked = self._asked
        async with self._round:
            await self._round.wait_for(lambda: self._routed >= asked)

    async def open(self, sandbox: Sandbox) -> str:
        """Make the sandbox; returns the path of its network namespace. Raises NetworkFailure."""
        on_local = not sandbox.interfaces and not sandbox.isolated
        if on_local or any(one.network_id == LOCAL_BRIDGE for one in sandbox.interfaces):
            await self.ready((LOCAL_BRIDGE,))
        path = await self._sandboxes.open(sandbox, self._applied.snapshots, self._kernel.host)
        if sandbox.host_ports:
            self._changed()
            # another network's failure must not delay this container
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PORTS_WAIT):
                    await self.settled()
        return path

    async def close(self, id: str) -> None:
        """Remove the sandbox, if there is one."""
        opened = self._sandboxes.by_id.get(id)
        await self._sandboxes.close(id)
        if opened:
            # its addresses may soon belong to another container
            self._stale.add_addresses(opened.addresses.values())
            self._changed()

    def addresses(self, id: str) -> Mapping[str, str]:
        """Network id → address, without prefix length."""
        opened = self._sandboxes.by_id.get(id)
        return dict(opened.addresses) if opened else {}

    def host_ports(self, id: str) -> tuple[PortConfig, ...]:
        """Ports published on this host for a sandbox, with the numbers they got."""
        opened = self._sandboxes.by_id.get(id)
        return tuple(
            PortConfig("", p.protocol, p.target, p.published, "host", p.host_ip)
            for p in (opened.ports if opened else ())
        )

    async def prefixes(self) -> tuple[str, ...]:
        """The IPv4 networks that this host's own addresses and routes lead to."""
        local = self._local_subnet
        # managers know the usual one
        own = [] if str(local) == LOCAL_SUBNET else [(str(local.network_address), local.prefixlen)]
        return await self._kernel.run(lambda: host_prefixes.prefixes([*read_host_prefixes(), *own], MOST_PREFIXES))

    async def stop(self) -> None:
        """Stop serving; the kernel's networks stay as they are."""
        await stop(self._tasks)
        self._tasks = []
        self._disconnect()

    async def remove_all(self) -> None:
        """Remove everything of Argosy's from the kernel and from disk. Also before `start` and after `stop`."""
        await stop(self._tasks)
        self._tasks = []
        await self._sandboxes.close_all()
        await self._sandboxes.unguard()
        await self._connect()
        await self._kernel.run(self._kernel.clear)
        self._disconnect()
        self._applied, self._view, self._local_wanted = HostState(), None, False
        shutil.rmtree(self._state, ignore_errors=True)

    async def _connect(self) -> None:
        await self._kernel.run(self._kernel.connect)
        await self._kernel.run(self._stale.connect)

    def _disconnect(self) -> None:
        self._sandboxes.stop()
        self._kernel.close()
        self._stale.close()

    def _has(self, id: str) -> bool:
        """Whether the network is in the kernel as wanted, and is not being removed."""
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
                await self._announce(self._done, asked, asked if self._kernel.is_loaded else self._routed)
                await asyncio.sleep(RETRY)
                # the kernel is read then; a new view is tried before
                resync_at = loop.time() + next(waits) - RETRY
                self._reread = True
                continue
            waits, self._reread = _delays(), False
            self._troubles.resolve("networks")
            if whole:
                resync_at = loop.time() + self._resync_every
            await self._announce(asked, asked, asked)
            await asyncio.sleep(BATCH)

    async def _announce(self, done: int, tried: int, routed: int) -> None:
        async with self._round:
            self._done, self._tried, self._routed = done, tried, routed
            self._round.notify_all()

    def _wanted(self) -> dict[str, NetworkSnapshot]:
        """The wanted networks; before the first view, the present ones."""
        wanted = snapshots(self._view) if self._view is not None else dict(self._applied.snapshots)
        if self._local_wanted:
            gateway = f"{address_of(int(self._local_subnet.network_address) + 1)}/{self._local_subnet.prefixlen}"
            wanted[LOCAL_BRIDGE] = local_snapshot(str(self._local_subnet), gateway, 0)
        return wanted

    async def _apply(self, whole: bool) -> None:
        before, self._kernel.is_loaded = self._applied, False
        wanted, ports = self._wanted(), self._sandboxes.host_ports
        first = self._view is None  # read once: a view may come while this one is applied
        self._leaving = frozenset(before.snapshots) - frozenset(wanted)
        if whole:
            await self._check_settings()
        if whole or {*before.snapshots} != {*wanted}:
            await self._restore_guard(
                frozenset(link_names.vxlan(s.network.vni) for s in wanted.values() if s.network.vni)
            )
        bridge_ports = self._sandboxes.bridge_ports(wanted)
        # in the worker thread: planning a large network in the event loop would delay heartbeats
        kernel = self._kernel
        after = await kernel.run(lambda: before.towards(wanted, ports, bridge_ports, kernel.host, kernel.rejected))
        try:
            await kernel.run(lambda: kernel.bring(before, after, whole, keep=first))
            if after.moved_since(before):
                # a bridge that gets another MAC address loses its neighbours and routes
                await kernel.run(lambda: kernel.bring(after, after, True, keep=first))
            self._lacking = frozenset(after.fragments.keys() & kernel.rejected.keys())
        except Exception:
            # one network's failure does not stop the others: those that are complete are used
            self._lacking = await kernel.run(lambda: kernel.lacking(after))
            raise
        finally:
            self._applied, self._leaving = after, frozenset()
            self._report_networks(after)
            self._sandboxes.use_names(after.names, sure=not first)
            self._stale.add_changes(before, after)
            if kernel.is_loaded:
                await kernel.run(lambda: self._stale.forget(after.frontends))

    async def _check_settings(self) -> None:
        """Report settings of `conf/all` that make a bridge's settings wrong."""
        overrides = await self._kernel.run(lambda: sysctls.overrides(read_sysctls(sysctls.BRIDGE)))
        if overrides:
            self._troubles.report("host settings", "; ".join(map(str, overrides)))
        else:
            self._troubles.resolve("host settings")

    async def _restore_guard(self, devices: frozenset[str]) -> None:
        try:
            await self._sandboxes.restore_guard(devices)
            self._troubles.resolve("sandboxes")
        except (NetworkFailure, OSError) as error:
            self._troubles.report("sandboxes", error_sentence(error))

    async def _forget_unanswered(self) -> NoReturn:
        await self._stale.forget_unanswered(
            lambda: ready_addresses(self._applied.snapshots.values()), lambda work: self._kernel.run(work)
        )

    def _report_networks(self, after: HostState) -> None:
        """Report the networks that are not as wanted; resolve reports about those that are."""
        rejected = self._kernel.rejected
        rejected = {id: fragment for id, fragment in rejected.items() if after.fragments.get(id) == fragment}
        self._kernel.rejected = rejected
        why = {**dict.fromkeys(rejected, "nftables does not take its rules"), **after.broken}
        titles = {id: f"network {after.snapshots[id].network.name if id in after.snapshots else id}" for id in why}
        for about in self._reported - {*titles.values()}:
            self._troubles.resolve(about)
        for id, about in titles.items():
            self._troubles.report(about, why[id])
        self._reported = frozenset(titles.values())


def _delays() -> Iterator[float]:
    return backoff(random.Random(), first=RETRY, most=MOST_RETRY)


async def _modprobe(module: str) -> None:
    """Load a kernel module. If that fails, a later error names the missing feature."""
    try:
        await run("modprobe", "-q", module, timeout=30)
    except (OSError, TimeoutError) as error:
        log.warning("kernel module not loaded", module=module, error=str(error))
