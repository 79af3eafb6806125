"""How long commands take, beside docker's: medians of many runs against one real HTTP API with services in it.

    python -m tests.bench.cli [--runs 20] [--services 5]

The aim: `argosy --help` and `argosy service ls` take at most twice the docker client's time. "python" is an interpreter
that does nothing, the least any of our commands can take. Runs of the two clients alternate, so that noise meets both.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.report import Row, show
from tests.manager.http.world import control_plane

QUESTIONS = (["--help"], ["service", "ls"], ["node", "ls"], ["service", "ps", "s0"], ["network", "ls"])
AIM = 2.0
"""Times docker's."""


def seconds(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Wall-clock time of one run, which must succeed."""
    start = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
    return time.perf_counter() - start


def compare(ours: Sequence[str], theirs: Sequence[str] | None, environment: Mapping[str, str], runs: int) -> list[Row]:
    """One row for each question."""
    nothing = statistics.median(seconds([sys.executable, "-c", "pass"], environment) for _ in range(runs))
    rows = []
    for question in QUESTIONS:
        times: dict[str, list[float]] = {"argosy": [], "docker": []}
        for _ in range(runs):
            times["argosy"].append(seconds([*ours, *question], environment))
            if theirs:
                times["docker"].append(seconds([*theirs, *question], environment))
        figure = statistics.median(times["argosy"]) * 1000
        docker = statistics.median(times["docker"]) * 1000 if theirs else None
        details = {"python": round(nothing * 1000, 1), "slowest": round(max(times["argosy"]) * 1000, 1)}
        if docker:
            details |= {"docker": round(docker, 1), "times docker's": round(figure / docker, 2)}
        rows.append(Row(f"argosy {' '.join(question)}", "command", round(figure, 1), "ms", details=details))
    return rows


async def measure(runs: int, services: int) -> list[Row]:
    """A control plane, the services, and then both clients."""
    docker, argosy = shutil.which("docker"), Path(sys.executable).with_name("argosy")
    ours = [str(argosy)] if argosy.exists() else [sys.executable, "-m", "cli.main"]
    with tempfile.TemporaryDirectory(prefix="argosy-bench-") as directory:
        async with control_plane(Path(directory), ours[0]) as world:
            environment = {**os.environ, "DOCKER_HOST": f"unix://{world.socket}", "HOME": directory}
            environment.pop("ARGOSY_HOST", None)
            for number in range(services):
                flags = ["service", "create", "-d", "--name", f"s{number}", "demo:1"]
                await asyncio.to_thread(seconds, [*ours, *flags], environment)
            return await asyncio.to_thread(compare, ours, [docker] if docker else None, environment, runs)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="runs of each command")
    parser.add_argument("--services", type=int, default=5, help="services there are")
    options = parser.parse_args(arguments)
    rows = asyncio.run(measure(options.runs, options.services))
    show(rows, {"benchmark": "cli", "runs": options.runs, "services": options.services, "aim": AIM})


if __name__ == "__main__":
    main()
