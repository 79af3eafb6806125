"""Logins at registries: Docker's X-Registry-Auth header in, the auth.json that skopeo reads out.

A login is kept for one registry only, so that a service whose image moves to another registry does not send it there.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from api.errors import Invalid

HEADER = "X-Registry-Auth"


class Login(msgspec.Struct, frozen=True, rename="lower"):
    """Of a user, or a token that stands for one."""

    username: str = ""
    password: str = ""
    identitytoken: str = ""

    def __repr__(self) -> str:
        return f"Login({self.username!r})"  # secrets must not be logged


def login_of(header: str) -> Login | None:
    """What the header says; None for nothing. Raises Invalid for what is no login."""
    if not header:
        return None
    try:
        data = base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))
        raw = msgspec.json.decode(data or b"{}", type=dict[str, object])
        # clients write keys in any case, and Docker reads them so
        login = msgspec.convert({key.lower(): item for key, item in raw.items() if item is not None}, Login)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise Invalid(f"{HEADER}: not base64 of a JSON object") from None
    return login if login.username or login.identitytoken else None


def header_of(login: Login) -> str:
    """The header, as clients send it."""
    return base64.urlsafe_b64encode(msgspec.json.encode(login)).decode()


def auth_json(login: Login, domain: str) -> bytes:
    """The file that skopeo reads, with one registry in it."""
    if login.identitytoken:
        entry = {"auth": base64.b64encode(b"<token>:").decode(), "identitytoken": login.identitytoken}
    else:
        entry = {"auth": base64.b64encode(f"{login.username}:{login.password}".encode()).decode()}
    return msgspec.json.encode({"auths": {domain: entry}})


def is_for(file: bytes, domain: str) -> bool:
    """Whether such a file has a login for the registry."""
    return bool(file) and domain in msgspec.json.decode(file, type=dict[str, dict[str, object]]).get("auths", {})
