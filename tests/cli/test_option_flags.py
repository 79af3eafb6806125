"""Optional-value flags: only "=" gives them a value."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from cli.option_flags import FlagCommand


@click.command(cls=FlagCommand, context_settings={"allow_interspersed_args": False})
@click.option("-d", "--detach", type=bool, is_flag=False, flag_value="true", default=False)
@click.option("--name", default="")
@click.argument("words", nargs=-1)
def show(detach: bool, name: str, words: tuple[str, ...]) -> None:
    click.echo(f"{detach} {name} {' '.join(words)}")


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        (["--detach", "web=3"], "True  web=3"),
        (["-d", "web=3"], "True  web=3"),
        (["--detach=false", "web=3"], "False  web=3"),
        (["web=3"], "False  web=3"),
        (["--name", "--detach", "web"], "False --detach web"),
        (["--name", "x", "-d", "web", "-d"], "True x web -d"),
        (["-d", "--", "--detach"], "True  --detach"),
    ],
)
def test_a_bare_flag_takes_nothing_from_the_next_argument(given: list[str], printed: str) -> None:
    assert CliRunner().invoke(show, given).output.strip() == printed.strip()
