"""`argosy init`, `join`, `leave`, `join-token`: how hosts come into a cluster and out of it."""

from __future__ import annotations

from typing import Any

import click

from api.defaults import MANAGER_PORT
from api.engine.swarm import NodeAnswer, SwarmAnswer
from api.engine.system import InfoAnswer
from cli.client import Client, current
from cli.command_errors import Wrong
from cli.flags.flag_values import duration

ROLES = click.Choice(["worker", "manager"])
AVAILABILITY = click.Choice(["active", "pause", "drain"])
_listen = click.option(
    "--listen-addr",
    default=f"0.0.0.0:{MANAGER_PORT}",
    show_default=True,
    metavar="ADDR[:PORT]",
    help="Where this host listens as a manager.",
)
_availability = click.option(
    "--availability", type=AVAILABILITY, default="active", show_default=True, help="Whether this host takes tasks."
)
_advertise = click.option(
    "--advertise-addr", default="", metavar="ADDR[:PORT]", help="Where other hosts reach this one."
)
_data_path = click.option("--data-path-addr", default="", metavar="ADDR", help="Where container traffic comes in.")


@click.command()
@_listen
@_advertise
@_data_path
@click.option("--data-path-port", type=int, default=0, help="UDP port of container traffic (4789).")
@click.option("--default-addr-pool", multiple=True, metavar="CIDR", help="Where networks get their subnets.")
@click.option(
    "--default-addr-pool-mask-length",
    type=click.IntRange(8, 29),
    default=24,
    show_default=True,
    help="Prefix length of those subnets.",
)
@_availability
@click.option("--task-history-limit", type=click.IntRange(0), help="Ended tasks kept per slot (5).")
@click.option("--dispatcher-heartbeat", metavar="DURATION", help="Time between heartbeats (2s).")
@click.option("--cert-expiry", metavar="DURATION", help="Life of the hosts' certificates (2160h).")
@click.option("--autolock", is_flag=True, help="Not possible yet: refused.")
@click.option("--force-new-cluster", is_flag=True, help="Not possible: refused, with what to do instead.")
def init(**given: Any) -> None:
    """Make a cluster, with this host as its first manager.

    \b
    Example:
      argosy init --advertise-addr 192.0.2.11
    """
    client = current()
    spec: dict[str, Any] = {}
    if given["task_history_limit"] is not None:
        spec["Orchestration"] = {"TaskHistoryRetentionLimit": given["task_history_limit"]}
    if given["dispatcher_heartbeat"]:
        spec["Dispatcher"] = {"HeartbeatPeriod": _duration("--dispatcher-heartbeat", given["dispatcher_heartbeat"])}
    if given["cert_expiry"]:
        spec["CAConfig"] = {"NodeCertExpiry": _duration("--cert-expiry", given["cert_expiry"])}
    if given["autolock"]:
        spec["EncryptionConfig"] = {"AutoLockManagers": True}
    body = {
        "ListenAddr": given["listen_addr"],
        "AdvertiseAddr": given["advertise_addr"],
        "DataPathAddr": given["data_path_addr"],
        "DataPathPort": given["data_path_port"],
        "DefaultAddrPool": list(given["default_addr_pool"]),
        "SubnetSize": given["default_addr_pool_mask_length"],
        "ForceNewCluster": given["force_new_cluster"],
        "Availability": given["availability"],
        "Spec": spec,
    }
    node_id = client.post("/swarm/init", str, body)
    click.echo(f"Cluster made: this host ({node_id}) is now a manager.\n")
    _print_join(client, "worker")
    click.echo("To add a manager, run 'argosy join-token manager' and follow what it says.")


def _duration(flag: str, text: str) -> int:
    try:
        return duration(text)
    except ValueError as error:
        raise Wrong(f"{flag}: {error}") from None


@click.command()
@click.option("--token", required=True, help="From `argosy join-token`.")
@_listen
@_advertise
@_data_path
@_availability
@click.argument("address", metavar="HOST:PORT")
def join(
    token: str, listen_addr: str, advertise_addr: str, data_path_addr: str, availability: str, address: str
) -> None:
    """Make this host part of the cluster whose manager is at HOST:PORT.

    \b
    Example:
      argosy join --token SWMTKN-1-… 192.0.2.11:2377
    """
    client = current()
    client.send(
        "/swarm/join",
        {
            "RemoteAddrs": [address],
            "JoinToken": token,
            "ListenAddr": listen_addr,
            "AdvertiseAddr": advertise_addr,
            "DataPathAddr": data_path_addr,
            "Availability": availability,
        },
    )
    role = "manager" if client.get("/info", InfoAnswer).swarm.control_available else "worker"
    click.echo(f"This host joined the cluster as a {role}.")


@click.command()
@click.option("-f", "--force", is_flag=True, help="Also if the cluster then loses its majority of managers.")
def leave(force: bool) -> None:
    """Take this host out of its cluster."""
    current().send("/swarm/leave", query={"force": force})
    click.echo("This host left the cluster.")


@click.command("join-token")
@click.option("--rotate", is_flag=True, help="Make a new one; the old one is then worth nothing.")
@click.option("-q", "--quiet", is_flag=True, help="Only show the token.")
@click.argument("role", type=ROLES)
def join_token(role: str, rotate: bool, quiet: bool) -> None:
    """Show the command that a host joins with."""
    client = current()
    if rotate:
        raw = client.get_json("/swarm")
        key = f"rotate{role.capitalize()}Token"
        client.send("/swarm/update", raw["Spec"], {"version": raw["Version"]["Index"], key: True})
        if not quiet:
            click.echo(f"The {role}s' token was renewed.\n")
    if quiet:
        tokens = client.get("/swarm", SwarmAnswer).join_tokens
        click.echo(tokens.manager if role == "manager" else tokens.worker)
    else:
        _print_join(client, role)


def _print_join(client: Client, role: str) -> None:
    tokens = client.get("/swarm", SwarmAnswer).join_tokens
    token = tokens.manager if role == "manager" else tokens.worker
    click.echo(f"To add a {role}, run this on the other host:\n")
    click.echo(f"    argosy join --token {token} {_manager_address(client)}\n")


def _manager_address(client: Client) -> str:
    """Of this host if it is a manager, else of any."""
    swarm = client.get("/info", InfoAnswer).swarm
    if swarm.control_available:
        status = client.get(f"/nodes/{swarm.node_id}", NodeAnswer).manager_status
        if status and status.addr:
            return status.addr
    addresses = [manager.addr for manager in swarm.remote_managers or []]
    return addresses[0] if addresses else f"{swarm.node_addr}:{MANAGER_PORT}"
