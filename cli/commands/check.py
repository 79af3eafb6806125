"""`argosy check`: checks whether this machine can be a host."""

from __future__ import annotations

import sys

import click

from deploy.host_check import check_host


@click.command()
@click.option("-q", "--quiet", is_flag=True, help="Print only what is missing.")
def check(quiet: bool) -> None:
    """Check whether this machine can be an Argosy host.

    Looks at root, kernel features, cgroups, programs and their versions. What is missing is named with its remedy, and
    the exit code is then 1.
    """
    missing = 0
    for finding in check_host():
        missing += not finding.ok
        if finding.ok and quiet:
            continue
        mark = "ok" if finding.ok else "MISSING"
        click.echo(f"  {mark:<9}{finding.name:<18}{finding.found}")
        if not finding.ok:
            click.echo(f"           -> {finding.remedy}")
    if missing:
        click.echo(f"{missing} thing{'s are' if missing > 1 else ' is'} missing on this machine", file=sys.stderr)
        raise SystemExit(1)
