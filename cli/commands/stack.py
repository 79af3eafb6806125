"""`argosy stack`: compose files on the cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from api.engine.services import ServiceAnswer
from api.engine.system import InfoAnswer
from api.engine.tasks import TaskAnswer
from cli.client import Client, current
from cli.command_errors import Failed
from cli.deploy import host_binds
from cli.deploy.deployment import Deployment, compare, stack_filter
from cli.flags.compose_file_flags import ComposeFiles, compose_files
from cli.lazy_group import CommandGroup
from cli.show.output import format_option, list_options, show_rows
from cli.show.service_progress import Wait, detach_option, timeout_option, wait_options
from cli.show.service_rows import COLUMNS as SERVICE_COLUMNS
from cli.show.service_rows import service_rows
from cli.show.task_rows import TaskList, task_list_options
from compose.deploy.deploy_plan import Resolve
from compose.load import LoadedProject
from compose.model.stack import NAMESPACE, Stack

F = TypeVar("F", bound=Callable[..., Any])

_prune = click.option(
    "--prune", is_flag=True, help="Remove services, networks, secrets and configs that the files do not have any more."
)
_ship = click.option(
    "--ship-binds",
    is_flag=True,
    help="Binds of this machine go along: read-only files as configs; services with other ones stay on this host.",
)
_resolve = click.option(
    "--resolve-image",
    type=click.Choice(["always", "changed", "never"]),
    default="changed",
    show_default=True,
    help="When to ask again which image a tag means.",
)


@click.group(cls=CommandGroup)
def stack() -> None:
    """Deploy and manage compose files."""


@stack.command()
@compose_files
@_prune
@_resolve
@_ship
@click.option("--dry-run", is_flag=True, help="Only say what would be done, as `stack plan` does.")
@click.option("--with-registry-auth", is_flag=True, help="Send your registry logins to the hosts that pull.")
@wait_options
@click.argument("name", required=False, metavar="[STACK]")
def deploy(
    files: ComposeFiles,
    name: str | None,
    prune: bool,
    resolve_image: Resolve,
    ship_binds: bool,
    dry_run: bool,
    with_registry_auth: bool,
    wait: Wait,
) -> None:
    """Make the cluster run what compose files say, and wait until it does.

    Without STACK the project's own `name:` is used. Deploying again changes only what differs; `argosy stack plan`
    says what that is.

    \b
    Examples:
      argosy stack deploy -c compose.yml shop
      argosy stack deploy -c compose.yml -c production.yml --prune shop
    """
    loaded, client = files.load(name), current()
    wanted = with_binds(client, loaded, ship_binds)
    deploy_plan, snapshot = compare(client, wanted, prune=prune, resolve=resolve_image)
    if dry_run:
        for line in deploy_plan.lines():
            click.echo(line)
        return
    Deployment(client, deploy_plan, snapshot, wait, with_registry_auth).run()


@stack.command()
@compose_files
@_prune
@_resolve
@_ship
@click.option("--exit-code", is_flag=True, help="End with 3 when something would be done.")
@click.argument("name", required=False, metavar="[STACK]")
def plan(
    files: ComposeFiles, name: str | None, prune: bool, resolve_image: Resolve, ship_binds: bool, exit_code: bool
) -> None:
    """Show what `stack deploy` would do, field by field, and which tasks it would restart and why.

    \b
    Example:
      argosy stack plan -c compose.yml --prune shop
    """
    loaded, client = files.load(name), current()
    wanted = with_binds(client, loaded, ship_binds)
    deploy_plan, _ = compare(client, wanted, prune=prune, resolve=resolve_image)
    for line in deploy_plan.lines():
        click.echo(line)
    for line in deploy_plan.warnings():
        click.echo(f"WARNING: {line}", err=True)
    if exit_code and not deploy_plan.is_empty:
        raise SystemExit(3)


@stack.command()
@compose_files
@click.option("--no-cache", is_flag=True, help="Build every step anew.")
@click.option("--pull", is_flag=True, help="Fetch newer base images.")
@click.argument("name", metavar="STACK")
@click.argument("services", nargs=-1, metavar="[SERVICE…]")
def build(files: ComposeFiles, name: str, services: Sequence[str], no_cache: bool, pull: bool) -> None:
    """Build the images of services with a `build` section, and load them into this host.

    buildah does it, where it is installed. The other hosts fetch the images from this one.

    \b
    Example:
      argosy stack build -c compose.yml shop && argosy stack deploy -c compose.yml shop
    """
    from cli.deploy.image_build import build as build_images

    build_images(current(), files.load(name).project, name, services, pull=pull, no_cache=no_cache)


@stack.command()
@compose_files
@click.option(
    "--format",
    "form",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="Form of the output.",
)
@click.argument("name", required=False, metavar="[STACK]")
def config(files: ComposeFiles, name: str | None, form: str) -> None:
    """Show what compose files come to: merged and in long form, as a compose file that loads to the same.

    \b
    Example:
      argosy stack config -c compose.yml > canonical.yml
    """
    from compose.translate.compose_file import as_json, as_yaml

    project = files.load(name).project
    click.echo(as_json(project) if form == "json" else as_yaml(project).rstrip())


@stack.command()
@format_option
def ls(template: str | None) -> None:
    """List stacks."""
    services = current().get("/services", list[ServiceAnswer], filters={"label": [NAMESPACE]})
    counts: dict[str, int] = {}
    for service in services:
        name = service.spec.labels.get(NAMESPACE, "")
        counts[name] = counts.get(name, 0) + 1
    rows = [{"Name": name, "Services": str(count)} for name, count in sorted(counts.items())]
    show_rows(rows, {"Name": "NAME", "Services": "SERVICES"}, template)


@stack.command()
@task_list_options
@click.argument("name", metavar="STACK")
def ps(name: str, wanted: TaskList) -> None:
    """List the tasks of a stack."""
    client = current()
    label = stack_filter(name)["label"] + wanted.filters.pop("label", [])
    tasks = client.get("/tasks", list[TaskAnswer], filters={**wanted.filters, "label": label})
    if not tasks:
        _must_exist(client, name)
    wanted.show(client, tasks)


@stack.command()
@list_options
@click.argument("name", metavar="STACK")
def services(name: str, filters: dict[str, list[str]], template: str | None, quiet: bool) -> None:
    """List the services of a stack."""
    label = stack_filter(name)["label"] + filters.pop("label", [])
    found = current().get_json("/services", {"status": True}, {**filters, "label": label})
    if not found:
        raise Failed(f"there is no stack {name!r}")
    show_rows(service_rows(found), SERVICE_COLUMNS, template, quiet)


@stack.command()
@click.option("--json", "as_json", is_flag=True, help="Show it as JSON.")
@click.argument("name", metavar="STACK")
def explain(name: str, as_json: bool) -> None:
    """Say what of a stack does not run, why, and what to do about it."""
    from cli.show.explanation import show_stack

    client = current()
    found = client.get("/services", list[ServiceAnswer], filters=stack_filter(name))
    show_stack(client, name, sorted(service.spec.name for service in found), as_json)


@stack.command()
@detach_option
@timeout_option
@click.argument("names", nargs=-1, required=True, metavar="STACK…")
def rm(names: Sequence[str], detach: bool, timeout: float) -> None:
    """Remove stacks with their services, networks, secrets and configs, and wait until they are gone.

    Volumes, with what is in them, stay.
    """
    from cli.deploy.stack_removal import StackRemoval

    client, problems = current(), []
    for name in names:
        try:
            StackRemoval(client, name).run(detach, timeout)
        except Failed as error:
            problems.append(error.message)
    if problems:
        raise Failed("\n".join(problems))


def with_binds(client: Client, loaded: LoadedProject, ship: bool) -> Stack:
    """The stack, with binds shipped if asked for. Notes and warnings about binds go to stderr."""
    stack, own = loaded.stack, (loaded.directory, os.path.expanduser("~"))
    if not any(host_binds.binds(service) for service in stack.services):
        return stack
    swarm = client.get("/info", InfoAnswer).swarm
    if ship:
        stack, notes = host_binds.ship_binds(stack, own, host_binds.read_path, swarm.node_id if client.is_local else "")
        for line in notes:
            click.echo(f"note: {line}", err=True)
    elif swarm.nodes != 1 or not client.is_local:
        for line in host_binds.bind_warnings(stack, own, host_binds.read_path):
            click.echo(f"WARNING: {line}", err=True)
    return stack


def _must_exist(client: Client, name: str) -> None:
    if not client.get("/services", list[ServiceAnswer], filters=stack_filter(name)):
        raise Failed(f"there is no stack {name!r}")
