"""Permitted work in progress, which is cancelled when its permission is withdrawn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(eq=False, slots=True)
class _Permit:
    check: Callable[[], object]
    end: Callable[[], None]
    task: asyncio.Task[object]
    withdrawn: Exception | None = None

    def recheck(self) -> None:
        """Cancel the work if it is no longer permitted."""
        if self.withdrawn is not None:
            return
        try:
            self.check()
        except Exception as error:
            self.withdrawn = error
            self.end()
            self.task.cancel()


class Permits:
    """The work in progress. A `check` raises when its work is not permitted; the work then ends with that error.

    As in asyncio.timeout, our own cancellation is distinguished from one that comes from outside.
    """

    def __init__(self) -> None:
        self._permits: set[_Permit] = set()

    @contextmanager
    def hold(self, check: Callable[[], object], end: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Run the block while `check` does not raise. Raises the error of `check`, at the start or during the block; in
        the latter case `end` is called first.
        """
        check()
        task = asyncio.current_task()
        assert task is not None, "work is done in a task"
        before, permit = task.cancelling(), _Permit(check, end, task)
        self._permits.add(permit)
        try:
            yield
        except asyncio.CancelledError:
            if permit.withdrawn is not None and task.uncancel() <= before:
                raise permit.withdrawn from None
            raise
        finally:
            self._permits.discard(permit)

    def recheck(self) -> None:
        """Check all work again and cancel what is no longer permitted. To call when permissions may have changed."""
        for permit in list(self._permits):
            permit.recheck()
