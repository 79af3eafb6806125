"""/swarm: the cluster itself and its join tokens. (Init, join and leave are in node/http.)"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from aiohttp import web

from api import defaults
from api.codec import fields_of
from api.engine.swarm import JoinTokensAnswer, RaftAnswer, RaftRequest, SwarmAnswer, SwarmUpdateRequest, UnlockKeyAnswer
from api.errors import Conflict, Invalid, Unavailable, Unimplemented
from api.http.app import answer, body
from api.http.query import flag, version
from api.objects.kinds import CLUSTER, DEFAULT_CLUSTER
from api.objects.wanted import Cluster
from manager.http.cluster.cluster_answers import cluster_answer
from manager.http.cluster_context import ClusterContext
from manager.security.ca import join_token, new_secret
from manager.security.sealing import is_open
from manager.store.interface import Put
from manager.store.state import State
from manager.store.transact import at_version, transact_at

LEAST_CERT_EXPIRY = 1800 * defaults.SECOND
"""Docker refuses certificates of less than 30 minutes."""


class SwarmHandlers:
    """Handlers of /swarm."""

    def __init__(self, get: Callable[[], ClusterContext]) -> None:
        self._get = get

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [
            web.get("/swarm", self.inspect),
            web.post("/swarm/update", self.update),
            web.get("/swarm/unlockkey", self.unlock_key),
            web.post("/swarm/unlock", self.unlock),
        ]

    async def inspect(self, request: web.Request) -> web.Response:
        """GET /swarm."""
        state = self._get().store.state
        cluster = _cluster(state)
        if not is_open(cluster):
            raise Unavailable("this manager has not been given the cluster's keys yet; try again in a moment")
        certificate = cluster.ca_certificate.encode()
        tokens = JoinTokensAnswer(
            join_token(certificate, cluster.worker_secret), join_token(certificate, cluster.manager_secret)
        )
        return answer(SwarmAnswer(**msgspec.structs.asdict(cluster_answer(state, cluster)), join_tokens=tokens))

    async def update(self, request: web.Request) -> web.Response:
        """POST /swarm/update."""
        ctx = self._get()
        spec = await body(request, SwarmUpdateRequest)
        read = await at_version(ctx.store, CLUSTER, DEFAULT_CLUSTER, version(request, "swarm"), "swarm")
        old = _cluster(ctx.store.state)
        new = updated(old, spec)
        if flag(request, "rotateWorkerToken"):
            new = msgspec.structs.replace(new, worker_secret=new_secret())
        if flag(request, "rotateManagerToken"):
            new = msgspec.structs.replace(new, manager_secret=new_secret())
        if new != old:
            new = msgspec.structs.replace(new, updated_at=ctx.clock())
            await transact_at(ctx.store, [Put(CLUSTER, DEFAULT_CLUSTER, new, read)], "swarm")
        return web.Response()

    async def unlock_key(self, request: web.Request) -> web.Response:
        """GET /swarm/unlockkey: managers are never locked."""
        self._get()
        return answer(UnlockKeyAnswer())

    async def unlock(self, request: web.Request) -> web.Response:
        """POST /swarm/unlock."""
        self._get()
        raise Conflict("swarm is not locked")


def updated(cluster: Cluster, spec: SwarmUpdateRequest) -> Cluster:
    """The cluster with the spec's settings; fields that were not sent stay. Raises Invalid or Unimplemented."""
    _refuse(spec)
    history, heartbeat = spec.orchestration.task_history_retention_limit, spec.dispatcher.heartbeat_period
    expiry = spec.ca_config.node_cert_expiry
    if spec.name not in ("", DEFAULT_CLUSTER):
        raise Invalid(f"Name: swarm spec must be named '{DEFAULT_CLUSTER}'")
    if history is not None and history < 0:
        raise Invalid("Orchestration.TaskHistoryRetentionLimit: must not be negative")
    if heartbeat < 0 or 0 < heartbeat < defaults.SECOND:
        raise Invalid("Dispatcher.HeartbeatPeriod: at least 1 second (1000000000)")
    if expiry and expiry < LEAST_CERT_EXPIRY:
        raise Invalid("CAConfig.NodeCertExpiry: minimum certificate expiry time must be at least 30 minutes")
    return msgspec.structs.replace(
        cluster,
        labels=spec.labels,
        task_history=cluster.task_history if history is None else history,
        heartbeat=heartbeat / defaults.SECOND if heartbeat else cluster.heartbeat,
        cert_expiry=expiry or cluster.cert_expiry,
    )


def _refuse(spec: SwarmUpdateRequest) -> None:
    refused = {
        "EncryptionConfig.AutoLockManagers": spec.encryption_config.auto_lock_managers,
        "TaskDefaults.LogDriver": spec.task_defaults.log_driver is not None and spec.task_defaults.log_driver.name,
        "CAConfig.ExternalCAs": spec.ca_config.external_cas,
        "CAConfig.SigningCACert": spec.ca_config.signing_ca_cert or spec.ca_config.signing_ca_key,
        "CAConfig.ForceRotate": spec.ca_config.force_rotate,
        **_changed_raft(spec.raft),
    }
    if names := [name for name, value in refused.items() if value]:
        raise Unimplemented(f"{', '.join(names)}: not supported")


def _changed_raft(asked: RaftRequest) -> dict[str, bool]:
    """By Docker's settings of its own store: whether a value other than its default was sent."""
    shown = RaftAnswer()
    values = {f.encode_name: (getattr(asked, f.name), getattr(shown, f.name)) for f in fields_of(RaftRequest)}
    return {f"Raft.{name}": value not in (None, 0, default) for name, (value, default) in values.items()}


def _cluster(state: State) -> Cluster:
    if (cluster := state.cluster) is None:
        raise Unavailable("the cluster's state has not arrived on this manager yet; try again in a moment")
    return cluster
