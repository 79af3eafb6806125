"""Flags of `service create` and `service update`: where each ends in the spec."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from api.service.container import ConfigReference, FileTarget, SecretReference
from api.service.mode import Mode, ReplicatedJob
from api.service.ports import PortConfig
from api.service.resources import DiscreteResource, GenericResource
from api.service.schedule import Schedule
from api.service.service_spec import Dependency, ServiceSpec
from cli.command_errors import BadArgument
from cli.flags.service_flags import changed_spec, common_flags, create_flags, new_spec, update_flags
from cli.flags.spec_fields import LISTS, SCALARS, get

SECOND = 10**9


def made(*flags: str) -> ServiceSpec:
    """The spec that flags make."""
    found: list[ServiceSpec] = []

    @click.command()
    @create_flags
    @common_flags
    def create(**given: Any) -> None:
        found.append(new_spec("web", "demo", (), given))

    result = CliRunner().invoke(create, flags, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return found[0]


def changed(spec: ServiceSpec, *flags: str) -> ServiceSpec:
    """The spec after an update."""
    found: list[ServiceSpec] = []

    @click.command()
    @update_flags
    @common_flags
    def update(**given: Any) -> None:
        found.append(changed_spec(spec, given))

    result = CliRunner().invoke(update, flags, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return found[0]


@pytest.mark.parametrize(
    ("flags", "path", "value"),
    [
        ("--secret key", "task_template.container_spec.secrets",
         [SecretReference(FileTarget("key"), secret_name="key")]),
        ("--secret source=key,target=k.pem,uid=1,gid=2,mode=0400", "task_template.container_spec.secrets",
         [SecretReference(FileTarget("k.pem", "1", "2", 0o400), secret_name="key")]),
        ("--config conf", "task_template.container_spec.configs",
         [ConfigReference(FileTarget("/conf"), config_name="conf")]),
        ("--depends-on db=healthy,optional --depends-on queue", "depends_on",
         [Dependency("db", "healthy", optional=True), Dependency("queue")]),
        ("--generic-resource gpu=2", "task_template.resources.reservations.generic_resources",
         [GenericResource(discrete_resource_spec=DiscreteResource("gpu", 2))]),
        ("--mode replicated-job --replicas 6 --max-concurrent 2", "mode",
         Mode(replicated_job=ReplicatedJob(2, 6))),
        ("--mode replicated-job --schedule @daily --schedule-time-zone Europe/Berlin --schedule-overlap replace",
         "schedule", Schedule("@daily", "Europe/Berlin", "replace")),
        ("--mode replicated-job --schedule @daily --schedule-active-deadline 1h30m",
         "schedule.active_deadline", 5400 * SECOND),
        ("--update-progress-deadline 2m", "update_config.progress_deadline", 120 * SECOND),
        ("--rebalance --revision-history 3", "rebalance", True),
        ("-p 127.0.0.1:8080:80", "endpoint_spec.ports",
         [PortConfig(target_port=80, published_port=8080, host_ip="127.0.0.1")]),
    ],
)  # fmt: skip
def test_a_flag_of_create_has_its_place(flags: str, path: str, value: object) -> None:
    assert get(made(*flags.split()), path) == value


@pytest.mark.parametrize(
    ("old", "flags", "path", "value"),
    [
        ("--secret a --secret b", "--secret-rm a --secret-add c", "task_template.container_spec.secrets",
         [SecretReference(FileTarget(name), secret_name=name) for name in "bc"]),
        ("--depends-on db", "--depends-on-add db=healthy", "depends_on", [Dependency("db", "healthy")]),
        ("--depends-on db", "--depends-on-rm db", "depends_on", []),
        ("--mode replicated-job", "--max-concurrent 4", "mode.replicated_job.max_concurrent", 4),
        ("--mode replicated-job --schedule @daily", "--schedule=", "schedule.cron", ""),
        ("--generic-resource gpu=2", "--generic-resource-rm gpu",
         "task_template.resources.reservations.generic_resources", []),
    ],
)  # fmt: skip
def test_a_flag_of_update_adds_and_takes_away(old: str, flags: str, path: str, value: object) -> None:
    assert get(changed(made(*old.split()), *flags.split()), path) == value


def test_concurrency_is_for_jobs() -> None:
    with pytest.raises(BadArgument, match="--max-concurrent is for replicated jobs, which web is not"):
        changed_spec(ServiceSpec(name="web"), {"max_concurrent": 2})


@pytest.mark.parametrize("path", [path for path, _ in SCALARS.values()] + [entries.path for entries in LISTS.values()])
def test_every_flag_names_a_field_that_there_is(path: str) -> None:
    from cli.flags.spec_fields import put

    put(ServiceSpec(), path, None)


@pytest.mark.parametrize("named", ["db", "db:10.1.2.3"])
def test_a_host_is_taken_away_by_its_name_or_with_its_address(named: str) -> None:
    spec = made("--host", "db:10.1.2.3", "--host", "cache:10.1.2.4")
    assert changed(spec, "--host-rm", named).task_template.container_spec.hosts == ["10.1.2.4 cache"]


def test_a_constraint_is_taken_away_however_it_is_spaced() -> None:
    spec = made("--constraint", "node.role == worker", "--constraint", "node.labels.a==b")
    left = changed(spec, "--constraint-rm", "node.role==worker", "--constraint-rm", "node.labels.a == b")
    assert get(left, "task_template.placement.constraints") == []


def test_a_capability_that_was_added_is_undone_by_dropping_it_and_the_other_way_round() -> None:
    added = changed(made("--cap-add", "NET_ADMIN"), "--cap-drop", "net_admin")
    dropped = changed(made("--cap-drop", "ALL"), "--cap-add", "ALL", "--cap-add", "CAP_CHOWN")
    for spec, add in ((added, []), (dropped, ["CAP_CHOWN"])):
        assert spec.task_template.container_spec.capability_add == add
        assert spec.task_template.container_spec.capability_drop == []
