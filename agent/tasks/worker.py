"""The worker: carries out this host's assignments, with one runner per task, and passes the network view on.

Level-triggered: each message changes the assignment set, and runners and networks get the new state, not the event.
Containers without an assignment are removed once a manager has sent the whole set, never because of the disk alone.
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
from agent.tasks.task_runner import TaskRunner
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
    """All tasks of one host. Their runners run in `group`."""

    def __init__(self, context: RunnerContext, group: asyncio.TaskGroup) -> None:
        self._context = context
        self._group = group
        self._runners: dict[str, TaskRunner] = {}
        self._unfit: set[AssignmentKey] = set()
        self._found: dict[str, Container] = {}
        """Containers that existed when the agent started and have no runner yet, by task id."""
        self._images: dict[str, Image] = {}

    def restore(self, containers: Iterable[Container], images: Iterable[Image]) -> None:
        """Continue with the checkpoint's assignments and the containers that exist on the host."""
        self._found = {container.task_id: container for container in containers if container.task_id}
        self._images = {image.id: image for image in images}
        set = self._context.checkpoint.assignments
        if set.keys():
            # With an empty checkpoint the networks stay as they were taken over, until a manager sends the set.
            self._context.networks.update(set.view())
        for order in set.tasks():
            with self._isolated(order.name):
                self._begin(order, self._observe(order))

    def apply(self, message: Assignments) -> None:
        """Apply a message of a manager."""
        change = self._context.checkpoint.apply(message)
        if message.full or change.tags & NETWORK_TAGS:
            self._context.networks.update(self._context.checkpoint.assignments.view())
        self._report_unfit(change)
        for id in change.removed_ids("task"):
            self._end(id)
        for order in self._affected_tasks(change):
            with self._isolated(order.name):
                if runner := self._runners.get(order.id):
                    runner.update(self._wanted(order))
                else:
                    self._begin(order, self._observe(order))
        if message.full:
            self._found.clear()
            self._group.create_task(self._remove_strays(), name="strays")

    def observed(self, task_id: str) -> Observed | None:
        """The observed state of a task; None if this host does not have it."""
        runner = self._runners.get(task_id)
        return runner.seen if runner else None

    def health(self, task_id: str) -> Health:
        """A task's health, for the Engine API; without a check for an unknown task."""
        seen = self.observed(task_id)
        return seen.health if seen else Health()

    def _report_unfit(self, change: AssignmentChange) -> None:
        """Report the assignments that cannot be applied, until they can be or are removed."""
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
    def _isolated(self, name: str) -> Iterator[None]:
        """Report an error in handling one task, and let the others continue."""
        about = f"order of task {name}"
        try:
            yield
            self._context.troubles.resolve(about)
        except Exception as error:
            self._context.troubles.report(about, error_sentence(error), error)

    def _affected_tasks(self, change: AssignmentChange) -> list[TaskAssignment]:
        set = self._context.checkpoint.assignments
        tasks, specs, images = change.ids("task"), change.ids("spec"), change.ids("image")
        arrived = {key for resource in change.put if (key := key_of(resource))[0] in ("secret", "config")}
        if not (specs or images or arrived):
            return [order for id in tasks if (order := set.task(id))]
        return [order for order in set.tasks() if order.id in tasks or self._is_affected(order, specs, images, arrived)]

    def _is_affected(
        self, order: TaskAssignment, specs: set[str], images: set[str], arrived: set[AssignmentKey]
    ) -> bool:
        spec = self._context.checkpoint.assignments.spec(order.spec_id)
        if order.spec_id in specs or spec is None:
            return order.spec_id in specs
        container = spec.task.container_spec
        with self._isolated(order.name):
            return container.image in images or not arrived.isdisjoint(task_files.needed(spec, order.service_id))
        return False

    def _wanted(self, order: TaskAssignment) -> Wanted:
        set = self._context.checkpoint.assignments
        spec = set.spec(order.spec_id)
        if spec is None:
            return Wanted(order)
        container = spec.task.container_spec
        names = task_files.needed(spec, order.service_id)
        arrived = set.files(names)
        lacking = names.keys() - {key_of(one) for one in arrived}
        return Wanted(
            order,
            spec,
            set.peers(container.image),
            set.digested(container.image),
            arrived,
            tuple(sorted(names[key] for key in lacking)),
        )

    def _observe(self, order: TaskAssignment) -> Observed:
        """The observed state of a task without a runner: what the agent found at its start, used once; else nothing.

        A container without a checkpointed status is possible: the checkpoint was lost, and a manager sent the task.
        """
        container = self._found.pop(order.id, None)
        set = self._context.checkpoint.assignments
        status = self._context.checkpoint.statuses.get(order.id)
        image = self._images.get(container.image_id) if container else None
        return observe(status, container, image, set.spec(order.spec_id)) if container or status else Observed()

    def _begin(self, order: TaskAssignment, seen: Observed) -> None:
        status = self._context.checkpoint.statuses.get(order.id)
        runner = self._runners[order.id] = TaskRunner(self._context, self._wanted(order), seen, status)
        self._group.create_task(self._supervise(order.id, runner), name=f"task {order.name}")

    async def _supervise(self, id: str, runner: TaskRunner) -> None:
        await self._run_to_end(runner)
        if self._runners.get(id) is runner:
            del self._runners[id]
        # The task was assigned again while its container was being removed: start it anew.
        if order := self._context.checkpoint.assignments.task(id):
            self._begin(order, Observed())

    async def _run_to_end(self, runner: TaskRunner) -> None:
        """Run a runner to its end. If it raises, run it again after a growing delay or when the wanted state changes.

        Such an error is a defect of Argosy: the runner itself reports what the runtime and the networks refuse.
        """
        about, delays = f"task {runner.wanted.order.name}", backoff(self._context.rng, first=1.0, most=60.0)
        while True:
            try:
                await run_cancellable(runner.run())
                return self._context.troubles.resolve(about)
            except Exception as error:
                self._context.troubles.report(about, error_sentence(error), error)
                runner.report_trouble(error_sentence(error))
            try:
                async with asyncio.timeout(next(delays)):
                    await runner.wait_for_change()
            except TimeoutError:
                pass

    def _end(self, id: str) -> None:
        self._context.reporter.forget(id)
        if runner := self._runners.get(id):
            last = runner.wanted
            order = msgspec.structs.replace(last.order, desired=TaskState.REMOVE, draining=False, linger=0.0)
            runner.update(Wanted(order, last.spec, last.peers, gone=True))

    async def _remove_strays(self) -> None:
        try:
            for container in await self._context.runtime.containers():
                # Containers without a task were made by users on this host, and belong to them.
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
