"""`argosy image`: this host's images. Other hosts of the cluster fetch from it what they need."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import click
import msgspec

from api.codec import Value
from cli.client import current
from cli.errors import Failed, Wrong
from cli.lazy import Group
from cli.output import each, format_option, inspect, list_options, no_trunc_option, show_rows
from cli.text import ago, byte_count, short_id
from cli.views import Image

COLUMNS = {"Repository": "REPOSITORY", "Tag": "TAG", "ID": "IMAGE ID", "CreatedSince": "CREATED", "Size": "SIZE"}
_CHUNK = 1 << 20


class ErrorDetail(Value, frozen=True):
    """Part of a progress message."""

    message: str = msgspec.field(default="", name="message")


class Progress(msgspec.Struct, frozen=True, rename="camel"):
    """One line of a progress stream."""

    status: str = ""
    id: str = ""
    stream: str = ""
    error: str = ""
    error_detail: ErrorDetail | None = None


@click.group(cls=Group)
def image() -> None:
    """Manage this host's images."""


@image.command()
@click.option("-i", "--input", "path", metavar="FILE", help="A tar archive; standard input if not given.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def load(path: str | None, quiet: bool) -> None:
    """Load images from an archive made by `docker save` or `skopeo`."""
    try:
        file = open(path, "rb") if path else sys.stdin.buffer  # noqa: SIM115
    except OSError as error:
        raise Wrong(f"--input {path}: {error.strerror}") from None
    if not path and sys.stdin.isatty():
        raise Wrong("give an archive with -i, or on standard input")
    with file, current().stream("POST", "/images/load", {"quiet": quiet}, _blocks(file)) as chunks:
        _show(chunks, quiet=False)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_CHUNK):
        yield block


@image.command()
@click.option("-q", "--quiet", is_flag=True, help="Only show the name.")
@click.option("--platform", default="", help="os/architecture.")
@click.argument("name", metavar="NAME[:TAG|@DIGEST]")
def pull(name: str, quiet: bool, platform: str) -> None:
    """Fetch an image from its registry."""
    from api.references import parse

    reference = parse(name)
    query: dict[str, str | int | bool] = {"fromImage": reference.familiar}
    if platform:
        query["platform"] = platform
    with current().stream("POST", "/images/create", query) as chunks:
        _show(chunks, quiet)
    click.echo(str(reference))


def _show(chunks: Iterable[bytes], quiet: bool) -> None:
    """The messages of a progress stream. Raises Failed for the one that is an error."""
    last: dict[str, str] = {}
    for line in _lines(chunks):
        try:
            message = msgspec.json.decode(line, type=Progress)
        except msgspec.MsgspecError:
            continue  # a progress form that we do not know is nobody's loss
        if message.error or message.error_detail:
            raise Failed(message.error or (message.error_detail.message if message.error_detail else ""))
        text = message.stream.rstrip("\n") or ": ".join(part for part in (message.id, message.status) if part)
        if text and not quiet and last.get(message.id) != text:
            last[message.id] = text
            click.echo(text)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())
    if rest.strip():
        yield rest


@image.command()
@list_options
@no_trunc_option
@click.option("-a", "--all", "everything", is_flag=True, help="Accepted; there are no others.")
def ls(filters: dict[str, list[str]], template: str | None, quiet: bool, no_trunc: bool, everything: bool) -> None:
    """List this host's images."""
    images = current().get("/images/json", list[Image], filters=filters)
    now = time.time()  # noqa: TID251
    rows = []
    for item in images:
        for repository, tag in _names(item):
            rows.append(
                {
                    "ID": item.id if no_trunc else short_id(item.id),
                    "Repository": repository,
                    "Tag": tag,
                    "CreatedSince": ago(item.created, now) or "N/A",
                    "Size": byte_count(item.size),
                    "Digest": next((d.partition("@")[2] for d in item.repo_digests or []), "<none>"),
                }
            )
    if quiet and not template:
        for id in dict.fromkeys(row["ID"] for row in rows):
            click.echo(id)
        return
    show_rows(rows, COLUMNS, template)


def _names(item: Image) -> list[tuple[str, str]]:
    names = []
    for text in item.repo_tags or []:
        repository, _, tag = text.rpartition(":")
        names.append((repository, tag))
    if not names:
        digest = next(iter(item.repo_digests or []), "")
        names.append((digest.partition("@")[0] or "<none>", "<none>"))
    return names


@image.command("inspect")
@format_option
@click.argument("images", nargs=-1, required=True)
def inspect_(images: tuple[str, ...], template: str | None) -> None:
    """Show everything about images."""
    inspect(current(), "image", "/images", images, template, suffix="/json")


@image.command()
@click.option("-f", "--force", is_flag=True, help="Also when it has several names.")
@click.argument("images", nargs=-1, required=True)
def rm(images: tuple[str, ...], force: bool) -> None:
    """Remove images from this host."""
    client = current()
    each(images, lambda name: client.delete(f"/images/{name}", {"force": force}))


@image.command()
@click.argument("source")
@click.argument("target", metavar="NAME[:TAG]")
def tag(source: str, target: str) -> None:
    """Give an image another name."""
    from api.references import parse

    reference = parse(target)
    current().send(f"/images/{source}/tag", query={"repo": reference.familiar_name, "tag": reference.tag or "latest"})
