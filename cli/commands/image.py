"""`argosy image`: this host's images. Other hosts of the cluster fetch the images they need from it."""

from __future__ import annotations

import sys
import time

import click

from api.engine.images import ImageSummaryAnswer
from cli.client import current
from cli.command_errors import BadArgument
from cli.lazy_group import CommandGroup
from cli.show.formatting import ago, byte_count, short_id
from cli.show.output import each, inspect, inspect_format_option, list_options, no_trunc_option, show_rows
from cli.show.transfer_progress import load_file, show_progress

COLUMNS = {"Repository": "REPOSITORY", "Tag": "TAG", "ID": "IMAGE ID", "CreatedSince": "CREATED", "Size": "SIZE"}


@click.group(cls=CommandGroup)
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
        raise BadArgument(f"--input {path}: {error.strerror}") from None
    if not path and sys.stdin.isatty():
        raise BadArgument("give an archive with -i, or on standard input")
    with file:
        load_file(current(), file, quiet)


@image.command()
@click.option("-q", "--quiet", is_flag=True, help="Only show the name.")
@click.option("--platform", default="", metavar="OS/ARCHITECTURE", help="For which machines.")
@click.argument("name", metavar="NAME[:TAG|@DIGEST]")
def pull(name: str, quiet: bool, platform: str) -> None:
    """Fetch an image from its registry."""
    from api.image_reference import parse
    from cli.deploy.docker_logins import login_headers

    reference = parse(name)
    query: dict[str, str | int | bool] = {"fromImage": reference.familiar}
    if platform:
        query["platform"] = platform
    with current().stream("POST", "/images/create", query, headers=login_headers(name)) as chunks:
        show_progress(chunks, quiet)
    click.echo(str(reference))


@image.command()
@list_options
@no_trunc_option
@click.option("-a", "--all", "everything", is_flag=True, help="Accepted; there are no others.")
def ls(filters: dict[str, list[str]], template: str | None, quiet: bool, no_trunc: bool, everything: bool) -> None:
    """List this host's images."""
    images = current().get("/images/json", list[ImageSummaryAnswer], filters=filters)
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


def _names(item: ImageSummaryAnswer) -> list[tuple[str, str]]:
    names = []
    for text in item.repo_tags or []:
        repository, _, tag = text.rpartition(":")
        names.append((repository, tag))
    if not names:
        digest = next(iter(item.repo_digests or []), "")
        names.append((digest.partition("@")[0] or "<none>", "<none>"))
    return names


@image.command("inspect")
@inspect_format_option
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
    from api.image_reference import parse

    reference = parse(target)
    current().send(f"/images/{source}/tag", query={"repo": reference.familiar_name, "tag": reference.tag or "latest"})
