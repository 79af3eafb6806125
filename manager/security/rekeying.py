"""Rekeying: replaces the cluster's keys after a manager was removed or demoted. Pure, except that keys are random.

The seal key is wrapped for the managers only. A former manager has known everything that was sealed, so then the seal
key, the data key and both join tokens are replaced, and secrets are encrypted again with the new data key. (The CA's
key stays: a manager could have copied it at any time.)
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from api.objects.kinds import CLUSTER, DEFAULT_CLUSTER, SECRET, SERVICE
from api.objects.wanted import Cluster
from api.wire.assignments import login_id
from manager.security import ca, encryption, sealing
from manager.security.data_key import unsealed
from manager.store.interface import Change, Put
from manager.store.state import State

KEPT = 600.0
"""Seconds that a former data key is stored: a manager that does not know the new one yet may still use it."""
STEP = 20
"""Secrets that are encrypted again in one commit."""


def due(state: State, now: float) -> list[Change]:
    """The changes to write now; empty when nothing is due, or when this manager has not opened the keys."""
    cluster = state.cluster
    if cluster is None or (cluster.sealed and not cluster.seal_key):
        return []
    if (changed := _sealed_anew(state, cluster, now)) is not None:
        return [_put(state, changed)]
    if not cluster.former_data_keys:
        return []
    if steps := [change for change, _ in zip(_encrypted_anew(state, cluster.data_key), range(STEP), strict=False)]:
        return steps
    if now < cluster.rekeyed_at + KEPT:
        return []
    return [_put(state, msgspec.structs.replace(cluster, former_data_keys=[]))]


def again_in(state: State) -> float | None:
    """Seconds until something may be due without a change of the state; None for never."""
    return KEPT / 10 if state.cluster is not None and state.cluster.former_data_keys else None


def _sealed_anew(state: State, cluster: Cluster, now: float) -> Cluster | None:
    """The cluster with its seal key wrapped for exactly the managers; None when it already is."""
    nodes = [node for node in state.nodes.values() if state.is_manager(node.id)]
    keyed = {node.id: node.public_key for node in nodes if node.public_key}
    if not cluster.seal_key:
        if len(keyed) < len(nodes):
            return None  # a manager of an older version would be locked out
        key = sealing.new_key()
        return msgspec.structs.replace(cluster, seal_key=key, wraps=sealing.wraps(key, keyed))
    if not cluster.wraps.keys() <= {node.id for node in nodes}:
        return _rekeyed(cluster, keyed, now)
    if missing := {id: public for id, public in keyed.items() if id not in cluster.wraps}:
        return msgspec.structs.replace(cluster, wraps=cluster.wraps | sealing.wraps(cluster.seal_key, missing))
    return None


def _rekeyed(cluster: Cluster, managers: dict[str, bytes], now: float) -> Cluster:
    key = sealing.new_key()
    return msgspec.structs.replace(
        cluster,
        seal_key=key,
        wraps=sealing.wraps(key, managers),
        worker_secret=ca.new_secret(),
        manager_secret=ca.new_secret(),
        data_key=encryption.new_key() if cluster.data_key else b"",
        former_data_keys=[cluster.data_key, *cluster.former_data_keys] if cluster.data_key else [],
        rekeyed_at=now,
    )


def _encrypted_anew(state: State, key: bytes) -> Iterator[Change]:
    """Changes that encrypt secrets and registry logins with `key`, for those that are not yet."""
    for secret in state.table(SECRET).values():
        if (data := _other(state, key, secret.id, secret.sealed)) is not None:
            yield Put(SECRET, secret.id, msgspec.structs.replace(secret, sealed=data), state.version(SECRET, secret.id))
    for service in state.services.values():
        if (data := _other(state, key, login_id(service.id), service.registry_login)) is not None:
            changed = msgspec.structs.replace(service, registry_login=data)
            yield Put(SERVICE, service.id, changed, state.version(SERVICE, service.id))


def _other(state: State, key: bytes, id: str, sealed: bytes) -> bytes | None:
    """The data encrypted with the key; None when it already is, or cannot be decrypted."""
    if not sealed or _opens(key, id, sealed):
        return None
    try:
        return encryption.seal(key, id, unsealed(state, id, sealed))
    except encryption.DecryptionError:
        return None


def _opens(key: bytes, id: str, sealed: bytes) -> bool:
    try:
        encryption.unseal(key, id, sealed)
    except encryption.DecryptionError:
        return False
    return True


def _put(state: State, cluster: Cluster) -> Put:
    return Put(CLUSTER, DEFAULT_CLUSTER, cluster, state.version(CLUSTER, DEFAULT_CLUSTER))
