"""The files and helpers in which the user's registry logins are found."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from api.registry_auth import HEADER, Login, login_of
from cli.command_errors import Failed
from cli.deploy.docker_logins import login_at
from tests.cli.conftest import Engine, Run

HELPER = """#!/bin/sh
read registry
case "$registry" in
helped.example.com) echo '{"Username": "h", "Secret": "s"}';;
token.example.com) echo '{"Username": "<token>", "Secret": "t"}';;
*) echo "credentials not found" >&2; exit 1;;
esac
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A user with docker's file, a credential helper, and podman's file."""
    docker = {
        "auths": {
            "https://index.docker.io/v1/": {"auth": "aHViOnB3"},
            "https://old.example.com": {"auth": "bzpw"},
            "id.example.com": {"auth": "", "identitytoken": "tok"},
        },
        "credHelpers": dict.fromkeys(("helped.example.com", "token.example.com", "none.example.com"), "test"),
    }
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(json.dumps(docker))
    (tmp_path / "auth.json").write_text('{"auths": {"podman.example.com": {"auth": "cDpw"}}}')
    (tmp_path / "docker-credential-test").write_text(HELPER)
    (tmp_path / "docker-credential-test").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return {"HOME": str(tmp_path), "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json"), "XDG_RUNTIME_DIR": str(tmp_path)}


@pytest.mark.parametrize(
    ("domain", "login"),
    [
        ("docker.io", Login("hub", "pw")),
        ("old.example.com", Login("o", "p")),
        ("id.example.com", Login(identitytoken="tok")),
        ("helped.example.com", Login("h", "s")),
        ("token.example.com", Login(identitytoken="t")),
        ("podman.example.com", Login("p", "p")),
        ("none.example.com", None),
        ("nowhere.example.com", None),
    ],
)
def test_a_login_is_found(home: dict[str, str], domain: str, login: Login | None) -> None:
    assert login_at(domain, home) == login


def test_a_file_that_cannot_be_read_is_named(home: dict[str, str]) -> None:
    Path(home["REGISTRY_AUTH_FILE"]).write_text("{")
    with pytest.raises(Failed, match=r"cannot read registry logins from .*auth.json"):
        login_at("podman.example.com", home)


@pytest.mark.parametrize("flags", [["--with-registry-auth"], []])
def test_it_is_sent_only_when_asked(flags: list[str], home: dict[str, str], argosy: Run, engine: Engine) -> None:
    engine.answers["POST /services/create"] = (201, {"ID": "s1"})
    done = argosy("service", "create", "-d", *flags, "podman.example.com/web", **home)
    assert (done.returncode, done.stderr) == (0, "")
    sent = login_of(engine.sent("POST", "/services/create").headers.get(HEADER, ""))
    assert sent == (Login("p", "p") if flags else None)


def test_a_stack_brings_the_login_of_each_image(home: dict[str, str], argosy: Run, engine: Engine) -> None:
    text = "services: {a: {image: podman.example.com/a, network_mode: host}, b: {image: demo, network_mode: host}}"
    (Path(home["HOME"]) / "here" / "compose.yml").write_text(text)
    engine.answers = {
        "GET /(services|networks|secrets|configs)": [],
        "POST /services/create": (201, {"ID": "s1"}),
        "POST /networks/create": (201, {"ID": "n1"}),
    }
    done = argosy("stack", "deploy", "-d", "--with-registry-auth", "-c", "compose.yml", "shop", **home)
    assert (done.returncode, done.stderr) == (0, "")
    created = [request for request in engine.asked if request.path == "/services/create"]
    sent = {request.json["Name"]: login_of(request.headers.get(HEADER, "")) for request in created}
    assert sent == {"shop_a": Login("p", "p"), "shop_b": Login("hub", "pw")}
