"""`argosy lab`: several hosts on one machine, each as real as namespaces make it."""

from __future__ import annotations

import sys
import time

import click

from deploy.lab import lab as labs
from deploy.lab.lab_switch import set_link

_name = click.option("--name", default="lab", show_default=True, metavar="LAB", help="Which lab.")


@click.group()
def lab() -> None:
    """Make a cluster of several hosts on this machine, to try and to test.

    Each host has network, mount, PID, UTS and cgroup namespaces of its own, an eth0 on the lab's switch, and runs the
    same argosyd as in production. Hosts are m1, m2, … (managers) and w1, w2, … (workers). Needs root.
    """


@lab.command()
@click.option("--managers", default=1, show_default=True, metavar="M", help="Number of managers.")
@click.option("--workers", default=2, show_default=True, metavar="W", help="Number of workers.")
@_name
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGOSYD OPTIONS…]")
def up(managers: int, workers: int, name: str, options: tuple[str, ...]) -> None:
    """Start the hosts and join them into a cluster.

    \b
    Examples:
      argosy lab up --managers 3 --workers 5
      argosy lab up -- --label disk=ssd --node-generic-resource gpu=2
    """
    start = time.monotonic()
    for line in labs.up(name, managers, workers, options):
        click.echo(f"[{time.monotonic() - start:5.1f} s] {line}")


@lab.command()
@_name
def ls(name: str) -> None:
    """List the hosts of a lab."""
    click.echo(f"{'HOST':<8}{'ROLE':<10}{'ADDRESS':<18}{'STATE':<13}PID")
    for host in labs.Lab.open(name).hosts:
        role = "manager" if host.host.manager else "worker"
        click.echo(f"{host.name:<8}{role:<10}{host.host.address:<18}{host.state:<13}{host.pid or '-'}")


@lab.command()
@click.argument("host")
@_name
def socket(host: str, name: str) -> None:
    """Print a host's API socket, for DOCKER_HOST."""
    found = labs.Lab.open(name).host(host)
    click.echo(f"unix://{found.paths.socket(found.name)}")


@lab.command()
@click.argument("host")
@_name
def address(host: str, name: str) -> None:
    """Print a host's address."""
    click.echo(labs.Lab.open(name).host(host).host.address)


@lab.command(name="exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@_name
@click.argument("host")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(host: str, command: tuple[str, ...], name: str) -> None:
    """Run a command inside a host: argosy lab exec w1 -- ip addr."""
    if command and command[0] == "--":
        command = command[1:]
    labs.Lab.open(name).host(host).execute(command)


@lab.command()
@click.argument("host")
@_name
def kill(host: str, name: str) -> None:
    """Cut a host's power: every process and container on it ends at once."""
    labs.Lab.open(name).host(host).kill()


@lab.command()
@click.argument("host")
@_name
def start(host: str, name: str) -> None:
    """Power a killed host on again."""
    found = labs.Lab.open(name).host(host)
    found.start()
    found.wait_until_answering()


@lab.command()
@click.argument("host")
@_name
def partition(host: str, name: str) -> None:
    """Pull a host's network cable."""
    found = labs.Lab.open(name)
    set_link(found.paths, found.host(host).name, up=False)


@lab.command()
@click.argument("host")
@_name
def heal(host: str, name: str) -> None:
    """Plug a host's network cable in again."""
    found = labs.Lab.open(name)
    set_link(found.paths, found.host(host).name, up=True)


@lab.command()
@_name
def down(name: str) -> None:
    """Stop all hosts and remove everything of the lab."""
    if not labs.down(name):
        click.echo(f"there is no lab {name!r}", file=sys.stderr)
