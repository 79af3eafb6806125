from __future__ import annotations

import json
from typing import Any

from api.codec import encode
from api.engine.common import VersionAnswer
from api.engine.swarm import (
    EngineAnswer,
    ManagerStatusAnswer,
    NodeAnswer,
    NodeDescriptionAnswer,
    NodeSpecAnswer,
    NodeStatusAnswer,
)
from cli.show.node_rows import COLUMNS, columns, node_rows


def node(id: str, message: str = "") -> dict[str, Any]:
    return {"ID": id, "Description": {"Hostname": id}, "Status": {"State": "ready", "Message": message}}


def test_what_does_not_work_on_a_host_is_in_the_table_where_there_is_such_a_thing() -> None:
    rows = node_rows([node("w1"), node("w2")], "w1")
    assert columns(rows) == COLUMNS
    rows = node_rows([node("w1"), node("w2", "networks: the kernel has no vxlan")], "w1")
    assert columns(rows) == {**COLUMNS, "Message": "MESSAGE"}
    assert [row["Message"] for row in rows] == ["", "networks: the kernel has no vxlan"]


def test_rows_show_what_the_schema_has() -> None:
    """Rows are made from plain JSON, so nothing else would notice a field that is called otherwise."""
    description = NodeDescriptionAnswer("w1", engine=EngineAnswer("1.2"))
    status = NodeStatusAnswer("ready", "a message", "10.0.0.1")
    manager = ManagerStatusAnswer(False, "reachable", "10.0.0.1:2377")
    found = NodeAnswer("n", VersionAnswer(), "", "", NodeSpecAnswer(), description, status, manager)

    assert node_rows([json.loads(encode(found))], "n") == [
        {
            "ID": "n *",
            "Self": "true",
            "Hostname": "w1",
            "Status": "Ready",
            "Availability": "Active",
            "ManagerStatus": "Reachable",
            "EngineVersion": "1.2",
            "Address": "10.0.0.1",
            "Message": "a message",
        }
    ]
