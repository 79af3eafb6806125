"""The next action on the way from what runs to what is wanted."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product

import msgspec
import pytest

from api.objects.kinds import NODE
from api.objects.wanted import Node
from api.states import Role
from api.wire.rpc import Credentials
from manager.security import ca
from manager.store.interface import Put
from node.membership.identity import Identity, Membership
from node.membership.membership_step import Action, Running, Wanted, step

MEMBERSHIP = Membership("n1", "c1", "10.0.0.1:2377", "10.0.0.1", managers=["10.0.0.1:7946"])
FIRST = (Put(NODE, "n1", Node("n1")),)


@cache
def credentials(role: Role, serial: int = 0) -> Credentials:
    """Real ones: the role is what the certificate says. `serial` makes others of the same role."""
    authority, key = ca.new_authority(1.7e9), ca.new_key()
    subject = ca.Subject("n1", role, "c1", ("10.0.0.1",) if role is Role.MANAGER else ())
    return Credentials(ca.sign(authority, ca.signing_request(key, ("10.0.0.1",)), subject, 1.7e9, 3600.0), key, b"CA")


def identity(role: Role = Role.WORKER, serial: int = 0, **fields: object) -> Identity:
    return Identity(msgspec.structs.replace(MEMBERSHIP, **fields), credentials(role, serial))


WORKER, MANAGER = identity(), identity(Role.MANAGER)
MOVED = identity(address="10.0.0.9")
RENEWED = identity(serial=1)
NEWS = identity(managers=["10.0.0.2:7946"])


@pytest.mark.parametrize(
    ("wanted", "running", "action"),
    [
        (Wanted(), Running(), Action.REST),
        (Wanted(WORKER), Running(), Action.START),
        (Wanted(MANAGER, True, FIRST), Running(), Action.FOUND),
        (Wanted(MANAGER, True, FIRST), Running(MANAGER, False, True), Action.START),
        (Wanted(MANAGER, True, FIRST), Running(MANAGER, True, True), Action.REST),
        (Wanted(MANAGER, True), Running(MANAGER, True), Action.MANAGE),
        (Wanted(MANAGER), Running(MANAGER, True), Action.RESUME),
        (Wanted(WORKER), Running(MANAGER, True, True), Action.RETIRE),
        (Wanted(WORKER), Running(MANAGER, True), Action.STOP),
        (Wanted(MANAGER), Running(WORKER, True), Action.STOP),
        (Wanted(MOVED), Running(WORKER, True), Action.STOP),
        (Wanted(RENEWED), Running(WORKER, True), Action.RENEW),
        (Wanted(NEWS), Running(WORKER, True), Action.NOTE),
        (Wanted(WORKER), Running(WORKER, True), Action.REST),
        (Wanted(), Running(WORKER), Action.LEAVE),
    ],
)
def test_the_next_action(wanted: Wanted, running: Running, action: Action) -> None:
    assert step(wanted, running) is action


def after(action: Action, wanted: Wanted, running: Running) -> Running:
    """What runs once an action is done."""
    match action:
        case Action.FOUND:
            return Running(wanted.identity, False, True)
        case Action.START:
            return replace(running, identity=wanted.identity, is_started=True)
        case Action.MANAGE | Action.RESUME:
            return replace(running, is_managing=True)
        case Action.RETIRE:
            return replace(running, is_managing=False)
        case Action.STOP | Action.LEAVE:
            return Running()
        case Action.RENEW | Action.NOTE:
            return replace(running, identity=wanted.identity)
    return running


IDENTITIES = (None, WORKER, MANAGER, MOVED, RENEWED, NEWS, identity(Role.MANAGER, address="10.0.0.9"))


def test_every_way_comes_to_rest_and_only_who_leaves_loses_its_containers() -> None:
    for target, now, started, managing in product(IDENTITIES, IDENTITIES, (False, True), (False, True)):
        wanted, running = Wanted(target), Running(now, started, managing) if now else Running()
        actions = []
        while (action := step(wanted, running)) is not Action.REST:
            actions.append(action)
            assert len(actions) <= 5, (wanted, actions)
            running = after(action, wanted, running)
        assert running.identity == target
        assert running.is_managing or target is None or target.role is Role.WORKER
        assert (Action.LEAVE in actions) == (target is None and now is not None)
