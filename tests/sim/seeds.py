"""Many seeds at once, over all processors: `python -m tests.sim.seeds 2000`, or `… 500 1000` for those in between.

Each seed is a cluster of its own, so they run in processes of their own; what fails is told with its seed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

from tests.sim.cluster import Cluster

GROUP = 25


def run_seeds(first: int, end: int) -> str:
    """Run those seeds; what went wrong first, "" for nothing."""
    for seed in range(first, end):
        try:
            Cluster(seed).run()
        except Exception as error:
            return f"seed {seed}: {type(error).__name__}: {error}"
    return ""


@contextmanager
def running(first: int, end: int) -> Iterator[dict[int, Future[str]]]:
    """All groups of seeds under way: first seed → what comes of it."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        try:
            yield {at: pool.submit(run_seeds, at, min(at + GROUP, end)) for at in range(first, end, GROUP)}
        finally:
            pool.shutdown(cancel_futures=True)


def main(arguments: list[str]) -> int:
    """Run so many seeds and say which fail."""
    numbers = [int(text) for text in arguments] or [1000]
    first, end = numbers if len(numbers) == 2 else (0, numbers[0])
    failures = 0
    with running(first, end) as groups:
        for group in groups.values():
            if problem := group.result():
                failures += 1
                print(problem, flush=True)
    print(f"seeds {first} to {end - 1}: {failures or 'no'} groups of {GROUP} fail")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
