"""Batches: a commit split into as few transactions as etcd's limits allow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from manager.store.interface import Change

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TransactionLimits:
    """Limits of one transaction. The defaults fit our own etcd member, which is started with matching options."""

    operations: int = 9_000
    size: int = 8 << 20
    """Bytes of keys and values. Far below the member's limit, because a large entry delays its heartbeats."""


EXTERNAL = TransactionLimits(operations=120, size=1 << 20)
"""The limits of an etcd that was started with etcd's defaults."""


def check_distinct(changes: Sequence[Change]) -> None:
    """Raises ValueError when a commit changes one key twice, which is ambiguous."""
    seen: set[tuple[str, str]] = set()
    for change in changes:
        key = (change.kind.name, change.id)
        if key in seen:
            raise ValueError(f"one commit changes {change.kind.name}/{change.id} twice")
        seen.add(key)


def batches(items: Iterable[T], size: Callable[[T], int], limits: TransactionLimits) -> Iterator[list[T]]:
    """Split items into runs within the limits; an item that is too large is alone. Lazy: reads items when needed."""
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
