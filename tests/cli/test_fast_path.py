"""The quick answers are the slow ones, word for word."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from click.testing import CliRunner

from cli.fast_path import WIDTH, answer, help_text
from cli.root_command import cli
from tests.cli.conftest import Engine, Run

SERVICES: list[dict[str, Any]] = [
    {"ID": "s" * 25, "Spec": {"Name": "web", "Mode": {"Replicated": {"Replicas": 2}},
     "TaskTemplate": {"ContainerSpec": {"Image": "web:1@sha256:1"}, "Placement": {"MaxReplicas": 1}}},
     "Endpoint": {"Ports": [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "ingress"},
                            {"Protocol": "tcp", "TargetPort": 81, "PublishedPort": 81, "PublishMode": "host"}]},
     "ServiceStatus": {"RunningTasks": 1, "DesiredTasks": 2}},
    {"ID": "t" * 25, "Spec": {"Name": "all", "Mode": {"Global": {}}}, "ServiceStatus": {}},
    {"ID": "u" * 25, "Spec": {"Name": "job", "Mode": {"ReplicatedJob": {"TotalCompletions": 3}}},
     "ServiceStatus": {"CompletedTasks": 2, "RunningTasks": 1, "DesiredTasks": 1}},
    {"ID": "v" * 25, "Spec": {"Name": "each", "Mode": {"GlobalJob": {}}}, "ServiceStatus": {"DesiredTasks": 2}},
]  # fmt: skip
NODES = [
    {"ID": "n2", "Spec": {"Availability": "drain"}, "Description": {"Hostname": "w1"}, "Status": {"State": "down"}},
    {"ID": "n1", "Spec": {"Availability": "active"}, "Status": {"State": "ready"},
     "Description": {"Hostname": "m1", "Engine": {"EngineVersion": "0.1"}}, "ManagerStatus": {"Leader": True}},
]  # fmt: skip


@pytest.fixture
def cluster(engine: Engine) -> Engine:
    engine.answers = {
        "GET /services": SERVICES,
        "GET /nodes": NODES,
        "GET /info": {"Swarm": {"NodeID": "n1"}},
    }
    return engine


def test_the_help_is_clicks() -> None:
    assert help_text() == CliRunner().invoke(cli, ["--help"], prog_name="argosy", terminal_width=WIDTH).output


@pytest.mark.parametrize("question", ["service ls", "node ls"])
def test_a_list_is_the_one_of_the_whole_command_line(question: str, cluster: Engine, argosy: Run) -> None:
    quick = argosy(*question.split())
    slow = argosy(*question.split(), "--format", "table")
    assert (quick.returncode, quick.stderr, quick.stdout) == (0, "", slow.stdout)
    assert argosy("-H", f"unix://{cluster.socket}", *question.split(), ARGOSY_HOST="").stdout == quick.stdout


def test_services_are_shown_as_docker_does(cluster: Engine, argosy: Run) -> None:
    rows = [line.split("   ") for line in argosy("service", "ls").stdout.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells[1:] == [
        ["t" * 12, "all", "global", "0/0"],
        ["v" * 12, "each", "global job", "0/2 (0/2 completed)"],
        ["u" * 12, "job", "replicated job", "1/1 (2/3 completed)"],
        ["s" * 12, "web", "replicated", "1/2 (max 1 per node)", "web:1", "*:8080->80/tcp"],
    ]


def test_what_goes_wrong_is_left_to_the_whole_command_line(engine: Engine, argosy: Run) -> None:
    engine.answers["GET /services"] = (503, {"message": "This node is not a swarm manager."})
    done = argosy("service", "ls")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "Error: This node is not a swarm manager.\n")
    engine.answers["GET /services"] = b"<html>"
    assert "is not understood" in argosy("service", "ls").stderr


@pytest.mark.parametrize(
    "arguments", [[], ["service", "ls", "-q"], ["service"], ["-H", "tcp://h:1", "node", "ls"], ["--version"]]
)
def test_other_questions_are_not_its(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(arguments) is False
    assert capsys.readouterr().out == ""


def test_it_loads_next_to_nothing() -> None:
    import subprocess

    from tests.cli.conftest import ROOT

    heavy = {"click", "msgspec", "typing", "http", "email", "inspect", "socket"}
    script = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}]; import cli.main; sys.argv = ['argosy', '--help']; "
        f"cli.main.main(); print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
