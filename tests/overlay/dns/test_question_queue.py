"""Whoever reads and whoever is killed meanwhile: each question is answered."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from overlay.dns import question_queue

ROOT = str(Path(question_queue.__file__).parents[2])
# Reads from the socket that it inherits, and is killed with the first question in its hands.
KILLED = f"""
import os, signal, socket, sys
sys.path.insert(0, {ROOT!r})
from overlay.dns import question_queue
udp = socket.socket(fileno=int(sys.argv[1]))
question_queue.serve(udp, lambda data, client: os.kill(os.getpid(), signal.SIGKILL))
"""


def pair() -> tuple[socket.socket, socket.socket]:
    """A server's socket, and a client's that is connected to it."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    server.bind(("127.0.0.1", 0))
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(server.getsockname())
    return server, client


def test_who_is_killed_with_a_question_in_its_hands_leaves_it_to_the_next() -> None:
    server, client = pair()
    client.send(b"one")
    client.send(b"two")
    command = [sys.executable, "-I", "-S", "-c", KILLED, str(server.fileno())]
    assert subprocess.run(command, pass_fds=[server.fileno()], check=False).returncode == -signal.SIGKILL

    answered = []
    question_queue.serve(server, lambda data, _: answered.append(data))

    assert answered == [b"one", b"two"]
    server.close()
    client.close()


def test_two_that_read_at_the_same_time_miss_none() -> None:
    server, client = pair()
    answered: Counter[bytes] = Counter()
    over = threading.Event()

    def respond(data: bytes, _: tuple[str, int]) -> None:
        time.sleep(0)  # let the other one in
        answered[data] += 1

    def read() -> None:
        while not over.is_set():
            question_queue.serve(server, respond)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    asked = [b"%d" % number for number in range(3000)]
    end = time.monotonic() + 60
    for number, question in enumerate(asked):
        client.send(question)
        while len(answered) < number - 50 and time.monotonic() < end:  # the socket holds some 200
            time.sleep(0.001)
    while question_queue.first(server) is not None and time.monotonic() < end:
        time.sleep(0.01)
    over.set()
    for reader in readers:
        reader.join()

    assert [question for question in asked if not answered[question]] == []
    server.close()
    client.close()


def test_a_question_that_breaks_the_server_does_not_come_back() -> None:
    server, client = pair()
    client.send(b"poison")

    def respond(data: bytes, _: tuple[str, int]) -> None:
        raise ValueError(data)

    try:
        question_queue.serve(server, respond)
    except ValueError:
        pass
    assert question_queue.first(server) is None
    server.close()
    client.close()
