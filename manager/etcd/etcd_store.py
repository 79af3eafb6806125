"""The store in etcd: lists all keys at one revision, then watches from there without a gap; batches writes.

Reads never reach etcd: they are answered from the local state. etcd may be unreachable for any time; requests then fail
with Unavailable after a few seconds, and the watch continues where it was when etcd is back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import structlog
from aetcd import rpc

from api.codec import Value, decode, encode
from api.errors import Unavailable
from api.objects.wanted import Cluster
from api.wire.rpc import Credentials
from api.wire.session_messages import MANAGER_NAME
from kit.background import Background
from kit.supervisor import guard
from kit.timing import backoff
from manager.etcd.etcd_client import CALL_TIMEOUT, EtcdConnection, EtcdError, NoSpace
from manager.etcd.leases import EtcdLease, KeepAlives, grant
from manager.etcd.space import SpaceKeeper
from manager.etcd.transactions import TransactionWriter, encoded, size_of
from manager.security.sealing import opened
from manager.store.batches import TransactionLimits, batches, check_distinct
from manager.store.cache import Cache
from manager.store.interface import Change, Fence, LeaseEnded, Put
from manager.store.keys import PREFIX, PREFIX_END, parse
from manager.store.state import Event

log = structlog.get_logger(__name__)
PAGE = 2000
"""Keys listed, or events decoded, before yielding to the event loop."""


SMALL = 4096
"""Bytes up to which an object may still grow in a nearly full store, so that users can scale and drain."""
FULL = (
    "the cluster's store is full: remove services, configs, secrets or networks that are not needed (room is made by"
    " itself within seconds), or start the managers' argosyd with a larger --etcd-quota; then try again"
)


class KeyHolder(NamedTuple):
    """The manager that unwraps the cluster's keys: its node id and its own private key (PEM)."""

    node_id: str
    private_key: bytes


class RevisionCompacted(Exception):
    """The watch cannot continue: etcd has compacted its revision. List everything again."""


class EtcdStore(Cache):
    """`Store` on etcd at `endpoints` ("host:port", several for failover), over mTLS when there are credentials.

    Call `start` first and `close` at the end. `server_name` is the name that the members' certificates must have; None
    for the endpoints' own names. `holder` unwraps the cluster's keys.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        credentials: Credentials | None = None,
        limits: TransactionLimits = TransactionLimits(),  # noqa: B008 - a frozen value
        server_name: str | None = MANAGER_NAME,
        holder: KeyHolder | None = None,
    ) -> None:
        super().__init__()
        self._holder = holder
        self.connection = EtcdConnection(endpoints, credentials, server_name)
        self._server_name = server_name
        self._limits = limits
        self._writer = TransactionWriter(self.connection, limits)
        self._keep_alives = KeepAlives(self.connection)
        self._background = Background()
        self.space: SpaceKeeper | None = None
        """Keeps room in our own etcd member; None with an external etcd."""

    async def start(self) -> None:
        """Load everything and start the watch. Raises Unavailable when etcd cannot be reached."""
        await self._list()
        self._background.start(guard(self._follow(), "watch of etcd"), "etcd watch")
        self._background.start(guard(self._keep_alives.run(), "lease refreshes"), "etcd leases")

    async def renew(self, credentials: Credentials) -> None:
        """Reconnect with a new certificate; requests under way may fail with Unavailable."""
        await self.connection.renew(credentials)
        if self.space is not None:
            await self.space.connection.renew(credentials)

    def keep_room(self, endpoint: str, credentials: Credentials | None, quota: int) -> None:
        """Start to keep room in our own etcd member at `endpoint`. `quota`: its quota in bytes."""
        self.space = SpaceKeeper(EtcdConnection([endpoint], credentials, self._server_name), quota)
        self._background.start(guard(self.space.run(), "room in etcd"), "room in etcd")

    async def close(self) -> None:
        """Stop watching and disconnect. Leases are left to expire."""
        await self._background.stop()
        await self._writer.close()
        await self.connection.close()
        if self.space is not None:
            await self.space.connection.close()

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def commit(self, changes: Sequence[Change], fence: Fence | None = None) -> int:
        """Write all changes or none, in one transaction if possible, and wait until the state has them.

        If a large commit had to be split, the parts before the failed one stay written. Raises Stale, Fenced, TooLarge
        or Unavailable; after Unavailable it is unknown whether the last part was written.
        """
        check_distinct(changes)
        if self.space is not None and self.space.full and fence is None:
            self._check_growth(changes)
        revision = 0
        try:
            for batch in batches(map(encoded, changes), size_of, self._limits):
                revision = max(revision, await self._writer.write(batch, fence))
        except NoSpace as error:
            raise (error if self.space is None else Unavailable(FULL)) from None
        finally:
            await self._reached(revision)
        return revision or self.state.revision

    def _check_growth(self, changes: Sequence[Change]) -> None:
        """Check that no wanted object grows, for a store that is nearly full. Raises Unavailable."""
        for change in changes:
            if not isinstance(change, Put) or not change.kind.name.startswith("wanted/"):
                continue
            old = self.state.table(change.kind).get(change.id)
            if old is None or len(encode(change.value)) > max(len(encode(old)), SMALL):
                raise Unavailable(FULL)

    async def lease(self, ttl: float) -> EtcdLease:
        """A new lease of `ttl` seconds, rounded up to whole ones."""
        lease_id = await grant(self.connection, ttl)
        return EtcdLease(self.connection, self._keep_alives, self._put_leased, lease_id)

    async def _put_leased(self, put: Put, lease_id: int) -> int:
        try:
            revision = await self._writer.write([encoded(put)], lease_id=lease_id)
        except EtcdError as error:
            if "lease not found" in error.details:
                raise LeaseEnded("the lease has ended") from None
            raise
        await self._reached(revision)
        return revision

    async def _reached(self, revision: int) -> None:
        if self.state.revision >= revision:
            return
        try:
            async with asyncio.timeout(2 * CALL_TIMEOUT):
                await self.wait_newer(revision - 1)
        except TimeoutError:
            raise Unavailable("the change is written, but etcd does not tell of it yet") from None

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _list(self) -> None:
        """Set the state to the content of etcd at one revision, read page by page."""
        rows: list[Event] = []
        start, revision = PREFIX, 0
        while True:
            request = rpc.RangeRequest(key=start, range_end=PREFIX_END, limit=PAGE, revision=revision)
            try:
                answer = await self.connection.ask("kv", "Range", request)
            except EtcdError as error:
                if "compacted" not in error.details:
                    raise
                rows, start, revision = [], PREFIX, 0  # the revision was compacted meanwhile: start again
                continue
            revision = revision or answer.header.revision
            rows.extend(self._decoded((kv, True) for kv in answer.kvs))
            if not answer.more:
                break
            start = answer.kvs[-1].key + b"\0"
        self.replace(rows, revision)

    async def _follow(self) -> None:
        """Watch etcd, with a new watch after each failure; never returns."""
        delays = backoff(random.Random(), most=2.0)
        while True:
            before = self.state.revision
            try:
                await self._watch(before + 1)
            except RevisionCompacted:
                log.info("what changed meanwhile is forgotten by etcd: listing everything", revision=before)
                await self._relist()
            except (Unavailable, EtcdError) as error:
                log.info("watch of etcd interrupted", reason=str(error))
            if self.state.revision > before:
                delays = backoff(random.Random(), most=2.0)
            await asyncio.sleep(next(delays))

    async def _relist(self) -> None:
        try:
            await self._list()
        except (Unavailable, EtcdError) as error:
            log.info("listing etcd failed", reason=str(error))

    async def _watch(self, revision: int) -> None:
        """Apply the events from `revision` on, until the stream fails.

        Raises Compacted, Unavailable or EtcdError.
        """
        stream = self.connection.stream("watch", "Watch")
        try:
            create = rpc.WatchCreateRequest(key=PREFIX, range_end=PREFIX_END, start_revision=revision)
            await stream.write(rpc.WatchRequest(create_request=create))
            while True:
                answer = await stream.read()
                if answer.compact_revision:
                    raise RevisionCompacted
                if answer.canceled:
                    raise Unavailable(f"etcd ended the watch: {answer.cancel_reason}")
                if answer.events:
                    await self._apply(answer.events)
        finally:
            stream.cancel()

    async def _apply(self, raw_events: Any) -> None:
        """Apply one answer of the watch as a whole: it never ends in the middle of a revision.

        The state advances to the revision of the last event, not of the header: while etcd catches up with a slow
        watcher, the header is ahead of the events.
        """
        events: list[Event] = []
        for start in range(0, len(raw_events), PAGE):
            events.extend(
                self._decoded((event.kv, event.type == rpc.Event.PUT) for event in raw_events[start : start + PAGE])
            )
            if len(raw_events) > PAGE:
                await asyncio.sleep(0)
        self.advance(events, raw_events[-1].kv.mod_revision)

    def _decoded(self, pairs: Iterable[tuple[Any, bool]]) -> Iterator[Event]:
        """Decode (key-value, whether it was put) pairs to events. Unknown keys are skipped."""
        for kv, present in pairs:
            known = parse(kv.key)
            if known is None:
                continue
            kind, id = known
            try:
                value = self._opened(decode(kind.type, kv.value)) if present else None
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                log.error("an object in etcd cannot be read, and is ignored", key=kv.key.decode(), reason=str(error))
                continue
            yield Event(kind, id, value, kv.mod_revision)

    def _opened(self, value: Value) -> Value:
        return opened(value, *self._holder) if self._holder is not None and isinstance(value, Cluster) else value
