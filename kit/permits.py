"""Work under way that was permitted, and ends when the permission is withdrawn."""

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

    def look(self) -> None:
        """Stop the work when it is not permitted any more."""
        if self.withdrawn is not None:
            return
        try:
            self.check()
        except Exception as error:
            self.withdrawn = error
            self.end()
            self.task.cancel()


class Permits:
    """All such work in one place. `check` of each raises when the work is not permitted; what it raises ends the work.

    As with asyncio.timeout, a cancellation of ours is told from one that comes from outside.
    """

    def __init__(self) -> None:
        self._permits: set[_Permit] = set()

    @contextmanager
    def held(self, check: Callable[[], object], end: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Do the block's work for as long as `check` does not raise. Raises what it raises, at once or amid the work;
        `end` is called first when it is amid the work.
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

    def look(self) -> None:
        """What permissions depend on has changed: end what is not permitted any more."""
        for permit in list(self._permits):
            permit.look()
