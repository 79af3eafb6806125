"""The new address of a host when its advertised one has disappeared, or why there is none. Pure.

An address that was once on an interface of the host and is gone was changed (DHCP, a new subnet): the present address
of the same interface replaces it, else the only address of the host. One that was never on an interface (a public
address in front of the host) is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from api.errors import Invalid
from kit.ip import join_host_port
from node.membership.advertise_address import Interfaces, host_port, only_address
from node.membership.identity import Membership


@dataclass(frozen=True, slots=True)
class Relocation:
    """A host's membership, according to its present interfaces."""

    membership: Membership
    """As it should be now."""
    trouble: str = ""
    """Why its address is unclear; "" when it is clear."""

    def moves(self, former: Membership) -> bool:
        """Whether others reach the host at another address than before, so that all components must restart."""
        return is_reached_elsewhere(former, self.membership)


def is_reached_elsewhere(former: Membership, present: Membership) -> bool:
    """Whether other hosts reach this one at another address or port than before."""
    return _ways(former) != _ways(present)


def relocate(membership: Membership, present: Interfaces, preferred: str = "", port: int = 0) -> Relocation:
    """The membership with the address that the host has now. `present` are its interfaces; `preferred` is the given
    advertise address, which may be an interface's name; `port` is the host's gRPC port, as in the list of managers."""
    interface = _holder(membership.address, present)
    if interface:
        return Relocation(_data_path(replace(membership, interface=interface), present))
    if not membership.interface:
        return Relocation(_data_path(membership, present))
    try:
        address = _successor(membership.interface, preferred, present)
    except Invalid as error:
        was = f"its address {membership.address} is not on this host any more"
        return Relocation(membership, f"{was}, and which one to use instead is not clear: {error}")
    moved = replace(
        membership,
        address=address,
        interface=_holder(address, present),
        listen_addr=_elsewhere(membership.listen_addr, membership.address, address),
        managers=_all_elsewhere(membership.managers, membership.address, address, port),
        apis=_all_elsewhere(membership.apis, membership.address, address, host_port(membership.listen_addr, 0)[1]),
    )
    return Relocation(_data_path(moved, present))


def _ways(membership: Membership) -> tuple[str, str, str]:
    return membership.address, membership.data_path_addr, membership.listen_addr


def _holder(address: str, present: Interfaces) -> str:
    """The interface with an address; "" for none."""
    return next((name for name, addresses in present.items() if address in addresses), "")


def _successor(interface: str, preferred: str, present: Interfaces) -> str:
    for name in (preferred, interface):
        if addresses := present.get(name):
            return addresses[0]
    return only_address(present)


def _data_path(membership: Membership, present: Interfaces) -> Membership:
    """The same for the source address of VXLAN packets, if it is a separate one."""
    if not membership.data_path_addr:
        return membership
    if interface := _holder(membership.data_path_addr, present):
        return replace(membership, data_path_interface=interface)
    if addresses := present.get(membership.data_path_interface):
        return replace(membership, data_path_addr=addresses[0])
    return membership


def _elsewhere(text: str, old: str, new: str) -> str:
    host, port = host_port(text, 0)
    return join_host_port(new, port) if host == old else text


def _all_elsewhere(listed: list[str], old: str, new: str, port: int) -> list[str]:
    """A list of managers with this host's entry under its new address."""
    former = join_host_port(old, port)
    return [join_host_port(new, port) if one == former else one for one in listed]
