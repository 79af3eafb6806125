"""click's root command: the global options and the table of commands."""

from __future__ import annotations

import click

from cli.command_table import ABOUT, COMMANDS, DEFAULT_HOST, host_of
from cli.lazy_group import LazyGroup


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from api.version import release

        click.echo(f"argosy version {release()}")
        ctx.exit()


@click.group(cls=LazyGroup, lazy=COMMANDS, help=ABOUT, context_settings={"help_option_names": ["-h", "--help"]})
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
    """See ABOUT."""
    ctx.obj = host_of(host)
