"""Devices by name: a host's CDI files, in the containers of services that compose files describe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.world import World

CDI = {
    "acme.yaml": """
cdiVersion: "0.6.0"
kind: acme.test/card
containerEdits: {env: [ACME=every]}
devices:
  - name: one
    containerEdits:
      env: [CARD=one]
      deviceNodes: [{path: /dev/acme0, hostPath: /dev/zero, permissions: r}]
      mounts: [{hostPath: /run/cdi, containerPath: /opt/acme, options: [ro, rbind]}]
      hooks: [{hookName: createRuntime, path: /bin/touch, args: [touch, /run/cdi-hook-ran]}]
  - {name: lost, containerEdits: {deviceNodes: [{path: /dev/lost, hostPath: /dev/no-such-device}]}}
""",
    "gpus.json": """
{"cdiVersion": "0.6.0", "kind": "acme.test/gpu", "devices": [
  {"name": "0", "containerEdits": {
     "env": ["GPU0=yes"], "deviceNodes": [{"path": "/dev/gpu0", "hostPath": "/dev/null"}]}},
  {"name": "1", "containerEdits": {
     "env": ["GPU1=yes"], "deviceNodes": [{"path": "/dev/gpu1", "hostPath": "/dev/null"}]}}]}
""",
}
SHOW = """\
    image: argosy-peer:1
    command:
      - python3
      - -c
      - |
        import os, time
        found = [name for name in ("acme0", "gpu0", "gpu1") if os.path.exists("/dev/" + name)]
        found += [f"{n}={os.environ[n]}" for n in ("ACME", "CARD", "GPU0", "GPU1") if n in os.environ]
        found += ["mount"] * os.path.exists("/opt/acme/acme.yaml")
        if "acme0" in found:
            found += ["read"] * (open("/dev/acme0", "rb").read(1) == b"\\0")
        print(*found, flush=True)
        time.sleep(3600)
    stop_signal: SIGKILL
"""
FILE = f"""
services:
  card:
{SHOW}
    devices: [acme.test/card=one]
  both:
{SHOW}
    gpus: all
  single:
{SHOW}
    deploy: {{resources: {{reservations: {{devices: [{{capabilities: [gpu], count: 1}}]}}}}}}
"""
SEEN = {
    "card": "acme0 ACME=every CARD=one mount read",
    "both": "gpu0 gpu1 GPU0=yes GPU1=yes",
    "single": "gpu0 GPU0=yes",
}


@pytest.fixture
def offered(world: World) -> Iterator[None]:
    """Devices on one worker, whose agent is up and has to notice; /run is each lab host's own."""
    world.inside("w1", "mkdir -p /run/cdi")
    for name, text in CDI.items():
        world.inside("w1", f"cat > /run/cdi/{name} <<'END'\n{text}\nEND")
    yield
    world.inside("w1", "rm -rf /run/cdi /run/cdi-hook-ran")
    world.argosy("stack", "rm", "cdi")


@pytest.mark.usefixtures("offered")
def test_containers_get_the_devices_they_name_on_the_host_that_has_them(world: World, tmp_path: Path) -> None:
    file = tmp_path / "compose.yml"
    file.write_text(FILE)
    world.argosy("stack", "deploy", "--patience", "60", "-c", str(file), "cdi")

    for service, line in SEEN.items():
        (task,) = world.tasks(f"cdi_{service}")
        assert world.host_of(task) == "w1"
        said = world.until(lambda: world.argosy("service", "logs", f"cdi_{service}"))  # noqa: B023
        assert said.partition("| ")[2].strip() == line
    world.inside("w1", "test -e /run/cdi-hook-ran")

    file.write_text(FILE.replace("acme.test/card=one", "acme.test/card=two"))
    said = world.argosy("stack", "deploy", "--patience", "1", "-c", str(file), "cdi", code=1)
    assert "no suitable node (acme.test/card=two not offered on 3 nodes)" in said

    file.write_text(FILE.replace("acme.test/card=one", "acme.test/card=lost"))
    said = world.argosy("stack", "deploy", "-c", str(file), "cdi", code=1)
    assert "device /dev/no-such-device, which a CDI file names, cannot be used: No such file" in said
