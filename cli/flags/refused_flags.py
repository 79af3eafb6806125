"""Flags of docker's `service create` and `service update` that Argosy does not support: refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from cli.command_errors import BadArgument

_WINDOWS: Final = "it is for Windows containers"
_SWAP: Final = "a compose file can say it (`memswap_limit`, `mem_swappiness`)"
_REFUSED: Final = {
    "--credential-spec": _WINDOWS,
    "--isolation": _WINDOWS,
    "--memory-swap": _SWAP,
    "--memory-swappiness": _SWAP,
}


def refused_flags() -> list[Callable[[Any], Any]]:
    """Options for click; they are not in the help text."""
    return [
        click.option(name, hidden=True, expose_value=False, callback=_refuse, help=f"Not supported: {why}.")
        for name, why in _REFUSED.items()
    ]


def _refuse(_: click.Context, option: click.Parameter, value: str | None) -> None:
    name = option.opts[0]
    if value is not None and (name, value) != ("--isolation", "default"):
        raise BadArgument(f"{name} is not supported by Argosy: {_REFUSED[name]}")
