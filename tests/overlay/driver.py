"""Runs HostNetworks for one test host, in that host's network namespace; controlled by lines of JSON.

Each line is {"do": name, …}; each is answered by one line: {"ok": value} or {"error": sentence}.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from pathlib import Path

import msgspec

from api.errors import ArgosyError
from api.wire.assignments import EndpointAssignment, NetworkAssignment, PeerAssignment, ServiceAssignment
from kit.troubles import Troubles
from overlay.dns.standin_client import StandInClient
from overlay.host_networks import HostNetworks
from overlay.interface import NetworkView, Sandbox


def view_of(data: dict) -> NetworkView:
    orders = {
        "networks": NetworkAssignment,
        "services": ServiceAssignment,
        "endpoints": EndpointAssignment,
        "peers": PeerAssignment,
    }
    return NetworkView(
        **{name: {o["ID"]: msgspec.convert(o, kind) for o in data[name]} for name, kind in orders.items()}
    )


async def perform(networks: HostNetworks, troubles: Troubles, order: dict) -> object:
    match order["do"]:
        case "update":
            networks.update(view_of(order["view"]))
            await networks.settled()
        case "tell":
            networks.update(view_of(order["view"]))
        case "troubles":
            return networks._troubles.sentences()
        case "open":
            return await networks.open(msgspec.convert(order["sandbox"], Sandbox))
        case "close":
            await networks.close(order["id"])
        case "addresses":
            return dict(networks.addresses(order["id"]))
        case "prefixes":
            return list(await networks.prefixes())
        case "troubles":
            return troubles.sentences()
        case "stand-in":
            return await stand_in(networks._sandboxes._standin)
        case "stop":
            await networks.stop()
        case "remove_all":
            await networks.remove_all()
        case other:
            raise AssertionError(other)
    return None


async def stand_in(client: StandInClient) -> int:
    """The stand-in's pid, when it has been told everything."""
    while client._sent_sandboxes != set(client._sandboxes) or client._sent_passive is not client._passive:
        await asyncio.sleep(0.01)
    if client._process is not None:
        return client._process.pid
    assert client._control is not None
    pid, _, _ = struct.unpack("3i", client._control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)


async def main(address: str, exec_root: str) -> None:
    troubles = Troubles()
    networks = HostNetworks(address, Path(exec_root), resolv_conf=Path(exec_root) / "resolv.conf", troubles=troubles)
    await networks.start()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print(json.dumps({"ok": "started"}), flush=True)
    while line := await reader.readline():
        try:
            answer = {"ok": await perform(networks, troubles, json.loads(line))}
        except ArgosyError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
