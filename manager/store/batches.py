"""Splitting a commit into transactions: as few as possible, each within what etcd takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from manager.store.interface import Change

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TransactionLimits:
    """What one transaction may hold. The defaults suit our own member, which is started with room for them."""

    operations: int = 9_000
    size: int = 8 << 20
    """Bytes of keys and values; far below the member's limit, for a big entry holds up its heartbeats."""


EXTERNAL = TransactionLimits(operations=120, size=1 << 20)
"""What any etcd takes that was started with its own defaults."""


def check_distinct(changes: Sequence[Change]) -> None:
    """Raises ValueError when a commit changes one key twice: which of the two was meant?"""
    seen: set[tuple[str, str]] = set()
    for change in changes:
        key = (change.kind.name, change.id)
        if key in seen:
            raise ValueError(f"one commit changes {change.kind.name}/{change.id} twice")
        seen.add(key)


def batches(items: Iterable[T], size: Callable[[T], int], limits: TransactionLimits) -> Iterator[list[T]]:
    """Runs of items within the limits; one item too big for any stands alone. Lazy: takes items as it needs them."""
    batch: list[T] = []
    total = 0
    for item in items:
        weight = size(item)
        if batch and (len(batch) >= limits.operations or total + weight > limits.size):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += weight
    if batch:
        yield batch
