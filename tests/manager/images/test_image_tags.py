"""The meaning of tags without a registry, and which hosts may fetch an image from others."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from api.image_reference import parse
from api.node_spec import NodeSpec
from api.objects.decided import Revision, Task
from api.objects.kinds import DESCRIPTION, NODE, REVISION, STATUS, TASK, revision_id
from api.objects.observed import NodeDescription, TaskStatus
from api.objects.wanted import Node
from api.service.container import ContainerSpec
from api.service.service_spec import ServiceSpec, TaskSpec
from api.states import Role, TaskState
from api.wire.assignments import ImageAssignment
from manager.assignments.assignment_sources import assignment_set
from manager.assignments.image_sources import may_fetch
from manager.images.image_tags import TagMeaning, manager_descriptions, tag_meaning
from manager.store.in_memory import MemoryStore
from manager.store.interface import Change, Delete, Put

ID, OTHER, DIGEST = ("sha256:" + digit * 64 for digit in "abc")
NAME = "docker.io/library/demo"
AMD = (("amd64", "linux", ""),)


def said(tags: dict[str, str], *images: str) -> NodeDescription:
    """The description of a host with these tags and other images."""
    names = {*tags, *images, *(f"{NAME}@{digest}" for digest in tags.values())}
    return NodeDescription(architecture="x86_64", address="192.0.2.1", images=sorted(names), tags=tags)


def node(id: str, role: Role = Role.WORKER) -> Put:
    return Put(NODE, id, Node(id, spec=NodeSpec(role=role)))


def test_a_tag_means_what_managers_have_behind_it() -> None:
    one, reference = {f"{NAME}:1": ID, f"{NAME}:2": OTHER}, parse("demo:1")

    assert tag_meaning([], reference) == TagMeaning()
    assert tag_meaning([said({f"{NAME}:2": ID}, ID)], reference) == TagMeaning()
    assert tag_meaning([said(one, ID), said(one, ID)], reference) == TagMeaning(ID, True, AMD)
    assert tag_meaning([said({f"{NAME}:1": DIGEST}, ID)], reference) == TagMeaning(DIGEST, False, AMD)
    two = tag_meaning([said(one, ID), said({f"{NAME}:1": OTHER}, OTHER)], reference)
    assert two == TagMeaning(local=True, why="demo:1 is not the same image on all managers that have it")


async def cluster(*more: Change, image: str = "demo:1") -> MemoryStore:
    """Manager m1, workers w1 and w2, and a task on w2 that needs an image."""
    store = MemoryStore()
    spec = ServiceSpec(name="web", task_template=TaskSpec(container_spec=ContainerSpec(image=image)))
    await store.commit([
        node("m1", Role.MANAGER), node("w1"), node("w2"),
        Put(REVISION, revision_id("s1", 1), Revision("s1", 1, spec)),
        Put(TASK, "t1", Task("t1", "s1", 1, slot=1, node_id="w2", state=TaskState.ASSIGNED)),
        *more,
    ])  # fmt: skip
    return store


MANAGERS_WORD = Put(DESCRIPTION, "m1", said({f"{NAME}:1": ID}, ID))
FALSE_WORD = Put(DESCRIPTION, "w1", said({f"{NAME}:1": OTHER}, OTHER))


async def test_a_worker_that_becomes_a_manager_is_listened_to_and_one_that_is_none_any_more_is_not() -> None:
    store = await cluster(MANAGERS_WORD, FALSE_WORD)
    assert manager_descriptions(store.state) == [MANAGERS_WORD.value]

    await store.commit([node("w1", Role.MANAGER), node("m1")])
    assert manager_descriptions(store.state) == [FALSE_WORD.value]
    await store.commit([Delete(NODE, "w1", store.state.version(NODE, "w1"))])
    assert manager_descriptions(store.state) == []


async def test_a_tag_that_was_not_resolved_is_fetched_by_what_managers_say() -> None:
    store = await cluster(MANAGERS_WORD, FALSE_WORD)

    order = assignment_set(store.state, "w2")["image", "demo:1"]

    assert order == ImageAssignment("demo:1", ["m1@192.0.2.1:7946"], ID)


async def test_a_tag_that_only_a_worker_knows_is_fetched_from_nobody() -> None:
    store = await cluster(FALSE_WORD)

    assert ("image", "demo:1") not in assignment_set(store.state, "w2")


async def test_managers_are_among_those_asked_whoever_else_claims_to_have_it() -> None:
    crowd = [change for n in range(50) for change in (node(f"x{n}"), Put(DESCRIPTION, f"x{n}", said({}, ID)))]
    store = await cluster(MANAGERS_WORD, *crowd, image=f"demo:1@{ID}")

    order = assignment_set(store.state, "w2")["image", f"demo:1@{ID}"]

    assert isinstance(order, ImageAssignment)
    assert "m1@192.0.2.1:7946" in order.peers
    assert len(order.peers) == 8


@pytest.mark.parametrize("image", ["demo:1", f"demo:1@{ID}", f"demo@{ID}", ID])
async def test_who_has_a_task_that_needs_an_image_may_have_it(image: str) -> None:
    store = await cluster(MANAGERS_WORD, image=image)

    for reference in (ID, f"demo@{ID}", f"{NAME}:1@{ID}"):
        assert may_fetch(store.state, "w2", reference) == ""
    assert may_fetch(store.state, "w1", ID) == "node w1 has no task that needs it"
    assert may_fetch(store.state, "w2", OTHER) == "node w2 has no task that needs it"
    assert may_fetch(store.state, "gone", ID) == "node gone is not part of this cluster"
    assert may_fetch(store.state, "w2", "demo:1") == "demo:1 is no digest"


@pytest.mark.parametrize("state", [TaskState.RUNNING, TaskState.FAILED, TaskState.COMPLETE])
async def test_who_has_it_already_or_no_more_needs_it_may_not_have_it(state: TaskState) -> None:
    store = await cluster(MANAGERS_WORD, Put(STATUS, "t1", TaskStatus(state)))
    assert may_fetch(store.state, "w2", ID) == "node w2 has no task that needs it"

    store = await cluster(MANAGERS_WORD)
    task = replace(store.state.tasks["t1"], desired=TaskState.SHUTDOWN)
    await store.commit([Put(TASK, "t1", task)])
    assert may_fetch(store.state, "w2", ID) == "node w2 has no task that needs it"
