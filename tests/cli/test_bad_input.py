# ruff: noqa: E501  (a row is a row)
"""Bad input: the exit code and the sentence. Never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Engine, Run

# arguments → exit code, what stderr ends with
ROWS: list[tuple[str, int, str]] = [
    ("stak ls", 2, "Error: there is no command 'stak'; did you mean 'stack'?"),
    ("service crate web", 2, "Error: there is no command 'crate'; did you mean 'create'?"),
    ("service create", 2, "Error: Missing argument 'IMAGE'."),
    ("service create --replicas many web", 2, "Error: Invalid value for '--replicas': 'many' is not a valid integer range."),
    ("service create --publish http web", 2, "8080:80\" or \"53:53/udp\""),
    ("service create --publish 127.0.0.1:80:80 web", 2, "it cannot be bound to 127.0.0.1 alone"),
    ("service create --mount type=bind,target=/x web", 2, "Error: --mount: 'type=bind,target=/x' is a bind mount without source="),
    ("service create --mount type=nfs,target=/x web", 2, "Error: --mount: type 'nfs' is not one of bind, volume, tmpfs"),
    ("service create --mount type=volume,targt=/x web", 2, "Error: --mount: 'targt' is not an option of a mount"),
    ("service create --limit-memory lots web", 2, "Error: --limit-memory: 'lots' is not a size such as \"512m\""),
    ("service create --limit-cpu half web", 2, "Error: --limit-cpu: 'half' is not a number of CPUs"),
    ("service create --update-delay soon web", 2, "Error: --update-delay: 'soon' is not a duration such as \"1m30s\""),
    ("service create --mode global --replicas 3 web", 2, "Error: --replicas is not for --mode global: it has one task on every node"),
    ("service create --max-concurrent 3 web", 2, "Error: --max-concurrent is for --mode replicated-job"),
    ("service create --placement-pref zone web", 2, "Error: --placement-pref: 'zone' is not of the form \"spread=node.labels.NAME\""),
    ("service create --ulimit nofile web", 2, "Error: --ulimit: 'nofile' is not of the form \"NAME=SOFT[:HARD]\""),
    ("service create --no-healthcheck --health-cmd x web", 2, "Error: --no-healthcheck goes with none of the --health flags"),
    ("service create --env-file nowhere web", 2, "Error: --env-file nowhere: No such file or directory"),
    ("service scale web", 2, "Error: 'web' is not of the form SERVICE=REPLICAS"),
    ("service ls --filter name", 2, "Error: --filter 'name' is not of the form NAME=VALUE"),
    ("service ls --format {{.Nam}}", 2, "there are .ID, .Name, .Mode, .Replicas, .Image, .Ports"),
    ("service ls --format {{.Name", 0, ""),
    ("service logs --tail some web", 2, "Error: --tail 'some' is neither a number nor all"),
    ("service inspect nowhere", 1, "Error: there is no service nowhere"),
    ("service rm nowhere elsewhere", 1, "Error: service nowhere not found\nservice elsewhere not found"),
    ("join-token boss", 2, "Error: Invalid value for '{worker|manager}': 'boss' is not one of 'worker', 'manager'."),
    ("join 10.0.0.1:2377", 2, "Error: Missing option '--token'."),
    ("init --default-addr-pool-mask-length 40", 2, "40 is not in the range 8<=x<=29."),
    ("stack deploy shop", 2, "docker-compose.yml here"),
    ("stack deploy -c nowhere.yml shop", 1, "Error: nowhere.yml:1:1: there is no such file"),
    ("stack deploy -c bad.yml shop", 1, "Error: bad.yml:2:15: services.web.imge: there is no attribute 'imge' here; did you mean 'image'?"),
    ("stack deploy -c good.yml", 1, "Error: the stack has no name; give one as an argument, or `name:` in the compose file"),
    ("stack deploy -c good.yml b@d", 1, "Error: 'b@d' is no name of a stack: letters, digits, - and _ between them"),
    ("stack deploy --detach -c waits.yml shop", 1, "Error: web waits for db (service_healthy), which needs this command to wait: leave --detach out"),
    ("stack deploy -c external.yml shop", 1, "Error: network proxy is external and does not exist; create it first"),
    ("stack services nowhere", 1, "Error: there is no stack 'nowhere'"),
    ("network create --ip-range 10.0.0.0/25 net", 2, "Error: every --ip-range and --gateway needs a --subnet that it is in"),
    ("node update --label-add =x n1", 2, "Error: --label-add: '=x' is not of the form KEY=VALUE"),
    ("image load -i nowhere.tar", 2, "Error: --input nowhere.tar: No such file or directory"),
    ("image pull x/UPPER", 1, "the repository name must be lowercase"),
    ("image pull nothing", 1, "Error: no such image: nothing"),
]  # fmt: skip

FILES = {
    "good.yml": "services: {web: {image: web}}\n",
    "bad.yml": "services:\n  web: {imge: web, image: web}\n",
    "waits.yml": "services:\n  db: {image: db}\n  web: {image: web, depends_on: {db: {condition: service_healthy}}}\n",
    "external.yml": "services: {web: {image: web, networks: [proxy]}}\nnetworks: {proxy: {external: true}}\n",
}
SERVICE = {"ID": "s1", "Spec": {"Name": "web", "Mode": {"Replicated": {"Replicas": 1}}}}


@pytest.mark.parametrize(("line", "code", "sentence"), ROWS, ids=[row[0] for row in ROWS])
def test_bad_input_ends_with_one_sentence(
    line: str, code: int, sentence: str, argosy: Run, engine: Engine, tmp_path: Path
) -> None:
    engine.answers = {
        r"GET /(services|networks|tasks|nodes)": [],
        r"GET /services/(.*)": (404, {"message": "no such service"}),
        r"DELETE /services/(.*)": lambda r: (404, {"message": f"service {r.path.split('/')[-1]} not found"}),
        r"GET /nodes/n1": {"ID": "n1", "Spec": {"Role": "worker", "Availability": "active"}},
        r"GET /services": lambda r: [] if r.filters else [SERVICE],
        r"POST /images/create": b'{"status":"Pulling"}\n{"error":"no such image: nothing"}\n',
    }
    for name, text in FILES.items():
        (tmp_path / "here" / name).write_text(text)
    done = argosy(*line.split())
    assert done.stderr.strip().endswith(sentence)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_a_missing_socket_is_told(argosy: Run) -> None:
    done = argosy("service", "ls", ARGOSY_HOST="unix:///nowhere/argosy.sock")
    assert done.returncode == 1
    assert done.stderr == (
        "Error: cannot reach argosyd at unix:///nowhere/argosy.sock: is it running? (No such file or directory)\n"
    )


@pytest.mark.parametrize("host", ["nonsense", "ssh://x", "tcp://nohost"])
def test_an_address_that_is_none_is_told(host: str, argosy: Run) -> None:
    done = argosy("-H", host, "service", "ls")
    assert (done.returncode, "is no address of a daemon" in done.stderr) == (1, True)


def test_what_the_daemon_refuses_is_told_in_its_words(argosy: Run, engine: Engine) -> None:
    engine.answers["GET /services"] = (503, {"message": "This node is not a swarm manager."})
    done = argosy("service", "ls")
    assert (done.returncode, done.stderr) == (1, "Error: This node is not a swarm manager.\n")


def test_an_answer_that_is_no_json_is_told(argosy: Run, engine: Engine) -> None:
    engine.answers["GET /services"] = b"<html>"
    done = argosy("service", "ls")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: argosyd answered with something that is not understood")
