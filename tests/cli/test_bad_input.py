# ruff: noqa: E501  (a row is a row)
"""Bad input: the exit code and the sentence. Never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.service.mode import Mode, Replicated
from api.service.service_spec import ServiceSpec
from tests.cli.answers import a_manager, a_service
from tests.cli.conftest import Engine, Run

# arguments → exit code, what stderr ends with
ROWS: list[tuple[str, int, str]] = [
    ("stak ls", 2, "Error: there is no command 'stak'; did you mean 'stack'?"),
    ("service crate web", 2, "Error: there is no command 'crate'; did you mean 'create'?"),
    ("service create", 2, "Error: Missing argument 'IMAGE'."),
    ("service create --replicas many web", 2, "Error: Invalid value for '--replicas': 'many' is not a valid integer range."),
    ("service create --publish http web", 2, "8080:80\" or \"53:53/udp\""),
    ("service create --publish 1.2.3:80:80 web", 2, "Error: --publish: '1.2.3' is not an IP address"),
    ("service create --secret source=a,mod=1 web", 2, "Error: --secret: 'mod' is not known; known are source, target, uid, gid and mode"),
    ("service create --secret target=a web", 2, "Error: --secret: 'target=a' lacks source="),
    ("service create --secret source=a,mode=9 web", 2, "Error: --secret: mode '9' is not a file mode such as 0440"),
    ("service create --config source=a,uid=me web", 2, "Error: --config: uid 'me' is not a number"),
    ("service create --secret lost web", 1, "Error: there is no secret 'lost'; make it with `argosy secret create lost FILE`"),
    ("service create --depends-on db=ready web", 2, "is not of the form \"SERVICE[=started|healthy|completed[,optional]]\""),
    ("service create --schedule-active-deadline 10 web", 2, "Error: --schedule-active-deadline: '10' is not a duration such as \"1m30s\""),
    ("service create --schedule-missed-window soon web", 2, "Error: --schedule-missed-window: 'soon' is not a duration such as \"1m30s\""),
    ("service create --max-concurrent 0 --mode replicated-job web", 2, "Error: Invalid value for '--max-concurrent': 0 is not in the range x>=1."),
    ("service create --timeout soon web", 2, "Error: Invalid value for '--timeout': 'soon' is not a duration such as \"1m30s\""),
    ("service scale --timeout -1 web=2", 2, "Error: Invalid value for '--timeout': '-1' is not a duration such as \"1m30s\""),
    ("service rollback --to 0 web", 2, "Error: Invalid value for '--to': 0 is not in the range x>=1."),
    ("service explain nowhere", 1, "Error: no such service"),
    ("service history nowhere", 1, "Error: no such service"),
    ("stack explain nowhere", 1, "Error: there is no stack 'nowhere'"),
    ("stack plan -c external.yml shop", 1, "Error: network proxy is external and does not exist; create it first"),
    ("stack build -c good.yml shop lost", 1, "Error: there is no service lost; there are web"),
    ("stack build -c good.yml shop web", 1, "Error: service web has no `build`"),
    ("stack build -c built.yml shop", 1, "Error: building needs buildah, which is not installed here: install the package `buildah`, or build the image elsewhere and load it with `argosy image load`"),
    ("stack rm nowhere", 1, "Error: there is no stack 'nowhere'"),
    ("node update --wait --availability active n1", 2, "Error: --wait goes with --availability drain"),
    ("node promote nowhere n1", 1, "Error: node nowhere not found"),
    ("events --since soon", 2, "Error: --since 'soon' is neither a time nor a duration"),
    ("events --filter type", 2, "Error: --filter 'type' is not of the form NAME=VALUE"),
    ("volume create --opt =x data", 2, "Error: --opt: '=x' is not of the form KEY=VALUE"),
    ("volume rm nowhere", 1, "Error: no such volume"),
    ("service create --mount type=bind,target=/x web", 2, "Error: --mount: 'type=bind,target=/x' is a bind mount without source="),
    ("service create --mount type=nfs,target=/x web", 2, "Error: --mount: type 'nfs' is not supported by Argosy; bind, volume, tmpfs are"),
    ("service create --isolation hyperv web", 2, "Error: --isolation is not supported by Argosy: it is for Windows containers"),
    ("service update --memory-swap 1g web", 2, "Error: --memory-swap is not supported by Argosy: a compose file can say it (`memswap_limit`, `mem_swappiness`)"),
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
    ("service ls --format {{.Nam}}", 2, "there is .ID, .Image, .Mode, .Name, .Ports, .Replicas"),
    ("service ls --format {{.Name", 2, "an action is not closed; '}}' is missing"),
    ("service logs --tail some web", 2, "Error: --tail 'some' is neither a number nor all"),
    ("service inspect nowhere", 1, "Error: there is no service nowhere"),
    ("service rm nowhere elsewhere", 1, "Error: service nowhere not found\nservice elsewhere not found"),
    ("join-token boss", 2, "Error: Invalid value for '{worker|manager}': 'boss' is not one of 'worker', 'manager'."),
    ("join 10.0.0.1:2377", 2, "Error: Missing option '--token'."),
    ("init --default-addr-pool-mask-length 40", 2, "40 is not in the range 8<=x<=29."),
    ("stack deploy shop", 1, "there is no compose file here; it is called compose.yaml or compose.yml or docker-compose.yml"),
    ("stack deploy -c nowhere.yml shop", 1, "Error: nowhere.yml:1:1: there is no such file"),
    ("stack deploy -c bad.yml shop", 1, "Error: bad.yml:2:15: services.web.imge: there is no attribute 'imge' here; did you mean 'image'?"),
    ("stack deploy -c good.yml b@d", 1, "Error: 'b@d' is no name of a stack: letters, digits, - and _ between them"),
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
    "built.yml": "services: {web: {image: web, build: .}}\n",
    "external.yml": "services: {web: {image: web, networks: [proxy]}}\nnetworks: {proxy: {external: true}}\n",
}
SERVICE = a_service("s1", ServiceSpec("web", mode=Mode(replicated=Replicated(1))))


@pytest.mark.parametrize(("line", "code", "sentence"), ROWS, ids=[row[0] for row in ROWS])
def test_bad_input_ends_with_one_sentence(
    line: str, code: int, sentence: str, argosy: Run, engine: Engine, tmp_path: Path
) -> None:
    engine.answers = {
        r"GET /(services|networks|tasks|nodes|secrets|configs)": [],
        r"GET /services/(.*)": (404, {"message": "no such service"}),
        r"DELETE /services/(.*)": lambda r: (404, {"message": f"service {r.path.split('/')[-1]} not found"}),
        r"GET /argosy/v1/services/.*": (404, {"message": "no such service"}),
        r"GET /nodes/(.*)": lambda r: (404, {"message": f"node {r.path.split('/')[-1]} not found"}),
        r"POST /nodes/n1/update": None,
        r"DELETE /volumes/(.*)": (404, {"message": "no such volume"}),
        r"GET /nodes/n1": a_manager("n1", "m1", {}),
        r"GET /services": lambda r: [] if r.filters else [SERVICE],
        r"POST /images/create": b'{"status":"Pulling"}\n{"error":"no such image: nothing"}\n',
    }
    for name, text in FILES.items():
        (tmp_path / "here" / name).write_text(text)
    # where there is no buildah
    done = argosy(*line.split(), **({"PATH": str(tmp_path)} if line.startswith("stack build") else {}))
    assert done.stderr.strip().endswith(sentence)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_a_missing_socket_is_told(argosy: Run) -> None:
    done = argosy("service", "ls", ARGOSY_HOST="unix:///nowhere/argosy.sock")
    assert done.returncode == 1
    assert done.stderr == (
        "Error: cannot reach argosyd at unix:///nowhere/argosy.sock: is it running? (no such file or directory)\n"
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
