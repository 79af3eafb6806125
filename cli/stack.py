"""`argosy stack`: compose files on the cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import click

from cli.client import Client, current
from cli.deploy import Deployment, check_detached, compare, stack_filter
from cli.errors import ApiError, Failed, Wrong
from cli.lazy import Group
from cli.output import filter_option, format_option, list_options, no_trunc_option, quiet_option, show_rows
from cli.service_rows import COLUMNS as SERVICE_COLUMNS
from cli.service_rows import service_rows
from cli.task_rows import COLUMNS as TASK_COLUMNS
from cli.task_rows import task_rows
from cli.views import Network, Service, Task
from cli.waiting import PERIOD, detach_option, timeout_option
from compose.load import Loaded, load
from compose.stack import NAMESPACE

_DEFAULT_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_files = click.option(
    "-c",
    "--compose-file",
    "files",
    multiple=True,
    metavar="FILE",
    help='A compose file, "-" for standard input; later ones win. [compose.yaml, docker-compose.yml, …]',
)


@click.group(cls=Group)
def stack() -> None:
    """Deploy and manage compose files."""


@stack.command()
@_files
@detach_option
@timeout_option
@click.option("--prune", is_flag=True, help="Remove services that the files do not have any more.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option(
    "--resolve-image", type=click.Choice(["always", "changed", "never"]), default="changed", show_default=True
)
@click.option("--with-registry-auth", is_flag=True, help="Accepted; hosts use credentials of their own.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.argument("name", required=False, metavar="[STACK]")
def deploy(
    files: Sequence[str],
    name: str | None,
    detach: bool,
    timeout: float,
    prune: bool,
    dry_run: bool,
    resolve_image: str,
    with_registry_auth: bool,
    quiet: bool,
) -> None:
    """Make the cluster run what compose files say, and wait until it does.

    Without STACK the project's own `name:` is used. Deploying again changes only what differs.
    """
    loaded = _load(files, name)
    if detach:
        check_detached(loaded.stack)
    client = current()
    changes = compare(client, loaded.stack, prune=prune, resolve=resolve_image)  # type: ignore[arg-type]
    if dry_run:
        for line in changes.lines():
            click.echo(line)
        return
    Deployment(client, changes, detach=detach, timeout=timeout, quiet=quiet).run()


@stack.command()
@_files
@click.argument("name", required=False, metavar="[STACK]")
def config(files: Sequence[str], name: str | None) -> None:
    """Show what compose files come to: merged, in long form, as JSON."""
    import json

    import msgspec

    loaded = _load(files, name or "")
    project = msgspec.structs.replace(loaded.project, name=loaded.stack.name)
    click.echo(json.dumps(msgspec.to_builtins(project), indent=2, ensure_ascii=False))


@stack.command()
@format_option
def ls(template: str | None) -> None:
    """List stacks."""
    services = current().get("/services", list[Service], filters={"label": [NAMESPACE]})
    counts: dict[str, int] = {}
    for service in services:
        name = service.spec.labels.get(NAMESPACE, "")
        counts[name] = counts.get(name, 0) + 1
    rows = [{"Name": name, "Services": str(count)} for name, count in sorted(counts.items())]
    show_rows(rows, {"Name": "NAME", "Services": "SERVICES"}, template)


@stack.command()
@filter_option
@format_option
@no_trunc_option
@quiet_option
@click.option("--no-resolve", is_flag=True, help="Show ids in place of names.")
@click.argument("name", metavar="STACK")
def ps(
    name: str, filters: dict[str, list[str]], template: str | None, no_trunc: bool, quiet: bool, no_resolve: bool
) -> None:
    """List the tasks of a stack."""
    client = current()
    label = stack_filter(name)["label"] + filters.pop("label", [])
    tasks = client.get("/tasks", list[Task], filters={**filters, "label": label})
    if not tasks:
        _must_exist(client, name)
    show_rows(
        task_rows(client, tasks, resolve=not no_resolve, truncate=not no_trunc and not quiet),
        TASK_COLUMNS,
        template,
        quiet,
    )


@stack.command()
@list_options
@click.argument("name", metavar="STACK")
def services(name: str, filters: dict[str, list[str]], template: str | None, quiet: bool) -> None:
    """List the services of a stack."""
    label = stack_filter(name)["label"] + filters.pop("label", [])
    found = current().get("/services", list[Service], {"status": True}, {**filters, "label": label})
    if not found:
        raise Failed(f"there is no stack {name!r}")
    show_rows(service_rows(found), SERVICE_COLUMNS, template, quiet)


@stack.command()
@detach_option
@timeout_option
@click.argument("names", nargs=-1, required=True, metavar="STACK…")
def rm(names: Sequence[str], detach: bool, timeout: float) -> None:
    """Remove stacks, and wait until their tasks and networks are gone."""
    client = current()
    problems = []
    for name in names:
        try:
            _remove(client, name, detach, timeout)
        except Failed as error:
            problems.append(error.message)
    if problems:
        raise Failed("\n".join(problems))


def _remove(client: Client, name: str, detach: bool, timeout: float) -> None:
    found, networks = _objects(client, name)
    if not found and not networks:
        raise Failed(f"there is no stack {name!r}")
    for service in sorted(found, key=lambda service: service.spec.name):
        click.echo(f"Removing service {service.spec.name}")
        _delete(client, f"/services/{service.id}")
    for network in networks:
        click.echo(f"Removing network {network.name}")
        _delete(client, f"/networks/{network.id}")
    if not detach:
        _wait_gone(client, name, {network.id for network in networks}, timeout)


def _delete(client: Client, path: str) -> None:
    try:
        client.delete(path)
    except ApiError as error:
        if not error.is_missing:
            raise


def _objects(client: Client, name: str) -> tuple[list[Service], list[Network]]:
    return (
        client.get("/services", list[Service], filters=stack_filter(name)),
        client.get("/networks", list[Network], filters=stack_filter(name)),
    )


def _wait_gone(client: Client, name: str, network_ids: set[str], timeout: float) -> None:
    """Until no task of the stack runs and its networks are gone."""
    end = time.monotonic() + timeout
    while True:
        tasks = client.get("/tasks", list[Task], filters=stack_filter(name))
        alive = [task for task in tasks if task.status.state in _ALIVE]
        _, networks = _objects(client, name)
        left = [network for network in networks if network.id in network_ids]
        if not alive and not left:
            return
        if time.monotonic() > end:
            raise Failed(
                f"stack {name} is not gone after {timeout:g} s: {len(alive)} tasks, {len(left)} networks are left"
            )
        time.sleep(PERIOD)


_ALIVE = ("new", "pending", "assigned", "accepted", "preparing", "ready", "starting", "running")


def _must_exist(client: Client, name: str) -> None:
    if not client.get("/services", list[Service], filters=stack_filter(name)):
        raise Failed(f"there is no stack {name!r}")


def _load(files: Sequence[str], name: str | None) -> Loaded:
    chosen = list(files) or [file for file in _DEFAULT_FILES if os.path.exists(file)][:1]
    if not chosen:
        raise Wrong(f"give a compose file with -c; there is none of {', '.join(_DEFAULT_FILES)} here")
    loaded = load(chosen, os.environ, name or "")
    for note in loaded.notes:
        click.echo(f"note: {note}", err=True)
    return loaded
