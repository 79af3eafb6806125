"""Secrets as they lie in etcd: AES-256-GCM under the cluster's data key, bound to the secret's id.

The key is part of the cluster object, which only managers can read, like the CA's. So this keeps secrets out of what
shows values of etcd (a listing, a log, a dump of one prefix); whoever has the whole database has the key too.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from api.errors import ArgosyError

KEY_BYTES = 32
_NONCE_BYTES = 12


class Unreadable(ArgosyError):
    """The data was sealed with another key, or for another object, or is damaged."""


def new_key() -> bytes:
    """A key for a cluster that has none."""
    return os.urandom(KEY_BYTES)


def seal(key: bytes, id: str, data: bytes) -> bytes:
    """The data of the object `id`, encrypted: nonce, then ciphertext with its tag."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, id.encode())


def unseal(key: bytes, id: str, sealed: bytes) -> bytes:
    """The data again. Raises Unreadable."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], id.encode())
    except (InvalidTag, ValueError):
        raise Unreadable("it cannot be decrypted with the cluster's data key") from None
