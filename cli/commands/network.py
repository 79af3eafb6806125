"""`argosy network`: networks across hosts."""

from __future__ import annotations

import click

from api.engine.networks import NetworkAnswer, NetworkCreatedAnswer
from api.network.network_spec import IPAM, IPAMConfig, NetworkSpec
from cli.client import current
from cli.command_errors import BadArgument
from cli.flags.flag_values import assignment
from cli.lazy_group import CommandGroup
from cli.show.formatting import short_id
from cli.show.output import each, inspect, inspect_format_option, list_options, no_trunc_option, show_rows

COLUMNS = {"ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER", "Scope": "SCOPE"}


@click.group(cls=CommandGroup)
def network() -> None:
    """Manage networks."""


@network.command()
@click.option("-d", "--driver", default="overlay", show_default=True, help="Kind of network.")
@click.option("--attachable", is_flag=True, help="Let single containers join.")
@click.option("--internal", is_flag=True, help="No way out of the network.")
@click.option("--ingress", is_flag=True, help="For the routing mesh, in place of one that was removed.")
@click.option("--subnet", multiple=True, metavar="CIDR", help="Its addresses; picked, if not said.")
@click.option("--ip-range", multiple=True, metavar="CIDR", help="Where containers get addresses.")
@click.option("--gateway", multiple=True, metavar="ADDRESS", help="An address in the subnet.")
@click.option("--label", multiple=True, metavar="KEY=VALUE", help="A label. Repeatable.")
@click.option("-o", "--opt", multiple=True, metavar="KEY=VALUE", help="Options of the driver.")
@click.option("--scope", default="", help="Where the network is: swarm, on the whole cluster.")
@click.argument("name")
def create(
    name: str,
    driver: str,
    attachable: bool,
    internal: bool,
    ingress: bool,
    subnet: tuple[str, ...],
    ip_range: tuple[str, ...],
    gateway: tuple[str, ...],
    label: tuple[str, ...],
    opt: tuple[str, ...],
    scope: str,
) -> None:
    """Create a network that services of the whole cluster can be on.

    \b
    Example:
      argosy network create --subnet 10.20.0.0/24 back
    """
    if len(ip_range) > len(subnet) or len(gateway) > len(subnet):
        raise BadArgument("every --ip-range and --gateway needs a --subnet that it is in")
    spec = NetworkSpec(
        name=name,
        driver=driver,
        scope=scope,
        attachable=attachable,
        internal=internal,
        ingress=ingress,
        ipam=IPAM(
            config=[
                IPAMConfig(
                    subnet=part,
                    ip_range=ip_range[number] if number < len(ip_range) else "",
                    gateway=gateway[number] if number < len(gateway) else "",
                )
                for number, part in enumerate(subnet)
            ]
        ),
        options=_pairs("--opt", opt),
        labels=_pairs("--label", label),
    )
    created = current().post("/networks/create", NetworkCreatedAnswer, spec)
    if created.warning:
        click.echo(f"WARNING: {created.warning}", err=True)
    click.echo(created.id)


def _pairs(flag: str, texts: tuple[str, ...]) -> dict[str, str]:
    try:
        return dict(pair for text in texts for pair in assignment(text))
    except ValueError as error:
        raise BadArgument(f"{flag}: {error}") from None


@network.command()
@list_options
@no_trunc_option
def ls(filters: dict[str, list[str]], template: str | None, quiet: bool, no_trunc: bool) -> None:
    """List networks."""
    networks = current().get("/networks", list[NetworkAnswer], filters=filters)
    rows = [
        {
            "ID": item.id if no_trunc else short_id(item.id),
            "Name": item.name,
            "Driver": item.driver,
            "Scope": item.scope,
            "IPv4": str(item.enable_ipv4).lower(),
            "IPv6": str(item.enable_ipv6).lower(),
            "Internal": str(item.internal).lower(),
            "CreatedAt": item.created,
            "Labels": ",".join(f"{key}={value}" for key, value in sorted((item.labels or {}).items())),
        }
        for item in sorted(networks, key=lambda item: item.name)
    ]
    show_rows(rows, COLUMNS, template, quiet)


@network.command("inspect")
@inspect_format_option
@click.argument("networks", nargs=-1, required=True)
def inspect_(networks: tuple[str, ...], template: str | None) -> None:
    """Show everything about networks."""
    inspect(current(), "network", "/networks", networks, template)


@network.command()
@click.argument("networks", nargs=-1, required=True)
def rm(networks: tuple[str, ...]) -> None:
    """Remove networks."""
    client = current()
    each(networks, lambda name: client.delete(f"/networks/{name}"))
