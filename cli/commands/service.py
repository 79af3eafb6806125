"""`argosy service`: the commands on services. (The flags are in cli/flags/service_flags.py.)"""

from __future__ import annotations

import time
from typing import Any

import click

from api.engine.argosy import HistoryAnswer, RolledBackAnswer
from api.engine.common import CreatedAnswer
from api.engine.services import ServiceAnswer
from api.engine.tasks import TaskAnswer
from api.ids import new_id
from cli.client import Client, current
from cli.command_errors import BadArgument
from cli.flags.service_flags import changed_spec, common_flags, create_flags, new_spec, scaled, update_flags
from cli.flags.stored_file_flags import with_file_ids
from cli.lazy_group import CommandGroup
from cli.show.log_output import log_options, show_service_logs
from cli.show.output import (
    each,
    format_option,
    inspect,
    inspect_format_option,
    list_options,
    show_rows,
)
from cli.show.revision_rows import COLUMNS as HISTORY_COLUMNS
from cli.show.revision_rows import history_lines, history_rows
from cli.show.run_rows import is_scheduled, next_run_now, run_lines, runs_of
from cli.show.service_progress import Awaited, Wait, wait_options
from cli.show.service_rows import COLUMNS, service_rows
from cli.show.task_rows import TaskList, task_list_options


@click.group(cls=CommandGroup)
def service() -> None:
    """Manage services."""


@service.command(context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@create_flags
@common_flags
@wait_options
@click.argument("image")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def create(image: str, args: tuple[str, ...], wait: Wait, **given: Any) -> None:
    """Create a service that runs IMAGE, and wait until it runs.

    \b
    Examples:
      argosy service create --name web --replicas 3 -p 8080:80 nginx
      argosy service create --name web --secret source=tls-key,target=key.pem,mode=0400 nginx
      argosy service create --name import --mode replicated-job --replicas 5 --max-concurrent 2 import:1
      argosy service create --name backup --mode replicated-job --schedule "0 3 * * *" backup:1
      argosy service create --name api --depends-on db=healthy api:1
    """
    client = current()
    name = given["name"] or f"service-{new_id()[:8]}"
    spec = with_file_ids(client, new_spec(name, image, args, given))
    headers = _login(image) if given["with_registry_auth"] else {}
    created = client.post("/services/create", CreatedAnswer, spec, headers=headers)
    for warning in created.warnings or []:
        click.echo(f"WARNING: {warning}", err=True)
    click.echo(created.id)
    if is_scheduled(spec):
        _print_next_run(client, created.id, wait)
    else:
        wait.until_converged(client, Awaited(created.id))


@service.command()
@list_options
def ls(filters: dict[str, list[str]], template: str | None, quiet: bool) -> None:
    """List services."""
    services = current().get_json("/services", {"status": True}, filters)
    if quiet and not template:
        for item in services:
            click.echo(item["ID"])
        return
    show_rows(service_rows(services), COLUMNS, template)


@service.command()
@task_list_options
@click.argument("services", nargs=-1, required=True)
def ps(services: tuple[str, ...], wanted: TaskList) -> None:
    """List the tasks of services."""
    client = current()
    ids = [client.get(f"/services/{name}", ServiceAnswer).id for name in services]
    wanted.show(client, client.get("/tasks", list[TaskAnswer], filters={**wanted.filters, "service": ids}))
    if wanted.template is None and not wanted.quiet:
        _print_verdicts(client, ids)


def _print_verdicts(client: Client, ids: list[str]) -> None:
    """Print which services have not converged, and why; on stderr, because programs may read the table."""
    from api.engine.argosy import ServiceVerdictAnswer, VerdictState
    from cli.show.explanation import verdict_text

    now = time.time()  # noqa: TID251
    for one in client.get("/argosy/v1/verdicts", list[ServiceVerdictAnswer], filters={"id": ids}):
        if one.state is not VerdictState.CONVERGED:
            click.echo(f"{one.service_name or one.service_id} is {verdict_text(one, now)}", err=True)


@service.command("inspect")
@inspect_format_option
@click.option("--pretty", is_flag=True, help="For people.")
@click.argument("services", nargs=-1, required=True)
def inspect_(services: tuple[str, ...], template: str | None, pretty: bool) -> None:
    """Show everything about services."""
    client = current()
    if not pretty or template:
        inspect(client, "service", "/services", services, template)
        return
    from cli.show.service_details import lines

    for name in services:
        for line in lines(client.get(f"/services/{name}", ServiceAnswer), time.time()):  # noqa: TID251
            click.echo(line)


@service.command()
@wait_options
@click.argument("targets", nargs=-1, required=True, metavar="SERVICE=REPLICAS…")
def scale(targets: tuple[str, ...], wait: Wait) -> None:
    """Change the number of tasks of services."""
    client = current()
    wanted = [_parse_target(target) for target in targets]
    awaited = []
    for name, replicas in wanted:
        found = client.get(f"/services/{name}", ServiceAnswer)
        awaited.append(Awaited(found.id, found.version.index))
        _update(client, found, scaled(found.spec, replicas))
        if not wait.quiet:
            click.echo(f"{found.spec.name} scaled to {replicas}")
    wait.until_converged(client, *awaited)


def _parse_target(target: str) -> tuple[str, int]:
    name, equals, count = target.rpartition("=")
    if not equals or not name or not count.isdigit():
        raise BadArgument(f"{target!r} is not of the form SERVICE=REPLICAS")
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
@wait_options
@click.option("--args", help="Replaces the command's arguments.")
@click.option("--force", is_flag=True, help="Replace all tasks, also when nothing changed.")
@click.option("--image", help="The image to run.")
@click.option("--rollback", is_flag=True, help="Go back to the previous revision.")
@click.argument("name", metavar="SERVICE")
def update(name: str, wait: Wait, rollback: bool, **given: Any) -> None:
    """Change a service, and wait until the change is through.

    \b
    Examples:
      argosy service update --image nginx:1.27 --update-order start-first web
      argosy service update --env-add LEVEL=debug --env-rm OLD --publish-rm 80 web
      argosy service update --secret-rm key-1 --secret-add source=key-2,target=key web
    """
    client = current()
    if rollback:
        _roll_back(client, name, wait)
        return
    found = client.get(f"/services/{name}", ServiceAnswer)
    spec = with_file_ids(client, changed_spec(_with_network_names(client, found.spec), given))
    _update(client, found, spec, _login(spec.task_template.container_spec.image) if given["with_registry_auth"] else {})
    click.echo(name)
    if is_scheduled(spec):
        _print_next_run(client, found.id, wait)
    else:
        wait.until_converged(client, Awaited(found.id, found.version.index))


@service.command("rollback")
@click.option("--to", type=click.IntRange(1), metavar="N", help="The revision, as `service history` numbers them.")
@wait_options
@click.argument("name", metavar="SERVICE")
def rollback_(name: str, to: int | None, wait: Wait) -> None:
    """Put a service back to its previous revision, or to any that is kept.

    \b
    Examples:
      argosy service rollback web
      argosy service rollback --to 3 web
    """
    _roll_back(current(), name, wait, to)


def _roll_back(client: Client, name: str, wait: Wait, to: int | None = None) -> None:
    found = client.get(f"/services/{name}", ServiceAnswer)
    query: dict[str, str | int | bool] = {"version": found.version.index}
    if to is not None:
        query["to"] = to
    done = client.post(f"/argosy/v1/services/{found.id}/rollback", RolledBackAnswer, query=query)
    for warning in done.warnings or []:
        click.echo(f"WARNING: {warning}", err=True)
    click.echo(f"{name} goes back to revision {done.to}" if done.to else name)
    wait.until_converged(client, Awaited(found.id, found.version.index))


@service.command()
@format_option
@click.option("--changes/--no-changes", default=True, show_default=True, help="Also what each changed.")
@click.argument("name", metavar="SERVICE")
def history(name: str, template: str | None, changes: bool) -> None:
    """List the kept revisions of a service, what each changed, and the runs of a scheduled job.

    \b
    Example:
      argosy service history web
    """
    client = current()
    about = client.get(f"/argosy/v1/services/{name}/history", HistoryAnswer)
    if template:
        show_rows(history_rows(about), HISTORY_COLUMNS, template)
        return
    for line in history_lines(about, changes):
        click.echo(line)
    if any(is_scheduled(revision.spec) for revision in about.revisions):
        click.echo()
        for line in run_lines(runs_of(client, name), time.time()):  # noqa: TID251
            click.echo(line)


@service.command()
@click.option("--json", "as_json", is_flag=True, help="Show it as JSON.")
@click.argument("services", nargs=-1, required=True)
def explain(services: tuple[str, ...], as_json: bool) -> None:
    """Say what of services does not run, why, and what to do about it."""
    from cli.show.explanation import show

    show(current(), services, as_json)


def _print_next_run(client: Client, id: str, wait: Wait) -> None:
    """Print when a scheduled job runs next; there is nothing to wait for until then."""
    if not wait.quiet:
        click.echo(next_run_now(client, id))


def _update(client: Client, found: ServiceAnswer, spec: Any, headers: dict[str, str] | None = None) -> None:
    client.send(f"/services/{found.id}/update", spec, {"version": found.version.index}, headers)


def _login(image: str) -> dict[str, str]:
    from cli.deploy.docker_logins import login_headers  # few commands need it

    return login_headers(image)


def _with_network_names(client: Client, spec: Any) -> Any:
    """The spec with names of networks in place of ids, because flags such as --network-rm use names."""
    import msgspec

    from api.engine.networks import NetworkAnswer

    template = spec.task_template
    if not template.networks:
        return spec
    names = {network.id: network.name for network in client.get("/networks", list[NetworkAnswer])}
    networks = [msgspec.structs.replace(item, target=names.get(item.target, item.target)) for item in template.networks]
    return msgspec.structs.replace(spec, task_template=msgspec.structs.replace(template, networks=networks))
