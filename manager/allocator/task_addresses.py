"""Addresses of tasks: a NEW task gets one on each of its networks and becomes PENDING; an ended task frees them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from api.objects.decided import Task, TaskAddress
from api.reasons.reason import Code, Reason, reason
from api.states import GOING, TaskState
from kit.ip import number_of
from manager.allocator.allocation_round import AllocationRound

Groups = dict[tuple[str, int], list[Task]]
"""Tasks by service and revision. All tasks of a group have the same problem, or none."""


def new_tasks(allocation: AllocationRound) -> Groups:
    """The tasks that wait for addresses."""
    groups: defaultdict[tuple[str, int], list[Task]] = defaultdict(list)
    for task in allocation.state.tasks_in(TaskState.NEW).values():
        if task.desired in GOING:
            groups[task.service_id, task.revision].append(task)
    return dict(groups)


def allocate_addresses(allocation: AllocationRound, groups: Groups, problems: dict[str, Reason]) -> None:
    """Allocate addresses for the waiting tasks; `problems` holds the reasons that stop whole services."""
    for (service_id, number), tasks in groups.items():
        revision = allocation.state.revisions_of(service_id).get(number)
        if revision is None:
            continue
        networks, fixed = revision.spec.network_ids, revision.spec.fixed_addresses
        problem = problems.get(service_id) or next(filter(None, map(allocation.problem, networks)), None)
        for task in tasks:
            problem = _serve(allocation, task, networks, fixed, problem)


def free_addresses(allocation: AllocationRound, task_ids: Iterable[str]) -> None:
    """Free the addresses of tasks that have ended."""
    for id in task_ids:
        task = allocation.state.tasks.get(id)
        if task is not None and task.addresses and allocation.state.has_ended(task):
            allocation.builder.put_task(task, addresses=[])


def _serve(
    allocation: AllocationRound, task: Task, networks: list[str], fixed: dict[str, str], problem: Reason | None
) -> Reason | None:
    """Allocate the addresses of one task. Returns the problem that also stops the other tasks of its group, or None."""
    addresses: list[TaskAddress] = []
    for network_id in networks if not problem else ():
        wanted = fixed.get(network_id, "")
        address = allocation.fixed_address(network_id, wanted) if wanted else allocation.task_address(network_id)
        if address is None:
            name = allocation.network_name(network_id)
            problem = (
                reason(Code.ADDRESS_TAKEN, address=wanted, network=name)
                if wanted
                else reason(Code.NO_ADDRESS_LEFT, network=name)
            )
            break
        addresses.append(TaskAddress(network_id, address))
    if problem:
        for held in addresses:
            allocation.put_back(held.network_id, number_of(held.address))
        allocation.builder.put_task(task, reason=problem)
    else:
        allocation.builder.put_task(task, addresses=addresses, state=TaskState.PENDING, reason=None)
    return problem
