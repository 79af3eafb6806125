"""`argosy service`: the commands on services. (The flags are in cli/service_flags.py.)"""

from __future__ import annotations

from typing import Any

import click

from api.names import new_id
from cli.client import Client, current
from cli.convergence import Judge
from cli.errors import Wrong
from cli.lazy import Group
from cli.output import (
    each,
    filter_option,
    format_option,
    inspect,
    list_options,
    no_trunc_option,
    quiet_option,
    show_rows,
)
from cli.service_flags import changed_spec, common_flags, create_flags, new_spec, scaled, update_flags
from cli.service_logs import log_options, show_service_logs
from cli.service_rows import COLUMNS, service_rows
from cli.task_rows import COLUMNS as TASK_COLUMNS
from cli.task_rows import task_rows
from cli.views import Created, Service, Task
from cli.waiting import Screen, detach_option, timeout_option, update_start, wait_converged


@click.group(cls=Group)
def service() -> None:
    """Manage services."""


@service.command(context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@create_flags
@common_flags
@detach_option
@timeout_option
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.argument("image")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def create(image: str, args: tuple[str, ...], detach: bool, timeout: float, quiet: bool, **given: Any) -> None:
    """Create a service that runs IMAGE, and wait until it runs."""
    client = current()
    name = given["name"] or f"service-{new_id()[:8]}"
    created = client.post("/services/create", Created, new_spec(name, image, args, given))
    for warning in created.warnings or []:
        click.echo(f"WARNING: {warning}", err=True)
    click.echo(created.id)
    if not detach:
        wait_converged(client, [Judge(created.id)], timeout, Screen(quiet))


@service.command()
@list_options
def ls(filters: dict[str, list[str]], template: str | None, quiet: bool) -> None:
    """List services."""
    services = current().get("/services", list[Service], {"status": True}, filters)
    if quiet and not template:
        for item in services:
            click.echo(item.id)
        return
    show_rows(service_rows(services), COLUMNS, template)


@service.command()
@filter_option
@format_option
@no_trunc_option
@quiet_option
@click.option("--no-resolve", is_flag=True, help="Show ids in place of names.")
@click.argument("services", nargs=-1, required=True)
def ps(
    services: tuple[str, ...],
    filters: dict[str, list[str]],
    template: str | None,
    no_trunc: bool,
    quiet: bool,
    no_resolve: bool,
) -> None:
    """List the tasks of services."""
    client = current()
    ids = [client.get(f"/services/{name}", Service).id for name in services]
    tasks = client.get("/tasks", list[Task], filters={**filters, "service": ids})
    rows = task_rows(client, tasks, resolve=not no_resolve, truncate=not no_trunc and not quiet)
    show_rows(rows, TASK_COLUMNS, template, quiet)


@service.command("inspect")
@format_option
@click.argument("services", nargs=-1, required=True)
def inspect_(services: tuple[str, ...], template: str | None) -> None:
    """Show everything about services."""
    inspect(current(), "service", "/services", services, template)


@service.command()
@detach_option
@timeout_option
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.argument("targets", nargs=-1, required=True, metavar="SERVICE=REPLICAS…")
def scale(targets: tuple[str, ...], detach: bool, timeout: float, quiet: bool) -> None:
    """Change the number of tasks of services."""
    client = current()
    wanted = [_parse_target(target) for target in targets]
    judges = []
    for name, replicas in wanted:
        found = client.get(f"/services/{name}", Service)
        judges.append(Judge(found.id, update_start(found)))
        _update(client, found, scaled(found.spec, replicas))
        if not quiet:
            click.echo(f"{found.spec.name} scaled to {replicas}")
    if not detach:
        wait_converged(client, judges, timeout, Screen(quiet))


def _parse_target(target: str) -> tuple[str, int]:
    name, equals, count = target.rpartition("=")
    if not equals or not name or not count.isdigit():
        raise Wrong(f"{target!r} is not of the form SERVICE=REPLICAS")
    return name, int(count)


@service.command()
@log_options
@click.option("--no-resolve", is_flag=True, help="Show ids in place of names.")
@click.option("--no-task-ids", is_flag=True, help="Leave the tasks' ids out.")
@click.option("--no-trunc", is_flag=True, help="Do not shorten ids.")
@click.option("--raw", is_flag=True, help="Show the output as it is, without whose it is.")
@click.argument("name", metavar="SERVICE|TASK")
def logs(name: str, **options: Any) -> None:
    """Show the output of a service's tasks, or of one task."""
    show_service_logs(current(), name, **options)


@service.command()
@click.argument("services", nargs=-1, required=True)
def rm(services: tuple[str, ...]) -> None:
    """Remove services."""
    client = current()
    each(services, lambda name: client.delete(f"/services/{name}"))


@service.command()
@update_flags
@common_flags
@detach_option
@timeout_option
@click.option("--args", help="Replaces the command's arguments.")
@click.option("--force", is_flag=True, help="Replace all tasks, also when nothing changed.")
@click.option("--image", help="The image to run.")
@click.option("--rollback", is_flag=True, help="Go back to the previous revision.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.argument("name", metavar="SERVICE")
def update(name: str, detach: bool, timeout: float, quiet: bool, rollback: bool, **given: Any) -> None:
    """Change a service, and wait until the change is through."""
    client = current()
    if rollback:
        _roll_back(client, name, detach, timeout, quiet)
        return
    found = client.get(f"/services/{name}", Service)
    _update(client, found, changed_spec(_with_network_names(client, found.spec), given))
    click.echo(name)
    if not detach:
        wait_converged(client, [Judge(found.id, update_start(found))], timeout, Screen(quiet))


@service.command("rollback")
@detach_option
@timeout_option
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.argument("name", metavar="SERVICE")
def rollback_(name: str, detach: bool, timeout: float, quiet: bool) -> None:
    """Put a service back to its previous revision."""
    _roll_back(current(), name, detach, timeout, quiet)


def _roll_back(client: Client, name: str, detach: bool, timeout: float, quiet: bool) -> None:
    found = client.get(f"/services/{name}", Service)
    query: dict[str, str | int | bool] = {"version": found.version.index, "rollback": "previous"}
    client.send(f"/services/{found.id}/update", found.spec, query)
    click.echo(name)
    if not detach:
        judge = Judge(found.id, update_start(found), is_rollback=True)
        wait_converged(client, [judge], timeout, Screen(quiet))


def _update(client: Client, found: Service, spec: Any) -> None:
    client.send(f"/services/{found.id}/update", spec, {"version": found.version.index})


def _with_network_names(client: Client, spec: Any) -> Any:
    """Stored specs have ids of networks; flags name them, so that --network-rm finds them."""
    import msgspec

    from cli.views import Network

    template = spec.task_template
    if not template.networks:
        return spec
    names = {network.id: network.name for network in client.get("/networks", list[Network])}
    networks = [msgspec.structs.replace(item, target=names.get(item.target, item.target)) for item in template.networks]
    return msgspec.structs.replace(spec, task_template=msgspec.structs.replace(template, networks=networks))
