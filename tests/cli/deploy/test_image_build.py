"""How buildah is called for a `build` section."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.command_errors import Failed
from cli.deploy.image_build import command, tagged
from compose.model.project import Build, File, FileUse, Ulimit
from tests.cli.conftest import Engine, Run


def test_a_section_becomes_arguments() -> None:
    section = Build(
        context="/src",
        dockerfile="/src/Dockerfile.web",
        target="final",
        args={"B": "2", "A": "1"},
        labels={"tier": "front"},
        additional_contexts={"base": "/base"},
        extra_hosts={"db": ["10.0.0.9"]},
        ulimits={"nofile": Ulimit(1024, 2048)},
        secrets=[FileUse("key"), FileUse("token", "t")],
        platforms=["linux/arm64"],
        no_cache=True,
        shm_size=1024,
    )
    secrets = {"key": File(file="/src/key"), "token": File(environment="TOKEN")}
    assert " ".join(command(section, "shop-web", secrets, pull=True)) == (
        "buildah build --layers --tag shop-web --pull=always --file /src/Dockerfile.web --target final "
        "--shm-size 1024b --build-arg A=1 --build-arg B=2 --label tier=front --build-context base=/base "
        "--platform linux/arm64 --add-host db:10.0.0.9 --ulimit nofile=1024:2048 "
        "--secret id=key,src=/src/key --secret id=t,env=TOKEN --no-cache /src"
    )


def test_without_a_word_the_dockerfile_of_the_context_is_built_and_images_that_are_here_are_taken() -> None:
    assert command(Build(context="/src"), "web", {})[4:] == ["web", "--pull=false", "--file", "/src/Dockerfile", "/src"]
    remote = Build(context="https://example.com/web.git")
    assert command(remote, "web", {})[4:] == ["web", "--pull=false", "https://example.com/web.git"]


def test_a_dockerfile_in_the_compose_file_is_written_to_a_file() -> None:
    section = Build(context="/src", dockerfile_inline="FROM scratch")
    assert command(section, "web", {}, inline="/tmp/x")[-3:] == ["--file", "/tmp/x", "/src"]


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        (Build(context="/src", privileged=True), "build.privileged is not supported by buildah"),
        (Build(context="/src", platforms=["linux/amd64", "linux/arm64"]), "build.platforms: an image for several"),
        (Build(context="/src", secrets=[FileUse("lost")]), "build.secrets: lost must be of a file"),
    ],
)
def test_what_cannot_be_done_is_told(section: Build, sentence: str) -> None:
    with pytest.raises(Failed, match=sentence):
        command(section, "web", {})


@pytest.mark.parametrize(
    ("image", "full"), [("web", "web:latest"), ("web:1", "web:1"), ("reg:5000/web", "reg:5000/web:latest")]
)
def test_a_tag_is_said(image: str, full: str) -> None:
    assert tagged(image) == full


BUILDAH = """#!/bin/sh
echo "$@" >>"$LOG"
case "$1" in
push) for last; do :; done
      path=${last#docker-archive:}; printf archive >"${path%%:*}";;
build) [ ! -e "$FAIL" ] || { echo "no such stage" >&2; exit 3; };;
esac
"""


def test_what_is_built_is_loaded_into_the_host(argosy: Run, engine: Engine, tmp_path: Path) -> None:
    engine.answers["POST /images/load"] = b'{"stream":"Loaded image: shop-web:latest\\n"}\n'
    (tmp_path / "here" / "compose.yml").write_text("services: {web: {build: .}, db: {image: db}}\n")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "buildah").write_text(BUILDAH)
    (tools / "buildah").chmod(0o755)
    extra = {"PATH": f"{tools}:{os.environ['PATH']}", "LOG": str(tmp_path / "log"), "FAIL": str(tmp_path / "fail")}
    done = argosy("stack", "build", "-c", "compose.yml", "shop", **extra)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Loaded image: shop-web:latest" in done.stdout
    assert engine.sent("POST", "/images/load").body == b"archive"
    assert [line.split()[0] for line in (tmp_path / "log").read_text().splitlines()] == ["build", "push"]

    (tmp_path / "fail").touch()
    done = argosy("stack", "build", "-c", "compose.yml", "shop", **extra)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "no such stage",
        "Error: service web could not be built: buildah ended with code 3 (its words are above)",
    ]
