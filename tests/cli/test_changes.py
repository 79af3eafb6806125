"""What a deploy would do, from values."""

from __future__ import annotations

import msgspec
import pytest

from api import specs
from api.errors import Invalid
from cli.changes import Changes, plan
from cli.views import Network, Service
from compose.load import load
from compose.stack import NAMESPACE, Stack

FILE = "services:\n  web: {image: 'demo', networks: [net], environment: {B: 1, A: 2}}\nnetworks: {net: {}}\n"
NET = Network("n1", "shop_net", "overlay", "swarm", labels={NAMESPACE: "shop"})


def stack(text: str = FILE) -> Stack:
    def read(path: str) -> str | None:
        return None if path.endswith(".env") else text

    return load(["c.yml"], {}, "shop", "/nowhere", read).stack


def stored(spec: specs.ServiceSpec) -> Service:
    """As the daemon has it: in its canonical form, networks by id, the image pinned."""
    task = spec.task_template
    container = msgspec.structs.replace(task.container_spec, image="demo:latest@sha256:" + "a" * 64)
    task = msgspec.structs.replace(
        task,
        container_spec=container,
        networks=[msgspec.structs.replace(task.networks[0], target="n1")],
        force_update=7,
        runtime="container",
    )
    mode = specs.Mode(replicated=specs.Replicated(1))
    return Service("s1", spec=msgspec.structs.replace(spec, task_template=task, mode=mode))


def verbs(changes: Changes) -> list[str]:
    return changes.lines()


def test_an_empty_cluster_gets_everything() -> None:
    assert verbs(plan(stack(), [], [])) == ["create network shop_net", "create service shop_web"]


def test_deploying_twice_changes_nothing() -> None:
    wanted = stack()
    assert verbs(plan(wanted, [stored(wanted.services[0].spec)], [NET])) == ["unchanged service shop_web"]


def test_always_resolving_sends_the_tag_again() -> None:
    wanted = stack()
    changes = plan(wanted, [stored(wanted.services[0].spec)], [NET], resolve="always")
    assert verbs(changes) == ["update service shop_web"]
    assert changes.services[0].spec.task_template.container_spec.image == "demo"


@pytest.mark.parametrize("change", ["demo:2", "B: 9", "networks: [net], hostname: h", "networks: [net], scale: 2"])
def test_a_difference_is_an_update_that_keeps_the_force_counter(change: str) -> None:
    current = stored(stack().services[0].spec)
    text = FILE.replace({"d": "'demo'", "B": "B: 1", "n": "networks: [net]"}[change[0]], change)
    (found,) = plan(stack(text), [current], [NET]).services
    assert (found.verb, found.spec.task_template.force_update) == ("update", 7)


def test_what_the_file_has_no_more_goes_only_when_pruned() -> None:
    old = Service("s2", spec=specs.ServiceSpec(name="shop_old"))
    assert "remove service shop_old" not in verbs(plan(stack(), [old], [NET]))
    assert "remove service shop_old" in verbs(plan(stack(), [old], [NET], prune=True))


def test_a_network_of_somebody_else_is_not_taken() -> None:
    with pytest.raises(Invalid, match="is not of stack shop"):
        plan(stack(), [], [Network("n1", "shop_net", "overlay", "swarm")])


def test_a_network_that_would_have_to_change_is_told() -> None:
    text = FILE.replace("net: {}", "net: {internal: true, attachable: true}")
    with pytest.raises(Invalid, match="exists with other internal and attachable"):
        plan(stack(text), [], [NET])
