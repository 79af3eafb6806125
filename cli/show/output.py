"""Output of list and inspect commands: Docker's columns, `--format`, `-q`, and their options."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import click

from cli.client import Client
from cli.command_errors import ApiError, BadArgument, Failed
from cli.show.format_templates import BadTemplate, render
from cli.show.formatting import table

F = TypeVar("F", bound=Callable[..., Any])
Row = Mapping[str, str]
"""Field of --format → shown text."""

format_option = click.option("--format", "template", metavar="TEMPLATE", help='"json", "table", or a Go template.')
inspect_format_option = click.option("-f", "--format", "template", metavar="TEMPLATE", help='"json", or a Go template.')
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Only show ids.")
no_trunc_option = click.option("--no-trunc", is_flag=True, help="Do not shorten.")
filter_option = click.option(
    "-f",
    "--filter",
    "filters",
    multiple=True,
    metavar="NAME=VALUE",
    callback=lambda _, __, v: parse_filters(v),
    help="Only what matches. Repeatable.",
)


def list_options(command: F) -> F:
    """--filter, --format and --quiet."""
    return filter_option(format_option(quiet_option(command)))


def parse_filters(items: Sequence[str]) -> dict[str, list[str]]:
    """NAME=VALUE items by name. Raises a usage error."""
    found: dict[str, list[str]] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise BadArgument(f"--filter {item!r} is not of the form NAME=VALUE")
        found.setdefault(name, []).append(value)
    return found


def is_table(template: str | None) -> bool:
    """Whether a --format asks for a table, which has marks that are not part of the values."""
    return not template or template == "table" or template.startswith("table ")


def show_rows(rows: Sequence[Row], columns: Mapping[str, str], template: str | None, quiet: bool = False) -> None:
    """Print rows. `columns` is field → heading of the table, in order; the first one is what -q shows."""
    if quiet and not template:
        for row in rows:
            click.echo(row[next(iter(columns))])
    elif template in (None, "", "table"):
        for line in table(list(columns.values()), [[row[key] for key in columns] for row in rows]):
            click.echo(line)
    elif template == "json":
        for row in rows:
            click.echo(render("{{json .}}", dict(row)))
    elif template and template.startswith("table "):
        _table_template(template.removeprefix("table "), rows, columns)
    else:
        for row in rows:
            click.echo(_rendered(template or "", dict(row)))


def _table_template(template: str, rows: Sequence[Row], columns: Mapping[str, str]) -> None:
    fields = set().union(*rows) if rows else set(columns)
    heads = {
        name: columns.get(name) or re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).upper() for name in fields | {*columns}
    }
    lines = [_rendered(template, values).split("\t") for values in (heads, *map(dict, rows))]
    for line in table(lines[0], lines[1:]):
        click.echo(line)


def _rendered(template: str, value: object) -> str:
    try:
        return render(template, value)
    except BadTemplate as error:
        raise BadArgument(f"--format: {error}") from None


def inspect(client: Client, kind: str, path: str, names: Sequence[str], template: str | None, suffix: str = "") -> None:
    """Print objects as JSON or by a template; missing ones are reported last, with exit code 1."""
    found, missing = [], []
    for name in names:
        try:
            found.append(client.get_json(f"{path}/{name}{suffix}"))
        except ApiError as error:
            if not error.is_missing:
                raise
            missing.append(name)
    if template and template != "json":
        for item in found:
            click.echo(_rendered(template, item))
    elif template == "json":
        for item in found:
            click.echo(render("{{json .}}", item))
    else:
        import json

        click.echo(json.dumps(found, indent=4, ensure_ascii=False))
    if missing:
        raise Failed(f"there is no {kind} {', '.join(missing)}")


def each(names: Iterable[str], action: Callable[[str], None]) -> None:
    """Apply `action` to each name and print the name; errors are reported last, with exit code 1."""
    problems: list[str] = []
    for name in names:
        try:
            action(name)
            click.echo(name)
        except ApiError as error:
            problems.append(error.message)
    if problems:
        raise Failed("\n".join(problems))
