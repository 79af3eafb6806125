"""How fast tasks get their nodes: the workloads of swarmkit's scheduler benchmark, and what a change costs afterwards.

    python -m tests.bench.scheduler [--quick] [--all] [--only W1] > result.json

Three layers, because a bare loop of decisions compared with swarmkit's whole benchmark would flatter us:

    a   one call of the planner on a state that is there; nothing is written
    b   swarmkit's scope: commit of the input to the store in memory, the reconcile loop, commit of the decisions, and
        an independent watcher that counts tasks seen ASSIGNED. swarmkit waits 50 ms for more changes; we do not wait
    c   the same on a real etcd on the loopback; the watcher is another process with a store of its own

W1 one-off tasks, W1c the same with a third of the nodes fit, W2 tasks of services, W2r the same with rich requirements,
W3 a change in a cluster that runs, W4 a node lost. W3 and W4 run all three planners.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from api.service.service_spec import ServiceSpec
from tests.bench import layers, workloads
from tests.bench.changes import measure_changes
from tests.bench.report import Row, show
from tests.bench.workloads import Shape

Spec = Callable[[], ServiceSpec]

ONE_OFF = {(1000, 1000): 8000.0, (1000, 10_000): 8000.0, (1000, 100_000): 8000.0, (5000, 100_000): 1400.0,
           (100_000, 1000): 37.0}  # fmt: skip
"""swarmkit's one-off placements/s by nodes and tasks, on a machine like this one."""
GROUPED = {1000: 20_000.0, 5000: 15_000.0, 100_000: 13_500.0}
BARE = 250_000.0
"""swarmkit's decisions/s, stores left out: 4 µs of its CPU for each task of a group at 1,000 nodes (BARE is of the
grouped path, so it stands beside W2 only)."""

QUICK = [(1000, 1000), (1000, 10_000)], [(1000, 1, 10_000), (1000, 100, 100)]
FULL = (
    [(1000, 1000), (1000, 10_000), (1000, 100_000), (5000, 100_000), (100_000, 1000)],
    [(1000, 1, 10_000), (1000, 100, 100), (1000, 1000, 10), (5000, 1, 100_000), (5000, 100, 1000),
     (100_000, 1, 100_000)],
)  # fmt: skip
REPEATS = 5
"""How often a small workload is placed; the best counts, as machines are rarely quiet."""
SMALL = 10_000
"""Tasks up to which a workload is small."""
MOST_KEYS = 150_000
"""Keys that a workload may write to etcd; larger ones are left to --all, for they take a minute each."""


async def placements(wanted: set[str], quick: bool, everything: bool) -> list[Row]:
    """W1 to W2r in their layers."""
    one_off, grouped = QUICK if quick else FULL
    rows: list[Row] = []
    for name, spec in (("W1", workloads.plain), ("W1c", workloads.constrained)):
        for nodes, tasks in one_off if name in wanted else ():
            theirs = ONE_OFF.get((nodes, tasks)) if name == "W1" else None
            rows += await _in_layers(name, Shape(nodes, tasks, 1), spec, theirs, everything)
    for name, spec in (("W2", workloads.plain), ("W2r", workloads.rich)):
        for shape in grouped if name in wanted else ():
            theirs = GROUPED[shape[0]] if name == "W2" else None
            rows += await _in_layers(name, Shape(*shape), spec, theirs, everything)
    return rows


async def _in_layers(name: str, shape: Shape, spec: Spec, theirs: float | None, everything: bool) -> list[Row]:
    title = f"{name} {shape}"
    tell(title)
    times = REPEATS if shape.tasks <= SMALL and shape.nodes <= SMALL else 1
    took = [layers.decisions(shape, spec()) for _ in range(max(2, times))]
    rows = [_row(title, "a", shape, took, "decisions/s", BARE if name == "W2" else None)]
    took = [await layers.in_memory(shape, spec()) for _ in range(times)]
    rows.append(_row(title, "b", shape, took, "placements/s", theirs))
    if everything or 3 * shape.nodes + shape.services + 2 * shape.tasks <= MOST_KEYS:
        rows.append(_row(title, "c", shape, [await layers.in_etcd(shape, spec())], "placements/s"))
    return rows


def _row(
    title: str, layer: str, shape: Shape, took: Sequence[layers.Took], unit: str, theirs: float | None = None
) -> Row:
    seconds, cpu = (min(one) for one in zip(*took, strict=True))
    per_cpu = shape.tasks / cpu
    details: dict[str, Any] = {"s": round(seconds, 3), "CPU s": round(cpu, 3), "per CPU s": round(per_cpu)}
    if theirs:
        details["ratio by CPU s"] = round(per_cpu / theirs, 1)
    return Row(title, layer, shape.tasks / seconds, unit, theirs, details=details)


def tell(what: str) -> None:
    """Progress, for whoever waits."""
    print(what, file=sys.stderr, flush=True)


async def run(wanted: set[str], quick: bool, everything: bool) -> None:
    """All that was asked for."""
    rows = await placements(wanted, quick, everything)
    if wanted & {"W3", "W4"}:
        rows += await measure_changes(quick, everything, tell)
    show(
        rows,
        {
            "counted": "tasks an independent watcher has seen ASSIGNED; the clock starts when the input transaction "
            "is complete, before its commit (layer a: around the planner's call)",
            "repeated": f"{REPEATS} times up to {SMALL} tasks and nodes, layer a twice at least; the best counts",
            "debounce": "none (swarmkit: 50 ms)",
            "one-off": "a task of a service of its own, whose revision with an empty spec is part of the input",
        },
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only small shapes")
    parser.add_argument("--all", action="store_true", help="also those that take minutes")
    parser.add_argument("--only", default="W1,W1c,W2,W2r,W3,W4", help="some workloads, separated by commas")
    options = parser.parse_args(arguments)
    asyncio.run(run(_names(options.only.split(",")), options.quick, options.all))


def _names(names: Iterable[str]) -> set[str]:
    return {name.strip() for name in names}


if __name__ == "__main__":
    main()
