"""`argosy stack build`: images from the `build:` sections of compose files, built by buildah, loaded into this host.

The other hosts fetch them from here. `command` is pure: it turns a section into buildah's arguments.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence

import click

from cli.client import Client
from cli.command_errors import Failed
from cli.show.transfer_progress import load_archive
from compose.model.project import Build, File, Project, image_of

BUILDAH = "buildah"
_HYBRID = "/sys/fs/cgroup/unified/cgroup.procs"
"""Exists only on hosts with cgroups in hybrid mode."""
_MISSING = (
    "building needs buildah, which is not installed here: install the package `buildah`, or build the image "
    "elsewhere and load it with `argosy image load`"
)


def build(client: Client, project: Project, stack: str, chosen: Sequence[str], *, pull: bool, no_cache: bool) -> None:
    """Build and load the images of the chosen services (of all if none is named). Raises Failed."""
    found = {name: service for name, service in project.services.items() if service.build}
    if unknown := [name for name in chosen if name not in project.services]:
        raise Failed(f"there is no service {', '.join(unknown)}; there are {', '.join(sorted(project.services))}")
    if useless := [name for name in chosen if name not in found]:
        raise Failed(f"service {', '.join(useless)} has no `build`")
    names = chosen or list(found)
    if not names:
        click.echo("No service has a `build` section.")
        return
    if shutil.which(BUILDAH) is None:
        raise Failed(_MISSING)
    for name in names:
        section, image = project.services[name].build, image_of(stack, name, project.services[name])
        assert section is not None
        click.echo(f"Building {image} for service {name}")
        _build_one(client, name, section, image, project.secrets, pull=pull, no_cache=no_cache)


def _build_one(
    client: Client, service: str, section: Build, image: str, secrets: Mapping[str, File], **flags: bool
) -> None:
    with tempfile.TemporaryDirectory(prefix="argosy-build-") as directory:
        inline = os.path.join(directory, "Dockerfile")
        if section.dockerfile_inline:
            with open(inline, "w", encoding="utf-8") as file:
                file.write(section.dockerfile_inline)
        arguments = command(section, image, secrets, inline=inline, **flags)
        _run(arguments, f"service {service} could not be built")
        for other in section.tags:
            _run([BUILDAH, "tag", image, other], f"the image of service {service} could not be named {other}")
        for number, reference in enumerate([image, *section.tags]):
            archive = os.path.join(directory, f"{number}.tar")
            _run([BUILDAH, "push", "--quiet", reference, f"docker-archive:{archive}:{tagged(reference)}"],
                 f"the image of service {service} could not be written")  # fmt: skip
            load_archive(client, archive)
            os.remove(archive)


def command(
    section: Build,
    image: str,
    secrets: Mapping[str, File],
    *,
    inline: str = "",
    pull: bool = False,
    no_cache: bool = False,
) -> list[str]:
    """Buildah's command line. `inline` is the file of `dockerfile_inline`. Raises Failed for what buildah cannot do."""
    refused = [name for name in ("privileged", "entitlements", "provenance", "sbom") if getattr(section, name)]
    if refused:
        raise Failed(f"build.{refused[0]} is not supported by buildah; leave it out")
    if len(section.platforms) > 1:
        raise Failed("build.platforms: an image for several platforms cannot be loaded at once; name one")
    # as Docker: a local base image is used unless --pull; the file is Dockerfile, even next to a Containerfile
    pulling = "always" if section.pull or pull else "false"
    arguments = [BUILDAH, "build", "--layers", "--tag", image, f"--pull={pulling}"]
    if section.dockerfile_inline or section.dockerfile:
        arguments += ["--file", inline if section.dockerfile_inline else section.dockerfile]
    elif section.context.startswith("/"):
        arguments += ["--file", os.path.join(section.context, "Dockerfile")]
    for flag, text in (
        ("--target", section.target),
        ("--network", section.network),
        ("--isolation", section.isolation),
        ("--shm-size", f"{section.shm_size}b" if section.shm_size else ""),
    ):
        arguments += [flag, text] if text else []
    for flag, pairs in (
        ("--build-arg", section.args),
        ("--label", section.labels),
        ("--build-context", section.additional_contexts),
    ):
        arguments += [part for name, text in sorted(pairs.items()) for part in (flag, f"{name}={text or ''}")]
    for flag, items in (
        ("--platform", section.platforms),
        ("--cache-from", section.cache_from),
        ("--cache-to", section.cache_to),
        ("--ssh", [f"{name}={path}" if path else name for name, path in sorted(section.ssh.items())]),
        ("--add-host", [f"{host}:{ip}" for host, ips in sorted(section.extra_hosts.items()) for ip in ips]),
        ("--ulimit", [f"{name}={limit.soft}:{limit.hard}" for name, limit in sorted(section.ulimits.items())]),
        ("--secret", [_secret(use.source, use.target, secrets) for use in section.secrets]),
    ):
        arguments += [part for item in items for part in (flag, item)]
    arguments += ["--no-cache"] if section.no_cache or section.no_cache_filter or no_cache else []
    return [*arguments, section.context]


def _secret(source: str, target: str, secrets: Mapping[str, File]) -> str:
    id, secret = target or source, secrets.get(source)
    if secret is None or not (secret.file or secret.environment):
        raise Failed(f"build.secrets: {source} must be of a file or of the environment")
    return f"id={id},src={secret.file}" if secret.file else f"id={id},env={secret.environment}"


def tagged(image: str) -> str:
    """The reference with an explicit tag."""
    return image if ":" in image.rpartition("/")[2] else f"{image}:latest"


def _environment() -> dict[str, str]:
    """The user's, with the OCI runtime for RUN steps: crun, buildah's own choice, refuses cgroups in hybrid mode."""
    found = dict(os.environ)
    if os.path.exists(_HYBRID) and shutil.which("runc"):
        found.setdefault("BUILDAH_RUNTIME", "runc")
    return found


def _run(arguments: Sequence[str], problem: str) -> None:
    """Run buildah; its output goes to the terminal. Raises Failed."""
    try:
        done = subprocess.run(arguments, env=_environment(), check=False)
    except OSError as error:
        raise Failed(f"{problem}: {arguments[0]}: {error.strerror}") from None
    if done.returncode:
        raise Failed(f"{problem}: buildah ended with code {done.returncode} (its words are above)")
