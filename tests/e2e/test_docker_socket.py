"""What proxies, dashboards and monitors do: read-only mounts of Docker's socket and of files, and the API inside."""

from __future__ import annotations

import json

import pytest

from tests.e2e.world import IMAGE, World

pytestmark = pytest.mark.lab

ASK = """
import http.client, json, os, socket, time
def get(path):
    connection = http.client.HTTPConnection("docker")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect("/var/run/docker.sock")
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()
ping, containers = get("/_ping"), get("/containers/json")
own = socket.gethostname()
print(json.dumps([ping, containers[0], own in {c["Id"][:12] for c in json.loads(containers[1])} or
    [c["Names"] for c in json.loads(containers[1])], open("/etc/machine").read(),
    os.access("/etc/machine", os.W_OK)]), flush=True)
was_gone = False
while True:
    time.sleep(0.2)
    try:
        get("/_ping")
    except OSError:
        was_gone = True
    else:
        if was_gone:
            print("again", flush=True)
        was_gone = False
"""


def test_a_read_only_docker_socket_answers_inside_a_container(world: World) -> None:
    world.inside("m1", "echo one file >/run/machine.conf")
    world.argosy(
        "service", "create", "--detach", "--name", "monitor", "--stop-signal", "SIGKILL",
        "--constraint", "node.role==manager",
        "--mount", "type=bind,source=/var/run/docker.sock,target=/var/run/docker.sock,readonly",
        "--mount", "type=bind,source=/run/machine.conf,target=/etc/machine,readonly",
        IMAGE, "python3", "-c", ASK,
    )  # fmt: skip
    try:
        world.until_running("monitor", 1)

        lines = world.until(lambda: world.argosy("service", "logs", "--raw", "monitor").splitlines())

        ping, status, own, text, writable = json.loads(lines[0])
        assert (ping, status, text, writable) == ([200, "OK"], 200, "one file\n", False)
        assert own is True or any("monitor" in name for names in own for name in names)

        world.inside("m1", "kill -KILL $(cat /run/argosy/argosyd.pid)")

        world.until(lambda: "again" in world.argosy("service", "logs", "--raw", "monitor").splitlines())
    finally:
        world.argosy("service", "rm", "monitor")
