from __future__ import annotations

from typing import Any

from cli.show.node_rows import COLUMNS, columns, node_rows


def node(id: str, message: str = "") -> dict[str, Any]:
    return {"ID": id, "Description": {"Hostname": id}, "Status": {"State": "ready", "Message": message}}


def test_what_does_not_work_on_a_host_is_in_the_table_where_there_is_such_a_thing() -> None:
    rows = node_rows([node("w1"), node("w2")], "w1")
    assert columns(rows) == COLUMNS
    rows = node_rows([node("w1"), node("w2", "networks: the kernel has no vxlan")], "w1")
    assert columns(rows) == {**COLUMNS, "Message": "MESSAGE"}
    assert [row["Message"] for row in rows] == ["", "networks: the kernel has no vxlan"]
