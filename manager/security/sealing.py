"""Sealing of the cluster's keys in etcd, so that they cannot be read from etcd's files alone.

The CA's key, the secrets of the join tokens and the data keys are encrypted with the *seal key*. The seal key itself is
stored only wrapped, once for each manager: encrypted for the public key with which the manager joined (ECDH on P-256,
HKDF, AES-256-GCM). So only a manager's own key file can open it, no key has to be sent from host to host, and a manager
that was away while the seal key was replaced simply unwraps the new one. The store seals and opens when it writes and
reads; in memory a manager has the cluster with its keys.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)

from api.codec import Value, decode, encode
from api.errors import Unavailable
from api.objects.wanted import Cluster
from manager.security import encryption
from manager.security.encryption import DecryptionError

_CURVE = ec.SECP256R1()
_POINT_BYTES = 65
_NONCE_BYTES = 12
_PURPOSE = b"argosy seal key for "


class SealingKeys(Value, frozen=True):
    """The sealed fields of a cluster, named as in Cluster."""

    ca_key: str = ""
    worker_secret: str = ""
    manager_secret: str = ""
    data_key: bytes = b""
    former_data_keys: list[bytes] = []


_NOTHING = {name: getattr(SealingKeys(), name) for name in SealingKeys.__struct_fields__}


def new_key() -> bytes:
    """A new seal key."""
    return encryption.new_key()


# ── wrapping the seal key ────────────────────────────────────────────────────────────────────────────────────────


def wrap(key: bytes, node_id: str, public_key: bytes) -> bytes:
    """Wrap the seal key for one manager, with the public key (DER) with which it joined."""
    receiver = load_der_public_key(public_key)
    assert isinstance(receiver, ec.EllipticCurvePublicKey), "joining admits no other"
    passing = ec.generate_private_key(_CURVE)
    point = passing.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    nonce = os.urandom(_NONCE_BYTES)
    secret = _derived(passing.exchange(ec.ECDH(), receiver), point, node_id)
    return point + nonce + AESGCM(secret).encrypt(nonce, key, node_id.encode())


def unwrap(wrapped: bytes, node_id: str, private_key: bytes) -> bytes:
    """Unwrap the seal key with the node's private key (PEM). Raises DecryptionError."""
    point, nonce, text = wrapped[:_POINT_BYTES], wrapped[_POINT_BYTES:][:_NONCE_BYTES], wrapped[77:]
    own = load_pem_private_key(private_key, password=None)
    assert isinstance(own, ec.EllipticCurvePrivateKey), "nodes have no other"
    try:
        sender = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, point)
        return AESGCM(_derived(own.exchange(ec.ECDH(), sender), point, node_id)).decrypt(nonce, text, node_id.encode())
    except (InvalidTag, ValueError):
        raise DecryptionError("the cluster's seal key is wrapped for another key than this node's") from None


def wraps(key: bytes, managers: Mapping[str, bytes]) -> dict[str, bytes]:
    """Wrap the seal key for several managers, given their public keys (DER). Returns the result by node id."""
    return {node_id: wrap(key, node_id, public_key) for node_id, public_key in managers.items()}


def _derived(shared: bytes, point: bytes, node_id: str) -> bytes:
    info = _PURPOSE + node_id.encode() + point
    return HKDF(hashes.SHA256(), length=encryption.KEY_BYTES, salt=None, info=info).derive(shared)


# ── the cluster, sealed and opened ───────────────────────────────────────────────────────────────────────────────


def closed(cluster: Cluster) -> Cluster:
    """The cluster as it is stored in etcd, sealed. Unchanged if it was never sealed, or was not opened here.

    Raises Unavailable when keys would be lost: when keys were set on a cluster that was not opened here.
    """
    keys = SealingKeys(**{name: getattr(cluster, name) for name in _NOTHING})
    if not cluster.seal_key:
        if cluster.sealed and keys != SealingKeys():
            raise Unavailable("this manager has not opened the cluster's keys, so it cannot change them; try again")
        return cluster
    sealed = encryption.seal(cluster.seal_key, f"cluster.{cluster.id}", encode(keys))
    return msgspec.structs.replace(cluster, seal_key=b"", sealed=sealed, **_NOTHING)


def opened(cluster: Cluster, node_id: str, private_key: bytes) -> Cluster:
    """The cluster with its keys, if the seal key is wrapped for this node, else unchanged."""
    wrapped = cluster.wraps.get(node_id)
    if not cluster.sealed or wrapped is None:
        return cluster
    try:
        key = unwrap(wrapped, node_id, private_key)
        keys = decode(SealingKeys, encryption.unseal(key, f"cluster.{cluster.id}", cluster.sealed))
    except (DecryptionError, msgspec.DecodeError):
        return cluster
    fields = {name: getattr(keys, name) for name in _NOTHING}
    return msgspec.structs.replace(cluster, seal_key=key, sealed=b"", **fields)


def is_open(cluster: Cluster) -> bool:
    """Whether the cluster's keys are available."""
    return bool(cluster.ca_key)
