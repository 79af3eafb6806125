"""Turns assignments into running things: a runner per task, and the newest view for the networks.

Level-triggered: each message changes the set, and what follows is told the new state, not the event. Containers that
no assignment mentions are removed when a manager has sent the whole set, never on the word of the disk alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import msgspec
import structlog

from agent.lifecycle import task_files
from agent.lifecycle.adoption import observe
from agent.lifecycle.assignment_set import NETWORK_TAGS, AssignmentChange
from agent.lifecycle.health import Health
from agent.lifecycle.step import Observed, Wanted
from agent.runtime.interface import Container, Image, container_id
from agent.tasks.task_actions import RunnerContext
from agent.tasks.task_runner import Runner
from api.errors import ArgosyError
from api.states import TaskState
from api.wire.assignments import AssignmentKey, TaskAssignment, key_of
from api.wire.session_messages import Assignments
from kit.supervisor import run_cancellable
from kit.timing import backoff
from kit.troubles import error_sentence

log = structlog.get_logger(__name__)

STRAYS = "containers that nobody wants"
STRAY_GRACE = 10.0
"""Seconds a stray container has after SIGTERM."""


class Worker:
    """All tasks of one host. `group` is where its runners live."""

    def __init__(self, context: RunnerContext, group: asyncio.TaskGroup) -> None:
        self._context = context
        self._group = group
        self._runners: dict[str, Runner] = {}
        self._unfit: set[AssignmentKey] = set()
        self._found: dict[str, Container] = {}
        """Containers that were there when the agent started, and have no runner yet; by task."""
        self._images: dict[str, Image] = {}

    def restore(self, containers: Iterable[Container], images: Iterable[Image]) -> None:
        """Go on with what the disk says, over what exists on the host."""
        self._found = {container.task_id: container for container in containers if container.task_id}
        self._images = {image.id: image for image in images}
        set = self._context.checkpoint.assignments
        if set.keys():
            # An empty disk knows nothing; what the networks took over stands until a manager speaks.
            self._context.networks.update(set.view())
        for order in set.tasks():
            with self._apart(order.name):
                self._begin(order, self._seen(order))

    def apply(self, message: Assignments) -> None:
        """Take in what a manager sent."""
        change = self._context.checkpoint.apply(message)
        if message.full or change.tags & NETWORK_TAGS:
            self._context.networks.update(self._context.checkpoint.assignments.view())
        self._tell_unfit(change)
        for id in change.removed_ids("task"):
            self._dismiss(id)
        for order in self._touched(change):
            with self._apart(order.name):
                if runner := self._runners.get(order.id):
                    runner.update(self._wanted(order))
                else:
                    self._begin(order, self._seen(order))
        if message.full:
            self._found.clear()
            self._group.create_task(self._remove_strays(), name="strays")

    def observed(self, task_id: str) -> Observed | None:
        """What is known of a task; None for one this host does not have."""
        runner = self._runners.get(task_id)
        return runner.seen if runner else None

    def health(self, task_id: str) -> Health:
        """A task's health, for those who show containers."""
        seen = self.observed(task_id)
        return seen.health if seen else Health()

    def _tell_unfit(self, change: AssignmentChange) -> None:
        """Name the entries that cannot be applied, until they can be, or are gone."""
        if not self._unfit and not change.unfit:
            return
        known = {*self._context.checkpoint.assignments.keys()}
        for key in self._unfit - change.unfit.keys():
            if key in change.removed or key not in known or key in {key_of(resource) for resource in change.put}:
                self._unfit.discard(key)
                self._context.troubles.resolve(" ".join(key))
        for key, why in change.unfit.items():
            self._unfit.add(key)
            self._context.troubles.report(" ".join(key), why)

    @contextmanager
    def _apart(self, name: str) -> Iterator[None]:
        """One order's trouble, of whatever kind, is not the others'."""
        about = f"order of task {name}"
        try:
            yield
            self._context.troubles.resolve(about)
        except Exception as error:
            self._context.troubles.report(about, error_sentence(error), error)

    def _touched(self, change: AssignmentChange) -> list[TaskAssignment]:
        set = self._context.checkpoint.assignments
        tasks, specs, images = change.ids("task"), change.ids("spec"), change.ids("image")
        come = {key for resource in change.put if (key := key_of(resource))[0] in ("secret", "config")}
        if not (specs or images or come):
            return [order for id in tasks if (order := set.task(id))]
        return [order for order in set.tasks() if order.id in tasks or self._refers(order, specs, images, come)]

    def _refers(self, order: TaskAssignment, specs: set[str], images: set[str], come: set[AssignmentKey]) -> bool:
        spec = self._context.checkpoint.assignments.spec(order.spec_id)
        if order.spec_id in specs or spec is None:
            return order.spec_id in specs
        container = spec.task.container_spec
        with self._apart(order.name):
            return container.image in images or not come.isdisjoint(task_files.needed(spec, order.service_id))
        return False

    def _wanted(self, order: TaskAssignment) -> Wanted:
        set = self._context.checkpoint.assignments
        spec = set.spec(order.spec_id)
        if spec is None:
            return Wanted(order)
        container = spec.task.container_spec
        names = task_files.needed(spec, order.service_id)
        come = set.files(names)
        lacking = names.keys() - {key_of(one) for one in come}
        return Wanted(
            order,
            spec,
            set.peers(container.image),
            set.digested(container.image),
            come,
            tuple(sorted(names[key] for key in lacking)),
        )

    def _seen(self, order: TaskAssignment) -> Observed:
        """Where a task stands that has no runner: what the agent found of it when it started, once; else nothing.

        A container may be there without a note of it: the disk forgets, and the manager has it still.
        """
        container = self._found.pop(order.id, None)
        set = self._context.checkpoint.assignments
        status = self._context.checkpoint.statuses.get(order.id)
        image = self._images.get(container.image_id) if container else None
        return observe(status, container, image, set.spec(order.spec_id)) if container or status else Observed()

    def _begin(self, order: TaskAssignment, seen: Observed) -> None:
        status = self._context.checkpoint.statuses.get(order.id)
        runner = self._runners[order.id] = Runner(self._context, self._wanted(order), seen, status)
        self._group.create_task(self._keep(order.id, runner), name=f"task {order.name}")

    async def _keep(self, id: str, runner: Runner) -> None:
        await self._persevere(runner)
        if self._runners.get(id) is runner:
            del self._runners[id]
        # Ordered again while its last trace was being removed: it starts afresh.
        if order := self._context.checkpoint.assignments.task(id):
            self._begin(order, Observed())

    async def _persevere(self, runner: Runner) -> None:
        """Run it to its end. Should it fail, it is begun again over what exists, after a growing delay or when
        something else is wanted. (That is a fault of ours: what runtime and networks refuse is the runner's to tell.)
        """
        about, delays = f"task {runner.wanted.order.name}", backoff(self._context.rng, first=1.0, most=60.0)
        while True:
            try:
                await run_cancellable(runner.run())
                return self._context.troubles.resolve(about)
            except Exception as error:
                self._context.troubles.report(about, error_sentence(error), error)
                runner.tell_trouble(error_sentence(error))
            try:
                async with asyncio.timeout(next(delays)):
                    await runner.news()
            except TimeoutError:
                pass

    def _dismiss(self, id: str) -> None:
        self._context.reporter.forget(id)
        if runner := self._runners.get(id):
            last = runner.wanted
            order = msgspec.structs.replace(last.order, desired=TaskState.REMOVE, draining=False, linger=0.0)
            runner.update(Wanted(order, last.spec, last.peers, gone=True))

    async def _remove_strays(self) -> None:
        try:
            for container in await self._context.runtime.containers():
                # Containers of no task were made by hand on this host, and are their maker's.
                if container.task_id and container.task_id not in self._runners:
                    await self._remove_stray(container)
            self._context.troubles.resolve(STRAYS)
        except Exception as error:  # the next session tries again
            self._context.troubles.report(
                STRAYS, error_sentence(error), None if isinstance(error, ArgosyError) else error
            )

    async def _remove_stray(self, container: Container) -> None:
        log.info("removing a container that nobody wants", container=container.name)
        id = container_id(container.task_id)
        if container.pid and not container.exit:
            await self._context.runtime.stop(id, "", STRAY_GRACE)
        await self._context.networks.close(id)
        await self._context.runtime.remove(id)
