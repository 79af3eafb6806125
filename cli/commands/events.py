"""`argosy events`: what happens in the cluster, as it happens."""

from __future__ import annotations

import json
from datetime import datetime

import click
import msgspec

from api.engine.events import EventAnswer
from cli.client import current
from cli.client_streams import lines
from cli.command_errors import BadArgument
from cli.flags.time_values import moment
from cli.show.format_templates import BadTemplate, render
from cli.show.output import filter_option


@click.command()
@click.option("--since", help='Also what happened since then: a time ("2026-01-02T15:04:05Z") or a duration ("10m").')
@click.option("--until", help="Only until then; without it events are shown as they come.")
@filter_option
@click.option("--format", "template", metavar="TEMPLATE", help='"json", or a Go template.')
def events(since: str | None, until: str | None, filters: dict[str, list[str]], template: str | None) -> None:
    """Show what happens to services, tasks, nodes, networks, secrets and configs, as it happens.

    \b
    Examples:
      argosy events --since 1h --filter type=task
      argosy events --filter service=web --format '{{.Action}} {{.Actor.Attributes.name}}'
    """
    query: dict[str, str | int | bool] = {}
    for name, text in (("since", since), ("until", until)):
        if text:
            query[name] = moment(f"--{name}", text)
    if filters:
        query["filters"] = json.dumps({name: dict.fromkeys(values, True) for name, values in filters.items()})
    with current().stream("GET", "/events", query) as chunks:
        for line in lines(chunks):
            click.echo(_formatted(line, template) if template else _shown(line))


def _formatted(line: bytes, template: str) -> str:
    try:
        return render("{{json .}}" if template == "json" else template, json.loads(line))
    except BadTemplate as error:
        raise BadArgument(f"--format: {error}") from None


def _shown(line: bytes) -> str:
    event = msgspec.json.decode(line, type=EventAnswer)
    when = datetime.fromtimestamp(event.time_nano / 1e9).astimezone()
    attributes = ", ".join(f"{name}={value}" for name, value in sorted(event.actor.attributes.items()))
    text = f"{when.isoformat()} {event.type} {event.action} {event.actor.id}"
    return f"{text} ({attributes})" if attributes else text
