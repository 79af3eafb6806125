"""`argosy cluster`: shows and changes the cluster's settings."""

from __future__ import annotations

import json
from typing import Any

import click

from api.engine.swarm import SwarmAnswer
from cli.client import current
from cli.command_errors import BadArgument
from cli.flags.cluster_flags import cluster_spec
from cli.flags.flag_values import assignment
from cli.lazy_group import CommandGroup

REBALANCE = "argosy.rebalance"
"""The cluster's label that the managers read (docs/design/task-lifecycle.md, "Moves")."""


@click.group(cls=CommandGroup)
def cluster() -> None:
    """Show and change what holds for the whole cluster."""


@cluster.command("inspect")
def inspect_() -> None:
    """Show the cluster's settings as JSON."""
    found = current().get_json("/swarm")
    found.pop("JoinTokens", None)  # `argosy join-token` shows them
    click.echo(json.dumps(found, indent=4, ensure_ascii=False))


@cluster.command()
@click.option(
    "--rebalance/--no-rebalance",
    default=None,
    help="Move tasks to hosts that join or return, for services that do not say otherwise.",
)
@click.option("--label-add", multiple=True, metavar="KEY=VALUE", help="Add or replace a label. Repeatable.")
@click.option("--label-rm", multiple=True, metavar="KEY", help="Take a label away. Repeatable.")
@click.option("--task-history-limit", type=click.IntRange(0), help="Ended tasks kept per slot.")
@click.option("--dispatcher-heartbeat", metavar="DURATION", help="Time between heartbeats.")
@click.option("--cert-expiry", metavar="DURATION", help="Life of the hosts' certificates.")
def update(rebalance: bool | None, label_add: tuple[str, ...], label_rm: tuple[str, ...], **given: Any) -> None:
    """Change settings of the cluster; what is not said stays as it is.

    \b
    Examples:
      argosy cluster update --rebalance
      argosy cluster update --task-history-limit 10 --label-add site=berlin
    """
    client = current()
    found = client.get("/swarm", SwarmAnswer)
    labels = {key: value for key, value in found.spec.labels.items() if key not in label_rm}
    try:
        labels |= dict(pair for text in label_add for pair in assignment(text))
    except ValueError as error:
        raise BadArgument(f"--label-add: {error}") from None
    spec = cluster_spec(given, relabelled(labels, rebalance))
    client.send("/swarm/update", spec, {"version": found.version.index})


def relabelled(labels: dict[str, str], rebalance: bool | None) -> dict[str, str]:
    """The cluster's labels with rebalancing switched on or off, or unchanged (None)."""
    if rebalance is None:
        return labels
    rest = {key: value for key, value in labels.items() if key != REBALANCE}
    return {**rest, REBALANCE: "true"} if rebalance else rest
