"""Containers' network namespaces: created, configured, entered and removed by one long-lived thread.

A namespace is a property of a thread, so one thread can enter another namespace while the rest of the agent stays in
the host's; no process is forked. A socket belongs to the namespace in which it was opened, so the event loop can serve
containers' DNS sockets from the host's namespace.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from overlay.interface import NetworkFailure
from overlay.kernel import netlink_messages, unsent_data
from overlay.kernel.kernel_networks import container_port, delete_link
from overlay.kernel.netlink_socket import PRESENT, KernelRefused, Request, RouteSocket
from overlay.kernel.nftables import NftContext
from overlay.kernel.port_guard import PortGuard
from overlay.kernel.sysctl_files import write_sysctls
from overlay.plan import sysctls
from overlay.plan.port_guard_rules import GuardedPort

CLONE_NEWNET = 0x40000000
MS_BIND, MNT_DETACH = 4096, 2
LOOPBACK = 1
"""Index of the loopback interface, in every namespace."""
DNS_ADDRESS = "127.0.0.11"
FORGET_RULES = "add table ip argosy\ndelete table ip argosy\n"
# Stateless, so that a container's DNS needs no connection tracking. Replies pass the same chain.
DNS_RULES = """table ip argosy {{
  chain output {{ type filter hook output priority raw; policy accept;
    oifname != "lo" accept
    ip daddr {address} udp dport 53 udp dport set {udp}
    ip daddr {address} tcp dport 53 tcp dport set {tcp}
    ip saddr {address} udp sport {udp} udp sport set 53
    ip saddr {address} tcp sport {tcp} tcp sport set 53
  }}
}}
"""
CONTAINER_SYSCTLS = {
    # as in Docker: any port, and ping, without capabilities
    "ipv4/ip_unprivileged_port_start": "0",
    "ipv4/ping_group_range": "0 2147483647",
    "ipv6/conf/default/disable_ipv6": "1",
    # One timestamp clock for all destinations: a direct connection to a backend and one through a VIP may meet its
    # TIME_WAIT with the same addresses and ports; only the timestamp distinguishes a new SYN from an old packet.
    "ipv4/tcp_timestamps": "2",
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class VethPair:
    """A veth pair: one interface of a container, and its host end, a port of a bridge."""

    host_link: str
    name: str
    bridge: str
    mac: str
    mtu: int
    address: str
    """With prefix length."""

    @property
    def guarded_port(self) -> GuardedPort:
        """The addresses that the container may send from."""
        return GuardedPort(self.host_link, self.mac, self.address.partition("/")[0])


@dataclass(frozen=True, slots=True)
class DnsSockets:
    """The sockets behind 127.0.0.11:53 in a container's namespace; not blocking.

    They are bound to other ports, so that a container can itself be a name server on 0.0.0.0:53.
    """

    udp: socket.socket
    tcp: socket.socket

    def close(self) -> None:
        """Close both."""
        self.udp.close()
        self.tcp.close()


class Namespaces:
    """The containers' network namespaces, and the thread that works in them."""

    def __init__(self, table: str = "argosy") -> None:
        """`table` is the name of the nftables table that guards the ports."""
        self._pool: ThreadPoolExecutor | None = None
        self._guard = PortGuard(table)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._home = -1
        self._route: RouteSocket | None = None

    async def make(self, path: str, pairs: tuple[VethPair, ...], gateway: str) -> DnsSockets:
        """Make a namespace bound to `path`, with these interfaces and a default route; returns its DNS sockets.

        Raises NetworkFailure, and leaves nothing behind.
        """
        return await self._call(lambda: self._make(path, pairs, gateway))

    async def reopen(self, path: str) -> DnsSockets:
        """New DNS sockets in a namespace that a former agent made. Raises NetworkFailure when it is no namespace."""
        return await self._call(lambda: self._reopen(path))

    async def remove(self, path: str) -> None:
        """Unmount a namespace: the kernel removes it, with its interfaces, when its last process has ended."""
        await self._call(lambda: self._remove(path))

    async def has_unsent_data(self, path: str) -> bool:
        """Whether TCP in a namespace has data that is not acknowledged yet. Raises NetworkFailure, OSError."""
        return await self._call(lambda: self._visit(path, unsent_data.has_unsent_data))

    async def guard(self, ports: Mapping[str, tuple[GuardedPort, ...]]) -> None:
        """Guard the ports of namespaces that a former agent made, by path. Raises NetworkFailure."""
        await self._call(lambda: self._with_guard(lambda: self._guard.take_over(ports)))

    async def restore_guard(self, tunnels: frozenset[str]) -> None:
        """Restore the guard of all ports and of these VXLAN devices. Raises NetworkFailure."""
        await self._call(lambda: self._with_guard(lambda: self._guard.renew(tunnels)))

    async def unguard(self) -> None:
        """Remove the guard's table from the kernel. Raises NetworkFailure."""
        await self._call(lambda: self._with_guard(self._guard.remove))

    def close(self) -> None:
        """End the thread; namespaces stay. The next call starts a new thread."""
        if self._pool:
            self._pool.shutdown(wait=True)
            self._pool = None
        self._guard.close()
        if self._route:
            self._route.close()
            self._route = None
        if self._home >= 0:
            os.close(self._home)
            self._home = -1

    async def _call(self, work: Callable[[], T]) -> T:
        self._pool = self._pool or ThreadPoolExecutor(1, "netns")
        # shielded: the thread completes or undoes its work even if the caller is cancelled
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._pool, work))

    def _with_guard(self, work: Callable[[], None]) -> None:
        self._at_home()
        work()

    def _make(self, path: str, pairs: tuple[VethPair, ...], gateway: str) -> DnsSockets:
        host = self._at_home()
        inner: RouteSocket | None = None
        sockets: DnsSockets | None = None
        try:
            self._guard.admit(path, tuple(one.guarded_port for one in pairs))
            inner, sockets = self._inside(lambda: self._new(path))
            with open(path, "rb") as file:
                namespace = file.fileno()
                for one in pairs:
                    _make_pair(host, one, namespace)
                indexes = self._inside(lambda: self._enter(namespace, lambda: dict(_indexes(pairs))))
            inner.apply([request for one in pairs for request in _configure(one, indexes[one.name])])
            if gateway:
                inner.apply([_default_route(gateway)])
            return sockets
        except BaseException as error:
            if sockets:
                sockets.close()
            self._remove(path)
            if isinstance(error, OSError):
                raise NetworkFailure(f"A network namespace could not be made at {path}: {error.strerror}.") from error
            raise
        finally:
            if inner:
                inner.close()

    def _new(self, path: str) -> tuple[RouteSocket, DnsSockets]:
        self._check(self._libc.unshare(CLONE_NEWNET))
        os.close(os.open(path, os.O_CREAT | os.O_RDONLY | os.O_CLOEXEC, 0o444))
        self._check(self._libc.mount(b"/proc/thread-self/ns/net", path.encode(), None, MS_BIND, None))
        write_sysctls({**CONTAINER_SYSCTLS, **sysctls.for_sandbox()})
        inner = RouteSocket()
        up = netlink_messages.link_up(index=LOOPBACK)
        inner.apply([Request(netlink_messages.NEW_LINK, 0, up, "set the loopback interface up")])
        return inner, _listen(anew=False)

    def _reopen(self, path: str) -> DnsSockets:
        return self._visit(path, lambda: _listen(anew=True))

    def _visit(self, path: str, work: Callable[[], T]) -> T:
        """Run `work` in an existing namespace. Raises NetworkFailure, OSError."""
        self._at_home()
        try:
            target = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise NetworkFailure(f"There is no network namespace at {path}: {error.strerror}.") from error
        try:
            return self._inside(lambda: self._enter(target, work))
        except OSError as error:
            raise NetworkFailure(f"The network namespace at {path} cannot be used: {error.strerror}.") from error
        finally:
            os.close(target)

    def _enter(self, target: int, work: Callable[[], T]) -> T:
        self._check(self._libc.setns(target, CLONE_NEWNET))
        return work()

    def _remove(self, path: str) -> None:
        self._guard.forget(path)
        self._libc.umount2(path.encode(), MNT_DETACH)
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass

    def _at_home(self) -> RouteSocket:
        if self._route is None:
            self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            self._route = RouteSocket()
        return self._route

    def _inside(self, work: Callable[[], T]) -> T:
        """Run work that enters another namespace, then return to the host's."""
        try:
            return work()
        finally:
            self._check(self._libc.setns(self._home, CLONE_NEWNET))

    def _check(self, result: int) -> None:
        if result:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def _listen(anew: bool) -> DnsSockets:
    """Open the DNS sockets and load their rules.

    `anew`: there may be rules already. Deleting them takes 5 ms even where there are none.
    """
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        udp.bind((DNS_ADDRESS, 0))
        tcp.bind((DNS_ADDRESS, 0))
        tcp.listen(64)
        rules = DNS_RULES.format(address=DNS_ADDRESS, udp=udp.getsockname()[1], tcp=tcp.getsockname()[1])
        # a context belongs to the namespace in which it was made
        nft = NftContext()
        try:
            nft.run(FORGET_RULES + rules if anew else rules)
        finally:
            nft.close()
    except BaseException:
        udp.close()
        tcp.close()
        raise
    return DnsSockets(udp, tcp)


def _make_pair(host: RouteSocket, one: VethPair, namespace: int) -> None:
    """Make the veth pair with one message. Raises NetworkFailure."""
    try:
        bridge = socket.if_nametoindex(one.bridge)
    except OSError:
        raise NetworkFailure(f"The network of bridge {one.bridge} is not on this host.") from None
    pair = netlink_messages.veth_pair(
        one.host_link, one.mtu, bridge, peer=one.name, peer_mac=one.mac, namespace=namespace
    )
    add = Request(netlink_messages.NEW_LINK, netlink_messages.CREATE_NEW, pair, f"add interface {one.host_link}")
    try:
        host.apply([add])
    except KernelRefused as refused:
        if refused.number not in PRESENT:
            raise
        # left by a former sandbox of the same id that the kernel has not removed yet
        host.apply([delete_link(one.host_link), add])
    host.apply(container_port(one.host_link, one.mac))


def _indexes(pairs: Iterable[VethPair]) -> Iterator[tuple[str, int]]:
    """The index of each interface, by name. To be called in the container's namespace."""
    for one in pairs:
        yield one.name, socket.if_nametoindex(one.name)


def _configure(one: VethPair, index: int) -> list[Request]:
    address, _, length = one.address.partition("/")
    own = netlink_messages.address(index, address, int(length or 32))
    return [
        Request(netlink_messages.NEW_LINK, 0, netlink_messages.link_up(one.name), f"set {one.name} up"),
        Request(netlink_messages.NEW_ADDRESS, netlink_messages.REPLACE, own, f"give {one.address} to {one.name}"),
    ]


def _default_route(gateway: str) -> Request:
    body = netlink_messages.default_route(gateway)
    return Request(netlink_messages.NEW_ROUTE, netlink_messages.CREATE_NEW, body, f"route through {gateway}")
