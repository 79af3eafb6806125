"""The sandboxes of this host: opened, served and closed; recorded on disk, so that a restarted agent takes them over.

A sandbox is a network namespace bound to `<exec_root>/netns/<id>`, and a record in the state directory with its request
and its addresses and ports. The record is written last and removed first, so a record always means a complete sandbox.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import msgspec
import structlog

from kit import mirrored_file
from kit.directories import make_directory
from kit.ip import address_of
from overlay.dns.dns_server import DnsServer
from overlay.dns.forwarder import Forwarder, HostServers
from overlay.dns.resolver import Resolver
from overlay.dns.standin_client import StandInClient
from overlay.held_ports import HeldPorts
from overlay.interface import LOCAL_BRIDGE, Interface, NetworkFailure, Sandbox
from overlay.kernel.namespaces import DnsSockets, Namespaces, VethPair
from overlay.plan import link_names
from overlay.plan.device_plan import mtu_of
from overlay.plan.dns_zone import NetworkNames
from overlay.plan.kernel_objects import BridgePort, Fdb, HostFacts, KernelObject
from overlay.plan.network_snapshot import NetworkSnapshot
from overlay.plan.nft_fragments import HostPort
from overlay.plan.port_guard_rules import GuardedPort

log = structlog.get_logger(__name__)

ACK_CHECKS, ACK_INTERVAL = 30, 0.05
"""Number of checks, and seconds between them, whether a container's last data was acknowledged: long enough for several
retransmissions."""


@dataclass(frozen=True, slots=True)
class OpenSandbox:
    """A sandbox with its addresses and ports."""

    sandbox: Sandbox
    addresses: dict[str, str]
    """By network id, in the order of interfaces; without prefix length."""
    ports: tuple[HostPort, ...]
    internal: bool
    """Whether it has no default route; then its DNS questions are not forwarded either."""

    @property
    def guarded_ports(self) -> tuple[GuardedPort, ...]:
        """Its interfaces and their addresses, in order."""
        own = [one.mac for one in self.sandbox.interfaces] or [""]
        return tuple(
            GuardedPort(link_names.veth(self.sandbox.id, number), mac or link_names.mac(address), address)
            for number, (address, mac) in enumerate(zip(self.addresses.values(), own, strict=False))
        )


class Sandboxes:
    """All sandboxes of this host."""

    def __init__(
        self, exec_root: Path, state: Path, resolv_conf: Path = Path("/etc/resolv.conf"), table: str = "argosy"
    ) -> None:
        self._netns = exec_root / "netns"
        self._records = state / "sandboxes"
        self._namespaces = Namespaces(table)
        self._ports = HeldPorts()
        self._forwarder = Forwarder()
        self._host_servers = HostServers(resolv_conf)
        self._open: dict[str, OpenSandbox] = {}
        self._servers: dict[str, DnsServer] = {}
        self._names: Mapping[str, NetworkNames] = {}
        self._standin = StandInClient(state / "names.sock", resolv_conf)
        self._unserved: dict[str, DnsSockets] = {}
        """DNS sockets of a former agent's sandboxes until the names are known here. The stand-in serves them meanwhile;
        without one, questions wait in them."""
        self._last_local = 0

    @property
    def by_id(self) -> Mapping[str, OpenSandbox]:
        """Sandboxes by id."""
        return self._open

    @property
    def host_ports(self) -> Sequence[HostPort]:
        """Ports published on this host only, of all sandboxes."""
        return [port for opened in self._open.values() for port in opened.ports]

    def bridge_ports(self, networks: Mapping[str, NetworkSnapshot]) -> frozenset[KernelObject]:
        """The bridge port and forwarding entry of every sandbox interface on these networks."""
        found: set[KernelObject] = set()
        for opened in self._open.values():
            for network, port in zip(opened.addresses, opened.guarded_ports, strict=True):
                if network in networks:
                    found.add(BridgePort(port.link, link_names.bridge(networks[network].network.vni)))
                    found.add(Fdb(port.link, port.mac, ""))
        return frozenset(found)

    async def start(self) -> None:
        """Take over what a former agent left."""
        for directory in (self._netns, self._records):
            make_directory(directory)
        held = await self._standin.take_over()
        for record in sorted({mirrored_file.original(path) for path in self._records.glob("*.json*")}):
            try:
                opened = mirrored_file.load(record, msgspec.json.Decoder(OpenSandbox).decode)
                sockets = held.pop(opened.sandbox.id, None)
                if sockets is None:
                    sockets = await self._namespaces.reopen(str(self._netns / opened.sandbox.id))
            except (mirrored_file.Damaged, NetworkFailure) as error:
                # the machine was restarted: the namespace is gone, and so is the sandbox
                log.info("sandbox not taken over", record=record.name, reason=str(error))
                await self._discard(record.stem)
                continue
            self._ports.retake(opened.sandbox.id, opened.ports)
            self._unserved[opened.sandbox.id] = sockets
            self._serve(opened, sockets)
        for left in held.values():  # of sandboxes that no longer exist
            left.close()
        if not self._unserved:
            self._standin.resume_serving()
        self._standin.start()
        await self._namespaces.guard({str(self._netns / id): one.guarded_ports for id, one in self._open.items()})

    async def open(self, sandbox: Sandbox, networks: Mapping[str, NetworkSnapshot], host: HostFacts) -> str:
        """Make a sandbox on these networks; returns the path of its namespace. Raises NetworkFailure."""
        path = str(self._netns / sandbox.id)
        if sandbox.id in self._open:
            return path
        interfaces = self._interfaces(sandbox, networks)
        route = default_network(interfaces, networks)
        pairs = tuple(
            _veth_pair(sandbox.id, n, one, networks[one.network_id], host) for n, one in enumerate(interfaces)
        )
        addresses = {one.network_id: one.address.partition("/")[0] for one in interfaces}
        ports = self._hold(sandbox, addresses.get(route, ""))
        gateway = networks[route].network.gateway.partition("/")[0] if route else ""
        try:
            if os.path.exists(path):
                await self._namespaces.remove(path)
            sockets = await self._namespaces.make(path, pairs, gateway)
        except BaseException:
            self._ports.release(sandbox.id)
            raise
        opened = OpenSandbox(sandbox, addresses, ports, internal=not route)
        mirrored_file.save(self._records / f"{sandbox.id}.json", msgspec.json.encode(opened))
        self._serve(opened, sockets)
        return path

    async def close(self, id: str) -> None:
        """Remove a sandbox, if there is one, after its container's last data was acknowledged."""
        if id in self._open:
            await self._wait_for_acknowledgements(id)
        self._standin.drop(id)
        if server := self._servers.pop(id, None):
            server.end()
        if sockets := self._unserved.pop(id, None):
            sockets.close()
        self._open.pop(id, None)
        await self._discard(id)
        self._ports.release(id)

    async def close_all(self) -> None:
        """Remove every sandbox, also those that were not taken over."""
        found = {path.name for path in self._netns.glob("*")} | set(self._open)
        for id in sorted(found):
            await self.close(id)
        await self._standin.end()

    async def restore_guard(self, tunnels: frozenset[str]) -> None:
        """Restore the rules that limit what interfaces and VXLAN devices may send. Raises NetworkFailure."""
        await self._namespaces.restore_guard(tunnels)

    async def unguard(self) -> None:
        """Remove the rules that limit interfaces to their own addresses. Raises NetworkFailure."""
        await self._namespaces.unguard()

    def use_names(self, all_names: Mapping[str, NetworkNames], sure: bool = True) -> None:
        """Answer with these names from now on, by network. `sure`: they come from managers, so that the stand-in is no
        longer needed."""
        self._names = all_names
        if sure or not self._unserved:
            self._standin.use_names(all_names)
            self._take_over_questions()
        for server in self._servers.values():
            server.resolver.use_names(all_names)

    def _take_over_questions(self) -> None:
        taken, self._unserved = self._unserved, {}
        for id, sockets in taken.items():
            self._answer(self._open[id], sockets)
        self._standin.resume_serving()

    def stop(self) -> None:
        """Stop serving; sandboxes stay, and the stand-in serves them."""
        self._standin.disconnect()
        for sockets in self._unserved.values():
            sockets.close()
        self._unserved.clear()
        for server in self._servers.values():
            server.close()
        self._servers.clear()
        self._ports.release_all()
        self._namespaces.close()

    def _serve(self, opened: OpenSandbox, sockets: DnsSockets) -> None:
        self._open[opened.sandbox.id] = opened
        namespace = str(self._netns / opened.sandbox.id)
        self._standin.serve(opened.sandbox, opened.addresses, opened.internal, sockets, namespace)
        if opened.sandbox.id not in self._unserved:
            self._answer(opened, sockets)

    def _answer(self, opened: OpenSandbox, sockets: DnsSockets) -> None:
        resolver = Resolver(opened.sandbox, opened.addresses, opened.internal)
        resolver.use_names(self._names)
        servers = opened.sandbox.nameservers
        self._servers[opened.sandbox.id] = DnsServer(
            resolver,
            sockets,
            self._forwarder,
            lambda: servers or self._host_servers.servers(),
            self._standin.pending.of(opened.sandbox.id),
        )

    async def _wait_for_acknowledgements(self, id: str) -> None:
        """Wait, as the kernel drops unacknowledged data with the namespace: a client would wait for ever."""
        path = str(self._netns / id)
        with suppress(NetworkFailure, OSError):
            for _ in range(ACK_CHECKS):
                if not await self._namespaces.has_unsent_data(path):
                    break
                await asyncio.sleep(ACK_INTERVAL)

    async def _discard(self, id: str) -> None:
        mirrored_file.remove(self._records / f"{id}.json")
        await self._namespaces.remove(str(self._netns / id))

    def _hold(self, sandbox: Sandbox, address: str) -> tuple[HostPort, ...]:
        if sandbox.host_ports and not address:
            raise NetworkFailure(
                f"{sandbox.task_name} publishes ports on this host, but all its networks are internal; "
                "give it one that is not."
            )
        return self._ports.hold(sandbox.id, sandbox.host_ports, address)

    def _interfaces(self, sandbox: Sandbox, networks: Mapping[str, NetworkSnapshot]) -> tuple[Interface, ...]:
        if sandbox.isolated:
            return ()
        wanted = sandbox.interfaces or (Interface(LOCAL_BRIDGE, ""),)
        for one in wanted:
            if one.network_id not in networks:
                raise NetworkFailure(f"Network {one.network_id} is not on this host (yet).")
        return tuple(
            Interface(LOCAL_BRIDGE, self._local_address(networks[LOCAL_BRIDGE]), one.aliases, one.mac)
            if one.network_id == LOCAL_BRIDGE
            else one
            for one in wanted
        )

    def _local_address(self, local: NetworkSnapshot) -> str:
        """The next free address after the last one given, so that late packets for a former owner reach no new one."""
        subnet = IPv4Network(local.network.subnet)
        taken = {opened.addresses.get(LOCAL_BRIDGE) for opened in self._open.values()}
        taken.add(local.network.gateway.partition("/")[0])
        usable = subnet.num_addresses - 2
        for step in range(usable):
            offset = 1 + (self._last_local + step) % usable
            address = address_of(int(subnet.network_address) + offset)
            if address not in taken:
                self._last_local = offset
                return f"{address}/{subnet.prefixlen}"
        raise NetworkFailure(f"All addresses of this host's own network {subnet} are in use.")


def default_network(interfaces: Iterable[Interface], networks: Mapping[str, NetworkSnapshot]) -> str:
    """The network with the default route: ingress, else the first that is not internal; "" for none."""
    candidates = [one.network_id for one in interfaces if not networks[one.network_id].network.internal]
    return next((id for id in candidates if networks[id].ingress), candidates[0] if candidates else "")


def _veth_pair(id: str, index: int, one: Interface, snapshot: NetworkSnapshot, host: HostFacts) -> VethPair:
    return VethPair(
        host_link=link_names.veth(id, index),
        name=f"eth{index}",
        bridge=link_names.bridge(snapshot.network.vni),
        mac=one.mac or link_names.mac(one.address.partition("/")[0]),
        mtu=mtu_of(snapshot, host),
        address=one.address,
    )
