"""Secrets and configs as their users want them: small files the cluster hands to containers.

Names and limits are the Engine API's (swarmkit manager/controlapi/{secret,config}.go, api/validation/secrets.go).
"""

from __future__ import annotations

import re

from api.codec import Value
from api.service.container import Driver

MOST_SECRET = 500 * 1024
"""Bytes; the data must be smaller."""
MOST_CONFIG = 1000 * 1024
NAME = re.compile(r"[a-zA-Z0-9]+(?:[a-zA-Z0-9_.-]*[a-zA-Z0-9])?")
NAME_LENGTH = 64


class SecretSpec(Value, frozen=True):
    """A secret (body of POST /secrets/create). `data` goes in and never comes out again."""

    name: str = ""
    labels: dict[str, str] = {}
    data: bytes = b""
    driver: Driver | None = None
    templating: Driver | None = None


class ConfigSpec(Value, frozen=True):
    """A config (body of POST /configs/create)."""

    name: str = ""
    labels: dict[str, str] = {}
    data: bytes = b""
    templating: Driver | None = None


def file_problems(what: str, spec: SecretSpec | ConfigSpec, most: int) -> list[str]:
    """What is wrong with a new secret or config (`what`); `most` is the size its data must stay below."""
    found = []
    if not spec.name:
        found.append(f"Name: a {what} needs a name")
    elif not NAME.fullmatch(spec.name) or len(spec.name) > NAME_LENGTH:
        found.append(
            f"Name: {spec.name[:NAME_LENGTH]!r}: invalid name, only {NAME_LENGTH} [a-zA-Z0-9-_.] characters allowed,"
            " and the start and end character must be [a-zA-Z0-9]"
        )
    outside = isinstance(spec, SecretSpec) and spec.driver is not None and bool(spec.driver.name)
    if not outside and not 0 < len(spec.data) < most:
        found.append(f"Data: {what} data must be larger than 0 and less than {most} bytes")
    if any(not key.strip() for key in spec.labels):
        found.append("Labels: a label has no name")
    return found


def file_refusals(what: str, spec: SecretSpec | ConfigSpec) -> list[str]:
    """What of it would not be honoured."""
    found = []
    if isinstance(spec, SecretSpec) and spec.driver and spec.driver.name:
        found.append(f"Driver: secret driver {spec.driver.name!r} is not supported; give the data itself")
    if spec.templating and spec.templating.name:
        found.append(f"Templating: templates in a {what} ({spec.templating.name}) are not supported")
    return found
