"""`argosy`: the way in. Global options, the table of commands, and the end of every error."""

from __future__ import annotations

import os
import sys

import click

from cli.lazy import LazyGroup

DEFAULT_HOST = "unix:///run/argosy/docker.sock"

COMMANDS = {
    "init": ("cli.cluster:init", "Make a cluster, with this host as its first manager"),
    "join": ("cli.cluster:join", "Make this host part of a cluster"),
    "leave": ("cli.cluster:leave", "Take this host out of its cluster"),
    "join-token": ("cli.cluster:join_token", "Show or renew the token that hosts join with"),
    "node": ("cli.node:node", "Manage the cluster's hosts"),
    "stack": ("cli.stack:stack", "Deploy and manage compose files"),
    "service": ("cli.service:service", "Manage services"),
    "network": ("cli.network:network", "Manage networks"),
    "image": ("cli.image:image", "Manage this host's images"),
    "ps": ("cli.host:ps", "List this host's containers"),
    "logs": ("cli.host:logs", "Show the output of a service, task or container"),
    "info": ("cli.host:info", "Tell about this host and its cluster"),
    "version": ("cli.host:version", "Show versions of command and daemon"),
    "lab": ("cli.lab:lab", "Make a cluster of several hosts on this machine, to try and to test"),
    "check": ("cli.check:check", "Check whether this machine can be a host"),
}


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from cli.text import own_version

        click.echo(f"argosy version {own_version()}")
        ctx.exit()


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-H",
    "--host",
    metavar="URL",
    help=f"Where argosyd listens: unix://PATH or tcp://HOST:PORT [$ARGOSY_HOST, $DOCKER_HOST, {DEFAULT_HOST}]",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
@click.pass_context
def cli(ctx: click.Context, host: str | None) -> None:
    """Run compose files and services on all of your machines."""
    ctx.obj = host or os.environ.get("ARGOSY_HOST") or os.environ.get("DOCKER_HOST") or DEFAULT_HOST


def main() -> None:
    """Entry point of the `argosy` command: one sentence for every error, never a traceback."""
    try:
        cli.main(prog_name="argosy", standalone_mode=True)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # the reader (head, less) has gone; nothing more to say, also not while Python flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if os.environ.get("ARGOSY_DEBUG"):
            raise
        click.echo(f"Error: {_sentence(error)}", err=True)
        sys.exit(1)


def _sentence(error: Exception) -> str:
    from api.errors import ArgosyError

    if isinstance(error, ArgosyError):
        return str(error)
    return f"unexpected {type(error).__name__}: {error} (set ARGOSY_DEBUG=1 to see where)"


if __name__ == "__main__":
    main()
