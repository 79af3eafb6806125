"""What commands ask the daemon for, and what they print; the daemon is canned."""

from __future__ import annotations

import json
import struct

from api.engine.tasks import TaskStatusAnswer
from api.service.service_spec import ServiceSpec
from cli.commands.cluster import relabelled
from tests.cli.answers import a_manager, a_service, a_swarm, a_task
from tests.cli.conftest import Engine, Run

NODE = a_manager("n1", "m1", {"old": "1"})
INFO = {"Swarm": {"NodeID": "n1", "ControlAvailable": True, "LocalNodeState": "active"}}


def cluster(engine: Engine) -> None:
    # the last pattern that fits counts
    engine.answers |= {
        "POST /.*": None,
        "POST /swarm/init": "n1",
        "GET /swarm": a_swarm("SWMTKN-1-w", "SWMTKN-1-m"),
        "GET /info": INFO,
        "GET /nodes": [NODE],
        "GET /nodes/n1": NODE,
    }


def test_init_prints_the_line_that_joins(argosy: Run, engine: Engine) -> None:
    cluster(engine)
    done = argosy(
        "init", "--advertise-addr", "10.0.0.1", "--default-addr-pool", "10.9.0.0/16", "--availability", "drain"
    )
    assert done.returncode == 0, done.stderr
    assert "    argosy join --token SWMTKN-1-w 10.0.0.1:2377\n" in done.stdout
    body = engine.sent("POST", "/swarm/init").json
    assert (body["AdvertiseAddr"], body["DefaultAddrPool"], body["SubnetSize"], body["Availability"]) == (
        "10.0.0.1", ["10.9.0.0/16"], 24, "drain",
    )  # fmt: skip


def test_join_and_leave(argosy: Run, engine: Engine) -> None:
    cluster(engine)
    assert argosy("join", "--token", "T", "10.0.0.1:2377").stdout == "This host joined the cluster as a manager.\n"
    body = engine.sent("POST", "/swarm/join").json
    assert (body["JoinToken"], body["RemoteAddrs"]) == ("T", ["10.0.0.1:2377"])
    assert argosy("leave", "--force").returncode == 0
    assert engine.sent("POST", "/swarm/leave").query == {"force": "1"}


def test_a_token_is_renewed_and_shown(argosy: Run, engine: Engine) -> None:
    cluster(engine)
    assert argosy("join-token", "-q", "--rotate", "manager").stdout == "SWMTKN-1-m\n"
    assert engine.sent("POST", "/swarm/update").query == {"version": "3", "rotateManagerToken": "1"}


def test_the_cluster_s_settings_are_changed_and_those_not_said_stay(argosy: Run, engine: Engine) -> None:
    cluster(engine)
    assert argosy("cluster", "update", "--rebalance", "--task-history-limit", "9").returncode == 0
    sent = engine.sent("POST", "/swarm/update")
    assert sent.query == {"version": "3"}
    # an empty part says nothing
    assert {name: part for name, part in sent.json.items() if part} == {
        "Labels": {"argosy.rebalance": "true"}, "Orchestration": {"TaskHistoryRetentionLimit": 9}
    }  # fmt: skip
    shown = json.loads(argosy("cluster", "inspect").stdout)
    assert (shown["ID"], "JoinTokens" in shown) == ("c", False)


def test_balance_is_switched_off_without_touching_other_labels() -> None:
    assert relabelled({"argosy.rebalance": "true", "site": "a"}, False) == {"site": "a"}
    assert relabelled({"argosy.rebalance": "true"}, None) == {"argosy.rebalance": "true"}


def test_nodes_are_listed_as_docker_does(argosy: Run, engine: Engine) -> None:
    cluster(engine)
    head, row = argosy("node", "ls").stdout.splitlines()
    assert head.split("   ")[0] == "ID"
    assert row.split() == ["n1", "*", "m1", "Ready", "Active", "Leader", "0.1.0"]
    assert argosy("node", "ls", "-q").stdout == "n1\n"
    assert argosy("node", "ls", "--format", "{{.Hostname}}:{{.Status}}").stdout == "m1:Ready\n"


def test_a_node_update_keeps_what_is_not_said(argosy: Run, engine: Engine) -> None:
    cluster(engine)
    assert argosy("node", "update", "--label-add", "zone=a", "self").returncode == 0
    sent = engine.sent("POST", "/nodes/n1/update")
    assert sent.query == {"version": "7"}
    assert sent.json == {"Labels": {"old": "1", "zone": "a"}, "Role": "manager", "Availability": "active"}


def test_an_image_is_streamed_from_standard_input(argosy: Run, engine: Engine) -> None:
    engine.answers["POST /images/load"] = b'{"stream":"Loaded image: demo:1\\n"}\n'
    archive = bytes(range(256)) * 20_000
    done = argosy("image", "load", stdin=archive)
    assert (done.returncode, done.stdout) == (0, "Loaded image: demo:1\n")
    assert engine.sent("POST", "/images/load").body == archive


def test_logs_are_taken_apart_and_named(argosy: Run, engine: Engine) -> None:
    details = b"com.docker.swarm.node.id=n1,com.docker.swarm.service.id=s1,com.docker.swarm.task.id=t1"
    frames = b"".join(
        struct.pack(">BxxxL", number, len(line)) + line
        for number, line in ((1, details + b" out\n"), (2, details + b" err\n"))
    )
    engine.answers |= {
        "GET /services/(web|s1)": a_service("s1", ServiceSpec("web")),
        "GET /tasks/t1": a_task("t1", TaskStatusAnswer("running"), service_id="s1", slot=2),
        "GET /nodes/n1": NODE,
        "GET /services/s1/logs": frames,
    }
    done = argosy("service", "logs", "--tail", "5", "web")
    assert (done.stdout, done.stderr) == ("web.2.t1@m1 | out\n", "web.2.t1@m1 | err\n")
    assert engine.sent("GET", "/services/s1/logs").query["tail"] == "5"


def test_containers_of_the_host_are_listed(argosy: Run, engine: Engine) -> None:
    engine.answers["GET /containers/json"] = [
        {
            "Id": "c" * 64,
            "Names": ["/web.1.t1"],
            "Image": "demo:1@sha256:x",
            "Command": "sleep",
            "Status": "Up 3 minutes",
        }
    ]
    _, row = argosy("ps").stdout.splitlines()
    assert row.split() == ["c" * 12, "demo:1", '"sleep"', "Up", "3", "minutes", "web.1.t1"]


def test_a_progress_stream_that_tells_an_error_fails(argosy: Run, engine: Engine) -> None:
    engine.answers["POST /images/create"] = b'{"errorDetail":{"message":"no route to registry"}}\n'
    done = argosy("image", "pull", "demo")
    assert (done.returncode, done.stderr) == (1, "Error: no route to registry\n")


def test_help_imports_nothing_heavy(argosy: Run) -> None:
    import subprocess
    import sys

    from tests.cli.conftest import ROOT

    libraries = {"aiohttp", "rich", "msgspec", "yaml", "grpc", "asyncio"}
    script = f"import sys, cli.root_command; print(sorted({libraries} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert argosy("--help").returncode == 0
