"""Data key: encrypts secrets and registry logins. Part of the cluster object, created when first needed."""

from __future__ import annotations

import msgspec

from api.errors import Unavailable
from api.objects.kinds import CLUSTER, DEFAULT_CLUSTER
from manager.security import encryption
from manager.security.sealing import is_open
from manager.store.interface import Change, Put
from manager.store.state import State


def unsealed(state: State, id: str, sealed: bytes) -> bytes:
    """Decrypt what was encrypted with the data key or a former one. Raises encryption.DecryptionError."""
    cluster = state.cluster
    keys = [cluster.data_key, *cluster.former_data_keys] if cluster is not None else []
    for key in keys[:-1]:
        try:
            return encryption.unseal(key, id, sealed)
        except encryption.DecryptionError:
            continue
    return encryption.unseal(keys[-1] if keys else b"", id, sealed)


def data_key(state: State) -> tuple[bytes, list[Change]]:
    """The data key, and changes to commit together with what it encrypts. Raises Unavailable before there is a
    cluster."""
    cluster = state.cluster
    if cluster is None:
        raise Unavailable("the cluster is being set up; try again")
    if not is_open(cluster) and cluster.sealed:
        raise Unavailable("this manager has not been given the cluster's keys yet; try again")
    if cluster.data_key:
        return cluster.data_key, []
    keyed = msgspec.structs.replace(cluster, data_key=encryption.new_key())
    return keyed.data_key, [Put(CLUSTER, DEFAULT_CLUSTER, keyed, state.version(CLUSTER, DEFAULT_CLUSTER))]
