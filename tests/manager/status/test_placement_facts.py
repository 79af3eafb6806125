"""The remedy for each of the scheduler's reasons names the service's own values."""

from __future__ import annotations

import pytest

from api.reasons.reason import Code, reason
from api.reasons.remedies import remedy
from api.service.placement import Placement
from api.service.resources import DiscreteResource, GenericResource, Reservations
from api.service.service_spec import ServiceSpec
from api.states import Availability, NodeState
from manager.status.placement_facts import with_facts
from manager.store.state import State
from tests import make

STATE = make.state(
    make.node("n1", labels={"disk": "hdd"}),
    make.node("n2", state=NodeState.DOWN),
    make.node("n3", availability=Availability.DRAIN),
)


def advice_on(state: State, spec: ServiceSpec, *codes: Code) -> str:
    """The remedy when each of these filters refused a node."""
    why = reason(Code.NO_SUITABLE_NODE, *(reason(code, nodes=1) for code in codes))
    return remedy(with_facts(state, spec, why))


@pytest.mark.parametrize(
    ("fields", "code", "advice"),
    [
        ({"constraints": ["node.role == worker", "node.labels.disk == ssd"]}, Code.CONSTRAINTS_NOT_SATISFIED,
         "change the constraints (node.labels.disk == ssd), or label a node:"
         " `argosy node update --label-add disk=ssd NODE`"),
        ({"reserve": Reservations(500_000_000, 1 << 30, [GenericResource(None, DiscreteResource("gpu", 2))])},
         Code.INSUFFICIENT_RESOURCES,
         "reserve less than 0.5 CPUs, 1 GiB of memory, 2 gpu, stop something, or add a node: `argosy node ls`"),
        ({"ports": [make.port(53, mode="host", protocol="udp")]}, Code.HOST_PORT_IN_USE,
         "publish another port than 53/udp, free it, or publish through the mesh (mode ingress)"),
        ({"placement": Placement(max_replicas=2)}, Code.MAX_REPLICAS_PER_NODE,
         "raise the maximum per node (it is 2): `argosy service update --replicas-max-per-node 3 web`, or add a node"),
        ({}, Code.NODE_UNAVAILABLE,
         "start a node or set it active: `argosy node update --availability active NODE` (n2 is down, n3 is drained)"),
        ({}, Code.UNSUPPORTED_PLATFORM, "use an image built for these machines, or add a node of its platform"),
    ],
)  # fmt: skip
def test_the_advice_names_what_was_asked_for(fields: dict[str, object], code: Code, advice: str) -> None:
    assert advice_on(STATE, make.spec(**fields), code) == advice  # type: ignore[arg-type]


def test_several_reasons_have_several_answers() -> None:
    spec = make.spec(placement=Placement(max_replicas=1))
    assert advice_on(STATE, spec, Code.MAX_REPLICAS_PER_NODE, Code.NODE_UNAVAILABLE).count("; or ") == 1


def test_without_a_reason_it_is_to_be_waited_for_if_any_node_could_do_it() -> None:
    waits = reason(Code.WAITING_FOR_NODE)
    assert remedy(with_facts(STATE, make.spec(), waits)) == "wait a moment"
    assert "no node that is ready" in remedy(with_facts(make.state(), make.spec(), waits))
    assert "no node that is ready" in advice_on(make.state(), make.spec())
