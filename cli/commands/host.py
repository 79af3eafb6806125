"""`argosy ps`, `logs`, `info`, `version`: this host."""

from __future__ import annotations

import time
from typing import Any

import click

from api.engine.containers import ContainerAnswer, ContainerPort, ContainerSummaryAnswer
from api.engine.system import InfoAnswer, VersionAnswer
from api.version import release
from cli.client import Client, current
from cli.command_errors import ApiError, Failed, Unreachable
from cli.show.formatting import ago, byte_count, short_id
from cli.show.log_output import copy_output, log_options, log_query, show_service_logs
from cli.show.output import filter_option, format_option, no_trunc_option, quiet_option, show_rows

COLUMNS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "Ports": "PORTS",
    "Names": "NAMES",
}


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="Also those that ended.")
@filter_option
@format_option
@no_trunc_option
@quiet_option
def ps(everything: bool, filters: dict[str, list[str]], template: str | None, no_trunc: bool, quiet: bool) -> None:
    """List this host's containers."""
    containers = current().get("/containers/json", list[ContainerSummaryAnswer], {"all": everything}, filters)
    now = time.time()  # noqa: TID251
    rows = [
        {
            "ID": item.id if no_trunc else short_id(item.id),
            "Image": item.image.partition("@")[0],
            "Command": f'"{item.command if no_trunc or len(item.command) <= 20 else item.command[:19] + "…"}"',
            "RunningFor": ago(item.created, now),
            "Status": item.status,
            "State": item.state,
            "Ports": ", ".join(_port(port) for port in item.ports or []),
            "Names": ",".join(name.removeprefix("/") for name in item.names),
            "Labels": ",".join(f"{key}={value}" for key, value in sorted((item.labels or {}).items())),
        }
        for item in containers
    ]
    show_rows(rows, COLUMNS, template, quiet)


def _port(port: ContainerPort) -> str:
    inside = f"{port.private_port}/{port.type}"
    return f"{port.ip or '0.0.0.0'}:{port.public_port}->{inside}" if port.public_port else inside


@click.command()
@log_options
@click.argument("name", metavar="SERVICE|TASK|CONTAINER")
def logs(name: str, **options: Any) -> None:
    """Show the output of a service, a task, or a container of this host."""
    client = current()
    query = log_query(**options)
    if _is_container(client, name):
        tty = client.get(f"/containers/{name}/json", ContainerAnswer).config.tty
        with client.stream("GET", f"/containers/{name}/logs", query) as chunks:
            copy_output(chunks, raw=tty)
        return
    try:
        show_service_logs(client, name, **options)
    except ApiError as error:
        if error.status in (404, 503):
            raise Failed(f"there is no service, task, or container on this host called {name!r}") from None
        raise


def _is_container(client: Client, name: str) -> bool:
    try:
        client.get_json(f"/containers/{name}/json")
    except ApiError as error:
        if error.is_missing:
            return False
        raise
    return True


@click.command()
@format_option
def info(template: str | None) -> None:
    """Tell about this host and its cluster."""
    client = current()
    if template:
        from cli.show.format_templates import BadTemplate, render

        try:
            click.echo(render("{{json .}}" if template == "json" else template, client.get_json("/info")))
        except BadTemplate as error:
            raise click.UsageError(f"--format: {error}") from None
        return
    found = client.get("/info", InfoAnswer)
    swarm = found.swarm
    lines = [
        ("Name", found.name),
        ("Server version", found.server_version),
        ("Cluster", swarm.local_node_state or "inactive"),
    ]
    if swarm.node_id:
        lines += [("Node", swarm.node_id), ("Manager", "yes" if swarm.control_available else "no")]
        lines += [("Address", swarm.node_addr)]
    if swarm.control_available:
        lines += [("Managers", str(swarm.managers)), ("Nodes", str(swarm.nodes))]
    lines += [
        ("Containers", f"{found.containers} ({found.containers_running} running)"),
        ("Images", str(found.images)),
        ("System", f"{found.operating_system} {found.kernel_version} {found.architecture}".strip()),
        ("CPUs, memory", f"{found.ncpu}, {byte_count(found.mem_total)}"),
        ("Data root", found.docker_root_dir),
    ]
    if swarm.error:
        lines.append(("Error", swarm.error))
    for label, value in lines:
        click.echo(f"{label + ':':<16}{value}".rstrip())
    for warning in found.warnings or []:
        click.echo(f"WARNING: {warning}", err=True)


@click.command()
@format_option
def version(template: str | None) -> None:
    """Show versions of command and daemon."""
    client = current()
    problem: Unreachable | None = None
    try:
        daemon = client.get("/version", VersionAnswer)
    except Unreachable as error:
        daemon, problem = VersionAnswer(), error
    if template:
        row = {"Client": release(), "Server": daemon.version, "APIVersion": daemon.api_version}
        show_rows([row], {key: key for key in row}, template)
    else:
        click.echo(f"Client:  {release()}")
        if not problem:
            click.echo(f"Server:  {daemon.version} (API {daemon.api_version}, {daemon.os}/{daemon.arch})")
    if problem:
        raise problem
