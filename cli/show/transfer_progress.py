"""Transfers of images: archives sent to the daemon, and the progress it reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import click
import msgspec

from api.engine.images import ProgressAnswer
from cli.client import Client
from cli.client_streams import lines
from cli.command_errors import Failed

_CHUNK = 1 << 20


def load_archive(client: Client, path: str) -> None:
    """Load the images of an archive file. Raises Failed, ApiError."""
    with open(path, "rb") as file:
        load_file(client, file)


def load_file(client: Client, file: BinaryIO, quiet: bool = False) -> None:
    """Send an archive and print the result; `quiet` leaves the progress out. Raises Failed, ApiError."""
    with client.stream("POST", "/images/load", {"quiet": quiet}, _blocks(file)) as chunks:
        show_progress(chunks, quiet=False)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_CHUNK):
        yield block


def show_progress(chunks: Iterable[bytes], quiet: bool) -> None:
    """Print the messages of a progress stream. Raises Failed for an error message."""
    last: dict[str, str] = {}
    for line in lines(chunks):
        try:
            message = msgspec.json.decode(line, type=ProgressAnswer)
        except msgspec.MsgspecError:
            continue  # an unknown form of progress message: skip it
        if message.error or message.error_detail:
            raise Failed(message.error or (message.error_detail.message if message.error_detail else ""))
        text = message.stream.rstrip("\n") or ": ".join(part for part in (message.id, message.status) if part)
        if text and not quiet and last.get(message.id) != text:
            last[message.id] = text
            click.echo(text)
