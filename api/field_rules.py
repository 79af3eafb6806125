"""Rules that fields of several specs share: names, labels, addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator

from api.errors import Invalid
from api.ids import SERVICE_NAME

NAME_LENGTH = 63

Problems = Iterator[str]
"""Sentences about what is wrong with a spec, each of which begins with the field's path."""


def name_problems(name: str, what: str) -> Problems:
    """A service's name is also a DNS label."""
    if not name:
        yield f"Name: a {what} needs a name"
    elif len(name) > NAME_LENGTH:
        yield f"Name: {name[:20]}… has {len(name)} characters; a name must be {NAME_LENGTH} characters or fewer"
    elif not SERVICE_NAME.fullmatch(name):
        yield f"Name: {name!r} must be valid as a DNS name component (letters, digits, '-' and '_' between them)"


def label_problems(path: str, labels: Iterable[str]) -> Problems:
    """What is wrong with labels: a key that is empty."""
    if any(not key.strip() for key in labels):
        yield f"{path}: a label has no name"


def is_address(text: str) -> bool:
    """Whether it is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def parse_problems(path: str, parse: Callable[[str], object], text: str) -> Problems:
    """Why a text of a form of its own (an image reference, a constraint) cannot be read."""
    try:
        parse(text)
    except Invalid as error:
        yield f"{path}: {error}"
