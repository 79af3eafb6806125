"""No request is lost on any way into a service, whatever happens: a short run of `python -m tests.bench.loss`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e import traffic
from tests.e2e.traffic import Traffic
from tests.e2e.world import World

SPARED = "w2"


@pytest.fixture(scope="module")
def load(world: World) -> Iterator[Traffic]:
    with Traffic(world, SPARED, replicas=3, outside=300, inside=100) as load:
        yield load


def test_no_request_is_lost_on_any_way_whatever_happens(world: World, load: Traffic) -> None:
    for act in (
        traffic.update("--update-order", "stop-first"),
        traffic.update("--update-order", "start-first", "--update-parallelism", "2"),
        traffic.scale(5),
        traffic.kill_daemon("w1"),
        traffic.scale(3),
        traffic.drain(SPARED),
        traffic.kill_leader,
    ):
        act(world)
        assert load.score().failures == []
    load.wait(500, 30)

    score = load.score()
    assert score.failures == []
    assert min(score.answered.values()) > 0, "every way was gone, with short and with kept connections"
