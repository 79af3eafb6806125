"""What a deploy would do, from values."""

from __future__ import annotations

import msgspec
import pytest

from api.engine.networks import NetworkAnswer
from api.engine.services import ServiceAnswer
from api.engine.stored_files import StoredFileAnswer
from api.errors import Invalid
from api.service import service_spec
from api.service.container import ConfigReference, ContainerSpec, FileTarget
from api.service.mode import EmptyMode, Mode, Replicated
from api.service.ports import EndpointSpec, PortConfig
from cli.deploy.deployment import with_ids
from cli.deploy.network_replacement import attached, detached
from compose.deploy.deploy_plan import DeployPlan, DeploySnapshot, Resolve, plan_deploy
from compose.load import load
from compose.model.stack import NAMESPACE, SHORT_NAME, Stack, StackFile, StackService
from tests.cli.answers import a_service, a_stored_file

FILE = "services:\n  web: {image: 'demo', networks: [net], environment: {B: 1, A: 2}}\nnetworks: {net: {}}\n"
NET = NetworkAnswer("shop_net", "n1", driver="overlay", scope="swarm", labels={NAMESPACE: "shop"})
DIGEST = "@sha256:" + "a" * 64


def stack(text: str = FILE) -> Stack:
    def read(path: str) -> str | None:
        return None if path.endswith(".env") else text

    return load(["c.yml"], {}, "shop", "/nowhere", read).stack


def stored(spec: service_spec.ServiceSpec, **fields: object) -> ServiceAnswer:
    """As the daemon has it: in its canonical form, networks by id, the image pinned."""
    task = spec.task_template
    container = msgspec.structs.replace(
        task.container_spec, image=f"{task.container_spec.image}:latest{DIGEST}", **fields
    )
    task = msgspec.structs.replace(
        task,
        container_spec=container,
        networks=[msgspec.structs.replace(target, target="n1") for target in task.networks],
        force_update=7,
        runtime="container",
    )
    mode = spec.mode if spec.mode.global_ else Mode(replicated=Replicated(1))
    return a_service(spec.name, msgspec.structs.replace(spec, task_template=task, mode=mode))


def compared(
    wanted: Stack, *services: ServiceAnswer, networks: tuple[NetworkAnswer, ...] = (NET,), prune: bool = False,
    resolve: Resolve = "changed", others: tuple[ServiceAnswer, ...] = (), **present: object,
) -> DeployPlan:  # fmt: skip
    there = DeploySnapshot(services=services, networks=networks, all_services=(*services, *others), **present)  # type: ignore[arg-type]
    return plan_deploy(wanted, there, prune=prune, resolve=resolve)


def test_an_empty_cluster_gets_everything() -> None:
    assert compared(stack(), networks=()).lines() == ["create network shop_net", "create service shop_web"]


def test_deploying_twice_changes_nothing() -> None:
    wanted = stack()
    changes = compared(wanted, stored(wanted.services[0].spec))
    assert changes.lines() == ["unchanged service shop_web"]
    assert changes.is_empty


def test_always_resolving_sends_the_tag_again() -> None:
    wanted = stack()
    changes = compared(wanted, stored(wanted.services[0].spec), resolve="always")
    assert changes.lines()[0] == "update service shop_web"
    assert changes.services[0].spec.task_template.container_spec.image == "demo"


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("'demo'", "demo:2", [
            "    Labels.com.docker.stack.image: demo → demo:2",
            f"    TaskTemplate.ContainerSpec.Image: demo:latest{DIGEST} → demo:2",
            "    restart: what its tasks are made of changes",
        ]),
        ("B: 1", "C: 9", [
            "    TaskTemplate.ContainerSpec.Env[B]: 1 → (none)",
            "    TaskTemplate.ContainerSpec.Env[C]: (none) → 9",
            "    restart: what its tasks are made of changes",
        ]),
        ("networks: [net]", "networks: [net], scale: 2", [
            "    Mode.Replicated.Replicas: 1 → 2",
            "    no task is restarted",
        ]),
        ("networks: [net]", "networks: [net], deploy: {placement: {constraints: [node.role == worker]}}", [
            '    TaskTemplate.Placement.Constraints: (none) → ["node.role == worker"]',
            "    no task is restarted, but those on hosts that do not meet the constraints move",
        ]),
    ],
)  # fmt: skip
def test_a_difference_is_told_field_by_field(old: str, new: str, lines: list[str]) -> None:
    current = stored(stack().services[0].spec)
    changes = compared(stack(FILE.replace(old, new)), current)
    assert changes.lines() == ["update service shop_web", *lines]
    assert changes.services[0].spec.task_template.force_update == 7


def _other(name: str, mode: str = "ingress", stack: str = "", host_ip: str = "") -> ServiceAnswer:
    ports = [PortConfig(target_port=80, published_port=8000, publish_mode=mode, host_ip=host_ip)]  # type: ignore[arg-type]
    labels = {NAMESPACE: stack} if stack else {}
    return a_service(f"id-{name}", service_spec.ServiceSpec(name, labels, endpoint_spec=EndpointSpec(ports=ports)))


def test_a_port_or_name_that_a_service_outside_the_files_has_is_refused_before_anything_is_done() -> None:
    wanted = stack(FILE.replace("networks: [net]", "networks: [net], ports: ['8000:80']"))
    with pytest.raises(Invalid, match=r"service shop_web: port 8000/tcp is already in use by service foreign$"):
        compared(wanted, others=(_other("foreign"),))
    with pytest.raises(Invalid, match=r"port 8000/tcp is already in use by service foreign$"):
        compared(wanted, others=(_other("foreign", mode="host"),))
    with pytest.raises(Invalid, match=r"service shop_web exists and is not of this stack"):
        compared(stack(), others=(_other("shop_web"),))
    left_behind = _other("shop_old", stack="shop")
    with pytest.raises(Invalid, match=r"in use by service shop_old"):
        compared(wanted, left_behind)
    assert "remove service shop_old" in compared(wanted, left_behind, prune=True).lines()


def test_a_port_that_others_have_at_another_address_of_the_hosts_is_free() -> None:
    wanted = stack(FILE.replace("networks: [net]", "networks: [net], ports: ['127.0.0.1:8000:80']"))
    assert "create service shop_web" in compared(wanted, others=(_other("foreign", host_ip="10.0.0.1"),)).lines()
    for taken in ("127.0.0.1", ""):
        with pytest.raises(Invalid, match=r"port 8000/tcp is already in use by service foreign$"):
            compared(wanted, others=(_other("foreign", host_ip=taken),))


def test_a_service_of_another_mode_is_made_anew() -> None:
    changes = compared(stack(FILE.replace("networks: [net]", "networks: [net], deploy: {mode: global}")),
                       stored(stack().services[0].spec))  # fmt: skip
    assert changes.lines() == [
        "replace service shop_web",
        "    Mode.Global: (none) → {}",
        "    Mode.Replicated.Replicas: 1 → (none)",
        "    restart: a service's mode cannot be changed; it is removed and created, and its history is lost",
    ]


def test_what_the_file_has_no_more_goes_only_when_pruned() -> None:
    old = a_service("s2", service_spec.ServiceSpec(name="shop_old"))
    line = NetworkAnswer("shop_line", "n2", driver="overlay", scope="swarm", labels={NAMESPACE: "shop"})
    other = NetworkAnswer("other", "n3", driver="overlay", scope="swarm", labels={NAMESPACE: "other"})
    networks = (NET, line, other)
    assert compared(stack(), old, networks=networks).lines() == ["create service shop_web"]
    assert compared(stack(), old, networks=networks, prune=True).lines() == [
        "remove service shop_old",
        "create service shop_web",
        "remove network shop_line",
    ]


# ── networks ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_network_of_somebody_else_is_not_taken() -> None:
    with pytest.raises(Invalid, match="is not of stack shop"):
        compared(stack(), networks=(NetworkAnswer("shop_net", "n1", driver="overlay", scope="swarm"),))


def test_a_network_that_changes_is_replaced_and_its_services_restart() -> None:
    text = FILE.replace("net: {}", "net: {internal: true, attachable: true}")
    changes = compared(stack(text), stored(stack().services[0].spec))
    assert changes.lines() == [
        "replace network shop_net",
        "    Internal: false → true",
        "    Attachable: false → true",
        "    stops until it is there again: shop_web",
        "restart service shop_web",
        "    restart: its network shop_net is replaced",
    ]


def test_a_network_with_services_of_others_on_it_is_not_replaced() -> None:
    text = FILE.replace("net: {}", "net: {internal: true}")
    guest = a_service(
        "s9",
        service_spec.ServiceSpec(
            name="guest", task_template=service_spec.TaskSpec(networks=[service_spec.NetworkTarget("n1")])
        ),
    )
    with pytest.raises(Invalid, match=r"shop_net would have to be replaced .* and guest of other stacks is on it"):
        compared(stack(text), others=(guest,))


def test_addresses_and_the_number_that_the_cluster_picked_are_no_difference() -> None:
    from api.engine.networks import IPAMAnswer
    from api.network.network_spec import IPAMConfig

    picked = msgspec.structs.replace(
        NET,
        ipam=IPAMAnswer(config=[IPAMConfig("10.0.1.0/24", "", "10.0.1.1")]),
        options={"com.docker.network.driver.overlay.vxlanid_list": "4097"},
    )
    assert "replace" not in " ".join(compared(stack(), networks=(picked,)).lines())
    changed = msgspec.structs.replace(picked, options={"com.docker.network.driver.mtu": "1400"})
    lines = compared(stack(), networks=(changed,)).lines()
    assert lines[:2] == ["replace network shop_net", "    Options.com.docker.network.driver.mtu: 1400 → (none)"]


def test_a_service_whose_network_is_replaced_is_stopped_and_put_back() -> None:
    spec = stored(stack().services[0].spec).spec
    stopped = detached(spec, ["n1"])
    assert (stopped.mode.replicated, stopped.task_template.networks) == (Replicated(0), [])
    assert attached(spec, {"n1": "shop_net"}).task_template.networks[0].target == "shop_net"
    everywhere = msgspec.structs.replace(spec, mode=Mode(global_=EmptyMode()))
    placement = detached(everywhere, ["n1"]).task_template.placement
    assert placement is not None
    assert placement.constraints == ["node.id==none"]


# ── depends_on ───────────────────────────────────────────────────────────────────────────────────────────────────

DEPENDS = """
services:
  db: {image: db}
  api: {image: api, depends_on: {db: {condition: service_healthy, restart: true}}}
  web: {image: web, depends_on: {api: {condition: service_started, restart: true}}}
  job: {image: job, depends_on: [db]}
"""


def test_what_depends_on_a_service_that_is_replaced_is_restarted_if_it_says_so() -> None:
    wanted = stack(DEPENDS)
    net = msgspec.structs.replace(NET, name="shop_default")
    current = [stored(item.spec) for item in wanted.services]
    assert compared(wanted, *current, networks=(net,)).is_empty
    changes = compared(stack(DEPENDS.replace("{image: db}", "{image: db, hostname: h}")), *current, networks=(net,))
    assert [(change.spec.name, change.verb, change.reasons) for change in changes.services] == [
        ("shop_db", "update", ()),
        ("shop_api", "restart", ("it depends on shop_db, whose tasks are replaced",)),
        ("shop_web", "restart", ("it depends on shop_api, whose tasks are replaced",)),
        ("shop_job", "unchanged", ()),
    ]
    assert [change.spec.task_template.force_update for change in changes.services] == [7, 8, 8, 7]


def test_scaling_a_dependency_restarts_nothing_else() -> None:
    wanted = stack(DEPENDS)
    net = msgspec.structs.replace(NET, name="shop_default")
    current = [stored(item.spec) for item in wanted.services]
    changes = compared(stack(DEPENDS.replace("{image: db}", "{image: db, scale: 3}")), *current, networks=(net,))
    assert [change.verb for change in changes.services] == ["update", "unchanged", "unchanged", "unchanged"]


# ── secrets and configs ──────────────────────────────────────────────────────────────────────────────────────────


def with_config(version: str) -> Stack:
    """A stack of one service with one config."""
    name = f"shop_conf-{version}"
    container = ContainerSpec(image="demo", configs=[ConfigReference(FileTarget("/conf"), config_name=name)])
    spec = service_spec.ServiceSpec(
        name="shop_web", labels={NAMESPACE: "shop"}, task_template=service_spec.TaskSpec(container_spec=container)
    )
    labels = {NAMESPACE: "shop", SHORT_NAME: "conf"}
    return Stack("shop", services=(StackService("web", spec),), configs=(StackFile("conf", name, b"x", labels),))


def config(version: str, short: str = "conf") -> StoredFileAnswer:
    return a_stored_file(f"c{version}", f"shop_{short}-{version}", {NAMESPACE: "shop", SHORT_NAME: short})


def test_a_config_with_other_content_is_a_new_one_and_its_users_roll() -> None:
    current = stored(with_config("1").services[0].spec, configs=[
        ConfigReference(FileTarget("/conf"), config_id="c1", config_name="shop_conf-1")
    ])  # fmt: skip
    assert compared(with_config("1"), current, files={"config": [config("1")]}).is_empty
    changes = compared(with_config("2"), current, files={"config": [config("1")]}, revisions=[current.spec])
    assert changes.lines() == [
        "create config shop_conf-2",
        "update service shop_web",
        "    TaskTemplate.ContainerSpec.Configs[/conf].ConfigName: shop_conf-1 → shop_conf-2",
        "    restart: what its tasks are made of changes",
    ]


def test_versions_that_no_kept_revision_uses_are_collected() -> None:
    present = [config("1"), config("2"), config("9", "gone")]
    changes = compared(with_config("2"), files={"config": present})
    assert [file.id for _, file in changes.old_files] == ["c1"]
    changes = compared(with_config("2"), files={"config": present}, prune=True)
    assert [file.id for _, file in changes.old_files] == ["c1", "c9"]
    kept = [with_config("1").services[0].spec]
    assert compared(with_config("2"), files={"config": present}, revisions=kept).old_files == ()


def test_a_version_goes_with_the_last_revision_that_uses_it_also_when_nothing_else_is_done() -> None:
    present = {"config": [config("1"), config("2")]}
    current = stored(with_config("2").services[0].spec, configs=[
        ConfigReference(FileTarget("/conf"), config_id="c2", config_name="shop_conf-2")
    ])  # fmt: skip
    assert compared(with_config("2"), current, files=present).lines() == [
        "unchanged service shop_web", "remove config shop_conf-1",
    ]  # fmt: skip
    first = with_config("1").services[0].spec
    # of the ten revisions that are kept the oldest falls out when there is a new one
    full = [*(current.spec for _ in range(9)), first]
    assert compared(with_config("2"), current, files=present, revisions=full).is_empty
    changed = compared(with_config("3"), current, files=present, revisions=full)
    assert [file.id for _, file in changed.old_files] == ["c1"]
    assert compared(with_config("3"), current, files=present, revisions=full[1:]).old_files == ()


def test_external_files_must_exist() -> None:
    wanted = Stack("shop", external_secrets=("password",))
    with pytest.raises(Invalid, match="secret password is external and does not exist; create it first"):
        compared(wanted)
    assert compared(wanted, files={"secret": [a_stored_file("s1", "password")]}).is_empty


def test_specs_are_sent_with_the_ids_of_what_they_name() -> None:
    spec = with_ids(with_config("1").services[0].spec, {("config", "shop_conf-1"): "c1"})
    assert spec.task_template.container_spec.configs[0].config_id == "c1"


def test_the_plan_warns_of_secrets_that_go_where_hosts_say_of_themselves() -> None:
    text = (
        "services:\n  web: {image: demo, secrets: [word], deploy: {placement: {constraints: ['node.hostname==w1']}}}\n"
        "secrets: {word: {external: true}}\n"
    )
    present = {"files": {"secret": [a_stored_file("x", "word")]}}
    assert "its secrets go to hosts chosen by node.hostname" in compared(stack(text), **present).warnings()[0]
    assert compared(stack()).warnings() == []
