"""`argosy node`: the cluster's hosts."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from api.engine.swarm import NodeAnswer
from api.engine.system import InfoAnswer
from api.engine.tasks import TaskAnswer
from api.states import Availability, Role
from cli.client import Client, current
from cli.command_errors import ApiError, BadArgument, Failed
from cli.commands.init_join import AVAILABILITY, ROLES
from cli.flags.flag_values import assignment
from cli.lazy_group import CommandGroup
from cli.show.drain_progress import Drain
from cli.show.formatting import byte_count
from cli.show.node_rows import columns, node_rows
from cli.show.output import (
    each,
    inspect,
    inspect_format_option,
    is_table,
    list_options,
    show_rows,
)
from cli.show.service_progress import timeout_option
from cli.show.task_rows import TaskList, task_list_options


@click.group(cls=CommandGroup)
def node() -> None:
    """Manage the cluster's hosts."""


@node.command()
@list_options
def ls(filters: dict[str, list[str]], template: str | None, quiet: bool) -> None:
    """List hosts; the one that answers is marked with a star."""
    client = current()
    nodes = client.get_json("/nodes", filters=filters)
    if quiet and not template:
        for item in nodes:
            click.echo(item["ID"])
        return
    own = client.get("/info", InfoAnswer).swarm.node_id
    rows = node_rows(nodes, own, is_table=is_table(template))
    show_rows(rows, columns(rows), template)


@node.command("inspect")
@inspect_format_option
@click.option("--pretty", is_flag=True, help="For people.")
@click.argument("nodes", nargs=-1, required=True, metavar="self|NODE…")
def inspect_(nodes: tuple[str, ...], template: str | None, pretty: bool) -> None:
    """Show everything about hosts."""
    client = current()
    ids = [_own(client, name) for name in nodes]
    if pretty and not template:
        for id in ids:
            click.echo("\n".join(_pretty(client.get(f"/nodes/{id}", NodeAnswer))))
        return
    inspect(client, "node", "/nodes", ids, template)


def _pretty(item: NodeAnswer) -> list[str]:
    about = item.description
    manager = item.manager_status
    lines = [
        f"ID:              {item.id}",
        f"Hostname:        {about.hostname}",
        f"Joined at:       {item.created_at}",
        f"State:           {item.status.state.capitalize()} {item.status.message}".rstrip(),
        f"Availability:    {item.spec.availability.value.capitalize()}",
        f"Address:         {item.status.addr}",
        f"Role:            {item.spec.role.value}",
        f"Platform:        {about.platform.os}/{about.platform.architecture}",
        f"CPUs:            {about.resources.nano_cpus / 1e9:g}",
        f"Memory:          {byte_count(about.resources.memory_bytes)}",
        f"Engine version:  {about.engine.engine_version}",
    ]
    if manager:
        lines.append(f"Manager:         {manager.addr} {'leader' if manager.leader else manager.reachability}")
    return lines + [f"Label:           {key}={value}" for key, value in sorted(item.spec.labels.items())]


@node.command()
@click.option("--availability", type=AVAILABILITY, help="With drain its tasks move away; pause gives it no new ones.")
@click.option("--role", type=ROLES, help="As `node promote` and `node demote` do.")
@click.option("--label-add", multiple=True, metavar="KEY=VALUE", help="Add or replace a label. Repeatable.")
@click.option("--label-rm", multiple=True, metavar="KEY", help="Take a label away. Repeatable.")
@click.option("--wait", is_flag=True, help="With --availability drain: until its tasks run elsewhere.")
@timeout_option
@click.argument("name", metavar="NODE")
def update(
    name: str,
    availability: str | None,
    role: str | None,
    label_add: tuple[str, ...],
    label_rm: tuple[str, ...],
    wait: bool,
    timeout: float,
) -> None:
    """Change a host's labels, availability or role.

    \b
    Examples:
      argosy node update --label-add zone=a w1
      argosy node update --availability drain --wait w1
    """
    if wait and availability != "drain":
        raise BadArgument("--wait goes with --availability drain")
    client = current()
    found = client.get(f"/nodes/{_own(client, name)}", NodeAnswer)
    labels = {key: value for key, value in found.spec.labels.items() if key not in label_rm}
    try:
        labels |= dict(pair for text in label_add for pair in assignment(text))
    except ValueError as error:
        raise BadArgument(f"--label-add: {error}") from None
    drain = Drain(client, found.id, name) if wait else None
    _send(
        client,
        found,
        labels=labels,
        availability=Availability(availability) if availability else found.spec.availability,
        role=Role(role) if role else found.spec.role,
    )
    click.echo(name)
    if drain:
        drain.wait(timeout)


def _send(client: Client, found: NodeAnswer, **fields: Any) -> None:
    spec = msgspec.structs.replace(found.spec, **fields)
    # a plain body: the daemon wants role and availability present, also where they are the default
    body = {"Labels": spec.labels, "Role": spec.role.value, "Availability": spec.availability.value}
    if spec.name:
        body["Name"] = spec.name
    client.send(f"/nodes/{found.id}/update", body, {"version": found.version.index})


@node.command()
@click.option("--wait/--no-wait", default=False, help="Until its tasks run elsewhere.")
@timeout_option
@click.argument("nodes", nargs=-1, required=True, metavar="self|NODE…")
def drain(nodes: tuple[str, ...], wait: bool, timeout: float) -> None:
    """Move all tasks away from hosts, one host after the other, and give them no new ones.

    \b
    Example:
      argosy node drain --wait w1 && argosy node rm --force w1
    """
    client = current()
    for name in nodes:
        found = client.get(f"/nodes/{_own(client, name)}", NodeAnswer)
        before = Drain(client, found.id, name)
        if found.spec.availability is not Availability.DRAIN:
            _send(client, found, availability=Availability.DRAIN)
        click.echo(name)
        if wait:
            before.wait(timeout)


@node.command()
@click.argument("nodes", nargs=-1, required=True)
def promote(nodes: tuple[str, ...]) -> None:
    """Make hosts managers."""
    _change_role(nodes, Role.MANAGER)


@node.command()
@click.argument("nodes", nargs=-1, required=True)
def demote(nodes: tuple[str, ...]) -> None:
    """Make managers workers.

    Both join tokens are made anew, for they have known them: `argosy join-token` prints the new ones.
    """
    _change_role(nodes, Role.WORKER)


def _change_role(nodes: tuple[str, ...], role: Role) -> None:
    """Change the role of each node and print Docker's words. Raises Failed with all errors at the end."""
    client, problems = current(), []
    for name in nodes:
        try:
            found = client.get(f"/nodes/{_own(client, name)}", NodeAnswer)
            if found.spec.role is role:
                click.echo(f"Node {name} is already a {role.value}.")
                continue
            _send(client, found, role=role)
        except ApiError as error:
            problems.append(error.message)
        else:
            done = "promoted to a manager" if role is Role.MANAGER else "demoted"
            click.echo(f"Node {name} {done} in the cluster.")
    if problems:
        raise Failed("\n".join(problems))


@node.command()
@click.option("-f", "--force", is_flag=True, help="Also when it is not down.")
@click.argument("nodes", nargs=-1, required=True)
def rm(nodes: tuple[str, ...], force: bool) -> None:
    """Remove hosts from the cluster; a manager has to be demoted first, and one that is up needs --force.

    \b
    Example:
      argosy node rm w3
    """
    client = current()
    each(nodes, lambda name: client.delete(f"/nodes/{name}", {"force": force}))


@node.command()
@task_list_options
@click.argument("nodes", nargs=-1, metavar="[NODE…]")
def ps(nodes: tuple[str, ...], wanted: TaskList) -> None:
    """List the tasks on hosts (this one, if none is named)."""
    client = current()
    ids = [client.get(f"/nodes/{_own(client, name)}", NodeAnswer).id for name in nodes or ("self",)]
    wanted.show(client, client.get("/tasks", list[TaskAnswer], filters={**wanted.filters, "node": ids}))


def _own(client: Client, name: str) -> str:
    return client.get("/info", InfoAnswer).swarm.node_id if name == "self" else name
