"""The key that secrets and registry logins are encrypted with: part of the cluster, made with the first of them."""

from __future__ import annotations

import msgspec

from api.errors import Unavailable
from api.objects import CLUSTER, DEFAULT_CLUSTER
from manager import vault
from manager.store.base import Change, Put
from manager.store.state import State


def data_key(state: State) -> tuple[bytes, list[Change]]:
    """The key, and what to commit along with what it encrypts. Raises Unavailable before there is a cluster."""
    cluster = state.cluster
    if cluster is None:
        raise Unavailable("the cluster is being set up; try again")
    if cluster.data_key:
        return cluster.data_key, []
    keyed = msgspec.structs.replace(cluster, data_key=vault.new_key())
    return keyed.data_key, [Put(CLUSTER, DEFAULT_CLUSTER, keyed, state.version(CLUSTER, DEFAULT_CLUSTER))]
