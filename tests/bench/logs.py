"""Lines of a log to a follower, a second: file → agent → gRPC → manager → HTTP → client, in a lab of one host.

`python -m tests.bench.logs [--lines N]` prints JSON. One container writes all lines; a follower reads them by
`GET /services/{id}/logs?follow=1` from when the last is written, then again while they are written.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import tempfile
import time
from pathlib import Path

from deploy.demo.image import build
from deploy.lab import lab as labs
from tests.e2e.world import IMAGE, World

LAB = "benchlogs"
END = b"the end"
SCRIPT = (
    "import sys, time\n"
    "for n in range({lines}): print('line', n, 'of a program that talks a lot')\n"
    "print('the end', flush=True); time.sleep(3600)"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=500_000)
    lines = parser.parse_args().lines
    labs.down(LAB)
    for _ in labs.up(LAB, managers=1, workers=0):
        pass
    try:
        world = World(labs.Lab.open(LAB))
        with tempfile.TemporaryDirectory() as scratch:
            archive = Path(scratch) / "image.tar"
            build(archive, IMAGE, Path(__file__).parent.parent / "e2e" / "app")
            world.argosy("image", "load", "-i", str(archive))
        flags = ["--detach", "--log-opt", "max-size=1g", "--name", "talker", "--no-resolve-image"]
        world.argosy("service", "create", *flags, IMAGE, "python3", "-c", SCRIPT.format(lines=lines))
        while world.argosy("service", "ps", "-q", "talker") == "":
            time.sleep(0.1)
        live = follow(world.socket(), lines)
        print(
            json.dumps({"lines": lines, "while_written_per_s": live, "afterwards_per_s": follow(world.socket(), lines)})
        )
    finally:
        labs.down(LAB)


def follow(path: str, lines: int) -> int:
    """Lines a second until the last has come; all of them must."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(path)
    connection.request("GET", "/services/talker/logs?follow=1&stdout=1")
    answer = connection.getresponse()
    begin, count, tail = time.perf_counter(), 0, b""
    while END not in tail:
        data = answer.read1(1 << 20)
        if not count:
            begin = time.perf_counter()
        count += data.count(b"\n")
        tail = (tail + data)[-200:]
    took = time.perf_counter() - begin
    assert count == lines + 1, f"{count} lines came, {lines + 1} were written"
    connection.close()
    return round(count / took)


if __name__ == "__main__":
    main()
