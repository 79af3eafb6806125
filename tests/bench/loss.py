"""Requests lost while everything happens: updates, scaling, drains, killed daemons, a leader's death, a power cut.

Usage: python -m tests.bench.loss [--requests N] [--seconds S] [--rate R] [--lab NAME] [--keep]

Brings up a lab of three managers and two workers, and prints JSON. Short and kept connections go through the VIP and
through every door of the mesh, from the machine and from containers; those mix the VIP of one backend with direct
connections to it. Ends when so many requests were made and every event has happened; at last a worker's power is cut,
and what that costs is told apart.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy.demo.image import build
from deploy.lab import lab as labs
from tests.e2e import traffic
from tests.e2e.traffic import Score, Traffic
from tests.e2e.world import IMAGE, World

SPARED = "w2"
"""Drained now and then, and cut at last."""
DETECTION = 4.0
"""Seconds after a power cut from which no request may be lost any more."""
AFTER_CUT = 20.0

Event = tuple[str, Callable[[World], None]]
EVENTS: list[Event] = [
    ("update stop-first", traffic.update("--update-order", "stop-first", "--update-parallelism", "1")),
    ("update start-first", traffic.update("--update-order", "start-first", "--update-parallelism", "2")),
    ("scale up", traffic.scale(6)),
    ("kill a worker's argosyd", traffic.kill_daemon("w1")),
    ("scale down", traffic.scale(4)),
    ("drain a worker", traffic.drain(SPARED)),
    ("kill a manager's argosyd", traffic.kill_daemon("m3")),
    ("update stop-first, two at once", traffic.update("--update-order", "stop-first", "--update-parallelism", "2")),
    ("kill the leader", traffic.kill_leader),
]


def main() -> None:
    """Bring up a lab, measure, print, take it down."""
    parser = argparse.ArgumentParser(prog="tests.bench.loss")
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=1800.0, help="end after so many, whatever was reached")
    parser.add_argument("--rate", type=float, default=3000.0, help="requests per second that are aimed at, in all")
    parser.add_argument("--lab", default="loss")
    parser.add_argument("--keep", action="store_true", help="leave the lab as it is in the end")
    options = parser.parse_args()
    labs.down(options.lab)
    for line in labs.up(options.lab, managers=3, workers=2):
        note(line)
    world = World(labs.Lab.open(options.lab))
    try:
        with tempfile.TemporaryDirectory() as scratch:
            archive = Path(scratch) / "peer.tar"
            build(archive, IMAGE, Path(traffic.__file__).parent / "app")
            world.argosy("image", "load", "-i", str(archive))
        print(json.dumps(measure(world, options.requests, options.seconds, options.rate), indent=1))
    finally:
        if not options.keep:
            labs.down(options.lab)


def measure(world: World, requests: int, seconds: float, rate: float) -> dict[str, Any]:
    """The whole run."""
    began = time.monotonic()
    events: list[dict[str, Any]] = []
    with Traffic(world, SPARED, outside=rate / 2, inside=rate / 2 / (len(world.hosts) - 1), clear=False) as load:
        started = time.monotonic()
        turn = 0
        while turn < len(EVENTS) or load.score().asked < requests:
            if time.monotonic() - began > seconds:
                break
            events.append(happen(world, load, *EVENTS[turn % len(EVENTS)]))
            turn += 1
        before = load.score()
        lasted = time.monotonic() - started
        cut, after = power_cut(world, load)
    return report(before, after, cut, lasted, events)


def happen(world: World, load: Traffic, name: str, act: Callable[[World], None]) -> dict[str, Any]:
    """One event, and a second of calm after it."""
    began, before = time.monotonic(), load.score()
    act(world)
    time.sleep(1.0)
    after = load.score()
    event = {
        "event": name,
        "began": round(began, 3),
        "seconds": round(time.monotonic() - began, 1),
        "asked": after.asked - before.asked,
        "failed": after.failed - before.failed,
        "slow": after.slow - before.slow,
    }
    note(json.dumps(event))
    return event


def power_cut(world: World, load: Traffic) -> tuple[float, Score]:
    """Cut a worker's power under load."""
    cut = time.monotonic()
    world.lab.host(SPARED).kill()
    time.sleep(AFTER_CUT)
    return cut, load.score()


def report(before: Score, after: Score, cut: float, lasted: float, events: list[dict[str, Any]]) -> dict[str, Any]:
    """The run as JSON; "lost" has nothing of the power cut's first seconds, nor of the dead host's door."""
    during = [one for one in after.failures if one not in before.failures]
    apart = [one for one in during if one["way"] == SPARED or one["began"] <= cut + DETECTION]
    late = [one for one in during if one not in apart]
    others = [one for one in apart if one["way"] != SPARED]
    return {
        "benchmark": "loss",
        "machine": {"cores": os.cpu_count(), "kernel": platform.release()},
        "requests": after.asked,
        "seconds": round(lasted, 1),
        "per_second": round(before.asked / lasted),
        "lost": before.failed + len(late),
        "failures": [*before.failures[:100], *late[:100]],
        "answers_after_0.9_s": before.slow,
        "slowest": before.slowest,
        "late": before.late[:: max(1, len(before.late) // 20)],
        "power_cut": {
            "in_flight": len(others),
            "last_begun_seconds_after": round(max((one["began"] - cut for one in others), default=0.0), 2),
            "at_the_dead_door": len(apart) - len(others),
            "answers_after_0.9_s": after.slow - before.slow,
        },
        "answered": dict(after.answered),
        "events": events,
    }


def note(line: str) -> None:
    """To whoever watches."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
