"""What is advised for each of the scheduler's refusals names the service's own values."""

from __future__ import annotations

import pytest

from api.service.placement import Placement
from api.service.resources import DiscreteResource, GenericResource, Reservations
from api.states import Availability, NodeState
from manager.status.placement_facts import remedy
from tests import make

STATE = make.state(
    make.node("n1", labels={"disk": "hdd"}),
    make.node("n2", state=NodeState.DOWN),
    make.node("n3", availability=Availability.DRAIN),
)


@pytest.mark.parametrize(
    ("fields", "reason", "advice"),
    [
        ({"constraints": ["node.role == worker", "node.labels.disk == ssd"]},
         "no suitable node (scheduling constraints not satisfied on 1 node)",
         "change the constraints (node.labels.disk == ssd), or label a node:"
         " `argosy node update --label-add disk=ssd NODE`"),
        ({"reserve": Reservations(500_000_000, 1 << 30, [GenericResource(None, DiscreteResource("gpu", 2))])},
         "no suitable node (insufficient resources on 1 node)",
         "reserve less than 0.5 CPUs, 1 GiB of memory, 2 gpu, stop something, or add a node: `argosy node ls`"),
        ({"ports": [make.port(53, mode="host", protocol="udp")]},
         "no suitable node (host-mode port already in use on 1 node)",
         "publish another port than 53/udp, free it, or publish through the mesh (mode ingress)"),
        ({"placement": Placement(max_replicas=2)},
         "no suitable node (max replicas per node limit exceed)",
         "raise the maximum per node (it is 2): `argosy service update --replicas-max-per-node 3 web`, or add a node"),
        ({}, "no suitable node (2 nodes not available for new tasks)",
         "start a node or set it active: `argosy node update --availability active NODE` (n2 is down, n3 is drained)"),
        ({}, "no suitable node (unsupported platform on 1 node)",
         "use an image built for these machines, or add a node of its platform"),
    ],
)  # fmt: skip
def test_the_advice_names_what_was_asked_for(fields: dict[str, object], reason: str, advice: str) -> None:
    assert remedy(STATE, make.spec(**fields), reason) == advice  # type: ignore[arg-type]


def test_several_reasons_have_several_answers() -> None:
    reason = "no suitable node (max replicas per node limit exceed; 2 nodes not available for new tasks)"
    told = remedy(STATE, make.spec(placement=Placement(max_replicas=1)), reason)
    assert told.count("; or ") == 1


def test_without_a_reason_it_is_to_be_waited_for_if_any_node_could_do_it() -> None:
    assert remedy(STATE, make.spec(), "waits to be placed on a node") == "wait a moment"
    assert "no node that is ready" in remedy(make.state(), make.spec(), "no suitable node")
