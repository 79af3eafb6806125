"""`stack build`: images made by buildah from a compose file's sections, run on all hosts without a registry."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.world import World

DOCKERFILE = """\
FROM scratch AS base
ADD busybox /bin/busybox
FROM base AS final
ARG WORD=unsaid
COPY --from=more note /note
RUN ["/bin/busybox", "sh", "-c", "echo $WORD > /word"]
CMD ["/bin/busybox", "sh", "-c", "/bin/busybox cat /word /note; exec /bin/busybox sleep 3600"]
FROM scratch AS unwanted
RUN ["/fails"]
"""
FILE = """\
services:
  web:
    build:
      context: src
      dockerfile: Dockerfile.web
      target: final
      args: {WORD: from-the-file}
      labels: {made: here}
      additional_contexts: {more: extra}
      tags: ["built-extra:2"]
      network: none
    stop_signal: SIGKILL
    deploy: {mode: global}
  inline:
    build:
      context: src
      dockerfile_inline: |
        FROM scratch
        ADD busybox /bin/busybox
        CMD ["/bin/busybox", "sleep", "3600"]
    image: built-inline:1
    stop_signal: SIGKILL
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A compose file and what it builds from; buildah keeps its layers beside it."""
    storage = tmp_path / "storage.conf"
    storage.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/graph"\nrunroot = "{tmp_path}/run"\n')
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(storage))
    (tmp_path / "src").mkdir()
    shutil.copy("/bin/busybox", tmp_path / "src" / "busybox")
    (tmp_path / "src" / "Dockerfile.web").write_text(DOCKERFILE)
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "note").write_text("from-the-context\n")
    (tmp_path / "compose.yml").write_text(FILE)
    return tmp_path / "compose.yml"


def test_what_is_built_runs_on_every_host(world: World, project: Path) -> None:
    world.argosy("stack", "build", "-c", str(project), "built")

    assert {"built-web", "built-extra", "built-inline"} <= set(world.argosy("image", "ls").split())
    assert '"made": "here"' in world.argosy("image", "inspect", "built-web")
    world.argosy("stack", "deploy", "-c", str(project), "built")
    assert {world.host_of(task) for task in world.tasks("built_web")} == set(world.hosts)
    said = world.until(lambda: (t := world.argosy("service", "logs", "built_web")).count("from-the-context") == 3 and t)
    assert said.count("from-the-file") == 3
    world.argosy("stack", "rm", "built")
