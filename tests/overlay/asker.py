"""Asks for names in a container, without an end, and each question must be answered: nothing is asked twice."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

# Asks for each name over UDP, once and from a socket of its own each time, until its input ends; and for the first name
# over TCP, again when it is hung up on. Prints how often, and what was not answered as it should have been.
ASKER = """
import json, select, socket, struct, sys, threading, time
asked, lost, slowest, threads = 0, [], 0.0, []
def question(name):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack("!6H", asked, 256, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, 1, 1)
def udp(data):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(20)
        s.connect(("127.0.0.11", 53))
        s.send(data)
        return s.recv(512)
def tcp(data):
    for _ in range(5):
        try:
            with socket.create_connection(("127.0.0.11", 53), 20) as s:
                s.sendall(struct.pack("!H", len(data)) + data)
                if answer := s.recv(512)[2:]:
                    return answer
        except ConnectionError:
            pass
    return b"hung up"
def ask(name, how, data):
    global slowest
    began = time.monotonic()
    try:
        answer = how(data)
        why = "" if answer[:2] == data[:2] and not answer[3] & 15 and answer[7] else answer.hex()
    except OSError as error:
        why = repr(error)
    took = time.monotonic() - began
    slowest = max(slowest, took)
    if why:
        lost.append(f"{name} {how.__name__} at {time.strftime('%X')}: {why} after {took:.1f} s")
print("up", flush=True)
while not select.select([sys.stdin], [], [], 0.02)[0]:
    for name, how in [*((name, udp) for name in sys.argv[1:]), (sys.argv[1], tcp)]:
        asked += 1
        threads.append(threading.Thread(target=ask, args=(name, how, question(name))))
        threads[-1].start()
for thread in threads:
    thread.join()
print(json.dumps([asked, lost, round(slowest, 2)]), flush=True)
"""


@contextmanager
def asking(enter: Sequence[str], *names: str) -> Iterator[None]:
    """Meanwhile names are asked for, by a process that the command `enter` starts in a container's network namespace;
    each question must be answered."""
    asker = subprocess.Popen(
        [*enter, sys.executable, "-c", ASKER, *names], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert asker.stdout
        assert asker.stdout.readline() == "up\n"
        yield
        time.sleep(0.5)
        said, _ = asker.communicate("", timeout=60)
        asked, lost, slowest = json.loads(said)
        print(f"{asked} asked, {len(lost)} lost, slowest after {slowest} s")
        assert asked > 10
        assert lost == []
    finally:
        asker.kill()
        asker.communicate()
