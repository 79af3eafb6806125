"""Suspicion: which nodes are probably dead, from the reports of all managers. Pure.

Each manager stores which hosts do not answer it (host_detector.py). The manager with a node's session alone judges the
node, as long as that manager itself is trusted: an agent that cannot reach it opens a session on another manager, which
then judges the node. A node without such a judge, for example after its manager has died, is suspected only if all
trusted managers agree. A manager is trusted unless most of the others suspect it. So one bad link, or one manager that
reaches nobody, makes no node suspected.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping

from api.objects.kinds import SUSPICIONS
from api.objects.observed import Suspicions
from manager.store.state import State


class Suspicion(enum.Enum):
    """What the managers assume about a node."""

    NONE = 0
    SUSPECTED = 1
    """It does not answer; it gets no new connections."""
    LOST = 2
    """It has not answered for long; its tasks are replaced on other nodes."""


def suspicion(state: State, node_id: str) -> Suspicion:
    """The suspicion of a node, by the managers that judge it."""
    rows = state.table(SUSPICIONS)
    if not any(node_id in row.suspected for row in rows.values()):
        return Suspicion.NONE
    judges = _judges(state, rows, node_id)
    if not judges or not all(node_id in rows[judge].suspected for judge in judges):
        return Suspicion.NONE
    if all(node_id in rows[judge].lost for judge in judges):
        return Suspicion.LOST
    return Suspicion.SUSPECTED


def is_suspected(state: State, node_id: str) -> bool:
    """Whether a node must get no new connections."""
    return suspicion(state, node_id) is not Suspicion.NONE


def judge_of(state: State, node_id: str) -> str:
    """Id of the manager that alone judges a node; "" when there is none."""
    session = state.sessions.get(node_id)
    if session is None or session.left or session.manager_id == node_id:
        return ""
    return session.manager_id if _is_trusted(state.table(SUSPICIONS), session.manager_id) else ""


def without_judge(state: State, me: str) -> Iterator[str]:
    """The nodes, without `me`, that no other manager judges alone; the manager `me` has to judge them, too."""
    rows, sessions = state.table(SUSPICIONS), state.sessions
    others = {id for id in rows if id != me and _is_trusted(rows, id)}
    for node_id in state.nodes:
        session = sessions.get(node_id)
        judge = session.manager_id if session is not None and not session.left else ""
        if node_id != me and (judge not in others or judge == node_id):
            yield node_id


def _judges(state: State, rows: Mapping[str, Suspicions], node_id: str) -> list[str]:
    if judge := judge_of(state, node_id):
        return [judge]
    return [id for id in rows if id != node_id and _is_trusted(rows, id)]


def _is_trusted(rows: Mapping[str, Suspicions], manager_id: str) -> bool:
    """Whether a manager has stored suspicions, and is not suspected by most of the others."""
    accusers = sum(manager_id in row.suspected for id, row in rows.items() if id != manager_id)
    return manager_id in rows and 2 * accusers <= len(rows) - 1
