"""`--with-registry-auth`: the user's own login at an image's registry, as `docker login` or `skopeo login` left it.

It is sent with the service; the managers keep it encrypted and give it to the hosts that pull the image.
"""

from __future__ import annotations

import base64
import binascii
import os
import subprocess
from collections.abc import Iterator, Mapping

import msgspec

from api.errors import Invalid
from api.image_reference import parse
from api.registry_auth import HEADER, Login, header_of
from cli.command_errors import Failed

_HUB = ("https://index.docker.io/v1/", "docker.io", "index.docker.io")
_TOKEN = "<token>"
"""The user name by which a helper marks a token in place of a password."""


class _Entry(msgspec.Struct, rename="lower"):
    auth: str = ""
    identitytoken: str = ""


class _File(msgspec.Struct):
    """Docker's config.json; auth.json of skopeo and Podman is a part of it."""

    auths: dict[str, _Entry] = {}
    helpers: dict[str, str] = msgspec.field(default={}, name="credHelpers")
    store: str = msgspec.field(default="", name="credsStore")


class _HelperAnswer(msgspec.Struct):
    """The answer of a credential helper."""

    user: str = msgspec.field(default="", name="Username")
    secret: str = msgspec.field(default="", name="Secret")


def login_headers(image: str) -> dict[str, str]:
    """The header that carries the login for an image; none when the user has none. Raises Failed."""
    try:
        domain = parse(image).domain
    except Invalid:
        return {}  # the daemon refuses it with the reason
    login = login_at(domain, os.environ)
    return {HEADER: header_of(login)} if login else {}


def login_at(domain: str, environment: Mapping[str, str]) -> Login | None:
    """The user's login at a registry. Raises Failed for a file or helper that cannot be used."""
    keys = _HUB if domain == "docker.io" else (domain, f"https://{domain}", f"http://{domain}")
    for path in _files(environment):
        try:
            with open(path, "rb") as file:
                found = msgspec.json.decode(file.read(), type=_File)
        except FileNotFoundError:
            continue
        except (OSError, msgspec.MsgspecError) as error:
            raise Failed(f"cannot read registry logins from {path}: {error}") from None
        for key in keys:
            if login := _login(found, key, path):
                return login
    return None


def _files(environment: Mapping[str, str]) -> Iterator[str]:
    home = environment.get("HOME", "/")
    yield os.path.join(environment.get("DOCKER_CONFIG") or os.path.join(home, ".docker"), "config.json")
    if path := environment.get("REGISTRY_AUTH_FILE"):
        yield path
    yield os.path.join(environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}", "containers/auth.json")
    yield os.path.join(home, ".config/containers/auth.json")


def _login(found: _File, key: str, path: str) -> Login | None:
    if (helper := found.helpers.get(key) or found.store) and (login := _ask_helper(helper, key)):
        return login
    entry = found.auths.get(key, _Entry())
    if entry.identitytoken:
        return Login(identitytoken=entry.identitytoken)
    if not entry.auth:
        return None
    try:
        user, _, password = base64.b64decode(entry.auth, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise Failed(f"the login at {key} in {path} cannot be read: log in again") from None
    return Login(user, password)


def _ask_helper(helper: str, key: str) -> Login | None:
    """By docker's protocol (docker-credential-helpers): the registry in, user and secret out."""
    try:
        done = subprocess.run(
            [f"docker-credential-{helper}", "get"], input=key.encode(), capture_output=True, check=False
        )
    except OSError as error:
        raise Failed(f"docker-credential-{helper} cannot be run: {error.strerror}") from None
    if done.returncode:
        return None  # it has no login for this registry
    try:
        answer = msgspec.json.decode(done.stdout, type=_HelperAnswer)
    except msgspec.MsgspecError:
        raise Failed(f"docker-credential-{helper} gave an answer that is not understood") from None
    return Login(identitytoken=answer.secret) if answer.user == _TOKEN else Login(answer.user, answer.secret)
