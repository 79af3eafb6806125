"""Versions of a stack's secrets and configs: each content is an object of its own, never changed.

An object is called BASE-DIGEST, where the base is what a stack's file calls it in the cluster (STACK_NAME). Whoever
asks for the base means the version that was deployed last: `docker stack deploy` knows no other name. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TypeVar

from api.labels import DIGEST
from api.objects.wanted import Config, Secret

F = TypeVar("F", bound=Secret | Config)


def digest_of(data: bytes, *, is_secret: bool, salt: str) -> str:
    """Eight hex digits that change with the content.

    Names can be seen by everybody who may list secrets, so a secret's digest is made slow to guess from: scrypt with
    8 MiB, some 20 ms. The salt is the base, so equal secrets do not show.
    """
    if is_secret:
        return hashlib.scrypt(data, salt=salt.encode(), n=1 << 13, r=8, p=1, dklen=4).hex()
    return hashlib.sha256(data).hexdigest()[:8]


def version_name(base: str, digest: str) -> str:
    """What a version is called."""
    return f"{base}-{digest}"


def base_of(one: Secret | Config) -> str:
    """What all its versions are called; "" for one that is no version of anything."""
    digest = one.spec.labels.get(DIGEST, "")
    return one.spec.name.removesuffix(f"-{digest}") if digest and one.spec.name.endswith(f"-{digest}") else ""


def newest(versions: Iterable[F], base: str) -> F | None:
    """The version that was deployed last; None when there is none."""
    found = [one for one in versions if base and base_of(one) == base]
    return max(found, key=lambda one: (one.updated_at, one.created_at, one.id), default=None)


def short_name(base: str, stack: str) -> str:
    """What a stack's file calls it, as far as that can be told from outside."""
    return base.removeprefix(f"{stack}_") or base
