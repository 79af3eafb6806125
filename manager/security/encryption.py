"""Encryption of secrets in etcd: AES-256-GCM under the cluster's data key, bound to the secret's id.

The data key is part of the cluster object; in etcd it is sealed under a key that only managers can unwrap (sealing.py).
So etcd's files, listings and dumps alone reveal no secret.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from api.errors import ArgosyError

KEY_BYTES = 32
_NONCE_BYTES = 12


class DecryptionError(ArgosyError):
    """The data was encrypted with another key, or for another object, or is damaged."""


def new_key() -> bytes:
    """A new random key."""
    return os.urandom(KEY_BYTES)


def seal(key: bytes, id: str, data: bytes) -> bytes:
    """Encrypt the data of the object `id`. Returns the nonce, then the ciphertext with its tag."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, id.encode())


def unseal(key: bytes, id: str, sealed: bytes) -> bytes:
    """Decrypt the data of the object `id`. Raises DecryptionError."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], id.encode())
    except (InvalidTag, ValueError):
        raise DecryptionError("it cannot be decrypted with the cluster's data key") from None
