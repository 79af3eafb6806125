"""The rows of `node ls`, from nodes as the daemon shows them (plain JSON)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # cli/fast_path.py has no time to load typing
    from collections.abc import Iterable, Mapping
    from typing import Any

    Plain = Mapping[str, Any]
    """A NodeAnswer (api/engine/swarm.py), or a part of it, as plain JSON: the schema loads too slowly."""

COLUMNS = {
    "ID": "ID",
    "Hostname": "HOSTNAME",
    "Status": "STATUS",
    "Availability": "AVAILABILITY",
    "ManagerStatus": "MANAGER STATUS",
    "EngineVersion": "ENGINE VERSION",
}


def columns(rows: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The columns of the table; a message column only if a node has a message."""
    return {**COLUMNS, "Message": "MESSAGE"} if any(row["Message"] for row in rows) else COLUMNS


def node_rows(nodes: Iterable[Plain], own: str, is_table: bool = True) -> list[dict[str, str]]:
    """Rows by hostname; in a table the node that answers (`own`) is marked with a star."""
    return [_row(node, own, is_table) for node in sorted(nodes, key=lambda node: (_hostname(node), str(node["ID"])))]


def _hostname(node: Plain) -> str:
    return str(node.get("Description", {}).get("Hostname", ""))


def _row(node: Plain, own: str, is_table: bool) -> dict[str, str]:
    manager = node.get("ManagerStatus")
    role = ("Leader" if manager.get("Leader") else manager.get("Reachability", "").capitalize()) if manager else ""
    status = node.get("Status", {})
    is_own = node["ID"] == own
    return {
        "ID": node["ID"] + (" *" if is_own and is_table else ""),
        "Self": "true" if is_own else "false",
        "Hostname": _hostname(node),
        "Status": status.get("State", "").capitalize(),
        "Availability": node.get("Spec", {}).get("Availability", "").capitalize(),
        "ManagerStatus": role,
        "EngineVersion": node.get("Description", {}).get("Engine", {}).get("EngineVersion", ""),
        "Address": status.get("Addr", ""),
        "Message": status.get("Message", ""),
    }
