"""`argosy init`, `join`, `leave`, `join-token`: how hosts enter and leave a cluster."""

from __future__ import annotations

from typing import Any

import click

from api.defaults import MANAGER_PORT
from api.engine.swarm import NodeAnswer, SwarmAnswer, SwarmInitRequest, SwarmJoinRequest, SwarmUpdateRequest
from api.engine.system import InfoAnswer
from cli.client import Client, current
from cli.flags.cluster_flags import cluster_spec

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
    body = SwarmInitRequest(
        listen_addr=given["listen_addr"],
        advertise_addr=given["advertise_addr"],
        data_path_addr=given["data_path_addr"],
        data_path_port=given["data_path_port"],
        default_addr_pool=list(given["default_addr_pool"]),
        subnet_size=given["default_addr_pool_mask_length"],
        force_new_cluster=given["force_new_cluster"],
        availability=given["availability"],
        spec=cluster_spec(given, {}),
    )
    node_id = client.post("/swarm/init", str, body)
    click.echo(f"Cluster made: this host ({node_id}) is now a manager.\n")
    _print_join(client, "worker")
    click.echo("To add a manager, run 'argosy join-token manager' and follow what it says.")


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
        SwarmJoinRequest(listen_addr, advertise_addr, data_path_addr, [address], token, availability),
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
        found = client.get("/swarm", SwarmAnswer)
        query = {"version": found.version.index, f"rotate{role.capitalize()}Token": True}
        client.send("/swarm/update", SwarmUpdateRequest(labels=found.spec.labels), query)
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
    """The address of this host if it is a manager, else of any manager."""
    swarm = client.get("/info", InfoAnswer).swarm
    if swarm.control_available:
        status = client.get(f"/nodes/{swarm.node_id}", NodeAnswer).manager_status
        if status and status.addr:
            return status.addr
    addresses = [manager.addr for manager in swarm.remote_managers or []]
    return addresses[0] if addresses else f"{swarm.node_addr}:{MANAGER_PORT}"
