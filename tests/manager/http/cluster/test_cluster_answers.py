from __future__ import annotations

from api.objects.decided import NodeDecision
from api.objects.observed import NodeDescription
from api.reasons.reason import Code, reason
from api.states import NodeState
from manager.http.cluster.cluster_answers import node_message

READY, DOWN = NodeDecision(NodeState.READY), NodeDecision(NodeState.DOWN, reason=reason(Code.AGENT_SILENT))
ILL = NodeDescription(address="192.0.2.1", troubles=["networks: no vxlan", "task web.1.x: broken"])


def test_a_node_says_what_does_not_work_on_it_while_it_is_heard() -> None:
    assert node_message(READY, ILL) == "networks: no vxlan; task web.1.x: broken"
    assert node_message(DOWN, ILL) == "its agent does not answer"
    assert node_message(READY, NodeDescription(address="192.0.2.1")) == ""
    assert node_message(None, None) == ""


def test_an_address_that_is_none_is_named() -> None:
    assert (
        node_message(READY, NodeDescription(address="x")) == "its address 'x' is of no use; no other host is told of it"
    )
