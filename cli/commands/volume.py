"""`argosy volume`: this host's volumes. A volume is on one host; each task of a service uses its own host's."""

from __future__ import annotations

import click

from api.engine.volumes import VolumeAnswer, VolumeCreateRequest, VolumesAnswer
from cli.client import current
from cli.command_errors import BadArgument
from cli.flags.flag_values import assignment
from cli.lazy_group import CommandGroup
from cli.show.output import each, inspect, inspect_format_option, list_options, show_rows

COLUMNS = {"Driver": "DRIVER", "Name": "VOLUME NAME"}


@click.group(cls=CommandGroup)
def volume() -> None:
    """Manage this host's volumes."""


@volume.command()
@list_options
def ls(filters: dict[str, list[str]], template: str | None, quiet: bool) -> None:
    """List this host's volumes."""
    found = current().get("/volumes", VolumesAnswer, filters=filters).volumes or []
    names = sorted(found, key=lambda item: item.name)
    if quiet and not template:
        for item in names:
            click.echo(item.name)
        return
    rows = [
        {
            "Driver": item.driver,
            "Name": item.name,
            "Mountpoint": item.mountpoint,
            "Scope": item.scope,
            "Labels": ",".join(f"{key}={value}" for key, value in sorted((item.labels or {}).items())),
        }
        for item in names
    ]
    show_rows(rows, COLUMNS, template)


@volume.command("inspect")
@inspect_format_option
@click.argument("volumes", nargs=-1, required=True)
def inspect_(volumes: tuple[str, ...], template: str | None) -> None:
    """Show everything about volumes."""
    inspect(current(), "volume", "/volumes", volumes, template)


@volume.command()
@click.option("-d", "--driver", default="local", show_default=True, help="Kind of volume.")
@click.option("-o", "--opt", multiple=True, metavar="KEY=VALUE", help="Options of the driver.")
@click.option("--label", multiple=True, metavar="KEY=VALUE", help="A label. Repeatable.")
@click.argument("name", required=False, default="")
def create(name: str, driver: str, opt: tuple[str, ...], label: tuple[str, ...]) -> None:
    """Create a volume on this host. Services make those they name by themselves.

    \b
    Example:
      argosy volume create --opt type=nfs --opt o=addr=10.0.0.9,rw --opt device=:/export data
    """
    request = VolumeCreateRequest(name, driver, _pairs("--opt", opt), _pairs("--label", label))
    click.echo(current().post("/volumes/create", VolumeAnswer, request).name)


def _pairs(flag: str, texts: tuple[str, ...]) -> dict[str, str]:
    try:
        return dict(pair for text in texts for pair in assignment(text))
    except ValueError as error:
        raise BadArgument(f"{flag}: {error}") from None


@volume.command()
@click.option("-f", "--force", is_flag=True, help="Say nothing of those that do not exist.")
@click.argument("volumes", nargs=-1, required=True)
def rm(volumes: tuple[str, ...], force: bool) -> None:
    """Remove volumes of this host, with what is in them."""
    client = current()
    each(volumes, lambda name: client.delete(f"/volumes/{name}", {"force": force}))
