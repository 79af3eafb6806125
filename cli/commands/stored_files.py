"""`argosy secret` and `argosy config`: small files that the cluster stores for containers. One definition of both."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from api.engine.common import CreatedAnswer
from api.engine.stored_files import StoredFileAnswer
from api.stored_file import ConfigSpec, SecretSpec
from cli.client import current
from cli.command_errors import BadArgument
from cli.flags.flag_values import assignment
from cli.lazy_group import CommandGroup
from cli.show.formatting import ago
from cli.show.output import each, inspect, inspect_format_option, list_options, show_rows
from cli.timestamps import unix_time
from kit.timing import wall_clock

COLUMNS = {"ID": "ID", "Name": "NAME", "CreatedAt": "CREATED", "UpdatedAt": "UPDATED"}


def commands(what: str, kind: type[SecretSpec] | type[ConfigSpec]) -> click.Group:
    """The command group of one of the two; `what` is "secret" or "config"."""
    group = CommandGroup(what, help=f"Manage the cluster's {what}s.")
    but = " but their data" if what == "secret" else ""

    @group.command(help=f"Create a {what} from a file, or from standard input (-).")
    @click.option("-l", "--label", multiple=True, metavar="KEY=VALUE", help="A label. Repeatable.")
    @click.argument("name")
    @click.argument("file", default="-")
    def create(name: str, file: str, label: tuple[str, ...]) -> None:
        spec = kind(name=name, labels=_labels(label), data=_data(what, file))
        click.echo(current().post(f"/{what}s/create", CreatedAnswer, spec).id)

    @group.command(help=f"List {what}s.")
    @list_options
    def ls(filters: dict[str, list[str]], template: str | None, quiet: bool) -> None:
        found = current().get(f"/{what}s", list[StoredFileAnswer], filters=filters)
        show_rows([_row(item) for item in sorted(found, key=lambda item: item.spec.name)], COLUMNS, template, quiet)

    @group.command("inspect", help=f"Show everything about {what}s{but}.")
    @inspect_format_option
    @click.argument("names", nargs=-1, required=True)
    def inspect_(names: tuple[str, ...], template: str | None) -> None:
        inspect(current(), what, f"/{what}s", names, template)

    @group.command(help=f"Remove {what}s that no service uses.")
    @click.argument("names", nargs=-1, required=True)
    def rm(names: tuple[str, ...]) -> None:
        client = current()
        each(names, lambda name: client.delete(f"/{what}s/{name}"))

    return group


def _data(what: str, file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise BadArgument(f"cannot read the {what} from {file}: {error.strerror}") from None


def _labels(texts: tuple[str, ...]) -> dict[str, str]:
    try:
        return dict(pair for text in texts for pair in assignment(text))
    except ValueError as error:
        raise BadArgument(f"--label: {error}") from None


def _row(item: StoredFileAnswer) -> dict[str, str]:
    now = wall_clock()
    return {
        "ID": item.id,
        "Name": item.spec.name,
        "CreatedAt": ago(unix_time(item.created_at), now),
        "UpdatedAt": ago(unix_time(item.updated_at), now),
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(item.spec.labels.items())),
    }
