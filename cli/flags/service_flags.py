"""The flags of `service create` and `service update`, and the specs they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from api.service.container import Healthcheck
from api.service.mode import Mode, ModeKind
from api.service.service_spec import ServiceSpec
from cli.command_errors import BadArgument
from cli.flags.refused_flags import refused_flags
from cli.flags.spec_fields import CONTAINER, LISTS, put, remove_entries, set_lists, set_scalars

F = TypeVar("F", bound=Callable[..., Any])

MODES = ("replicated", "global", "replicated-job", "global-job")
_CHOICES = {
    "--restart-condition": ("none", "on-failure", "any"),
    "--endpoint-mode": ("vip", "dnsrr"),
    "--update-failure-action": ("pause", "continue", "rollback"),
    "--rollback-failure-action": ("pause", "continue"),
    "--update-order": ("start-first", "stop-first"),
    "--rollback-order": ("start-first", "stop-first"),
    "--schedule-overlap": ("allow", "forbid", "replace"),
}
_TEXTS = {
    "--hostname": "Host name of the containers.",
    "--stop-signal": "Signal that stops a container.",
    "--stop-grace-period": "Time before a stopping container is killed (10s).",
    "--entrypoint": "Replaces the image's entrypoint.",
    "--health-cmd": "Command that tells whether the container works.",
    "--health-interval": "Time between checks.",
    "--health-timeout": "Longest time a check may take.",
    "--health-start-period": "Time to start in which failures do not count.",
    "--health-start-interval": "Time between checks in the start period.",
    "--limit-cpu": "Most CPUs.",
    "--limit-memory": "Most memory.",
    "--reserve-cpu": "CPUs a node must have free.",
    "--reserve-memory": "Memory a node must have free.",
    "--restart-condition": "When to restart (any).",
    "--restart-delay": "Time between restarts (5s).",
    "--restart-window": "Time in which attempts are counted.",
    "--endpoint-mode": "A virtual address, or DNS round robin.",
    "--log-driver": "Where output goes.",
    "--update-delay": "Time between updates of tasks.",
    "--update-failure-action": "What to do when an update fails (pause).",
    "--update-monitor": "Time after an update in which a failure counts (5s).",
    "--update-order": "Start the new task first, or stop the old one first.",
    "--rollback-delay": "Time between rollbacks of tasks.",
    "--rollback-failure-action": "What to do when a rollback fails (pause).",
    "--rollback-monitor": "Time after a rollback in which a failure counts (5s).",
    "--rollback-order": "Start the new task first, or stop the old one first.",
    "--rollback-progress-deadline": "Time without progress after which a rollback has failed (10m).",
    "--update-progress-deadline": "Time without progress after which an update has failed (10m).",
    "--schedule": 'When a job runs: "0 3 * * *", "@daily", with seconds in front "*/10 * * * * *"; "" for no more.',
    "--schedule-time-zone": "Whose clock the schedule goes by, such as Europe/Berlin (UTC).",
    "--schedule-overlap": "When the run before is still at work: start too, wait (forbid), or replace it.",
    "--schedule-missed-window": "How late a run may still start.",
    "--schedule-active-deadline": "How long a run may take; then it is stopped, and has failed (no limit).",
}
_NUMBERS = {
    "--health-retries": "Failures in a row that make a container unhealthy.",
    "--limit-pids": "Most processes (0: the host's default, -1: no limit).",
    "--restart-max-attempts": "Most restarts.",
    "--replicas-max-per-node": "Most tasks on one node (0: no limit).",
    "--update-parallelism": "Tasks updated at once (0: all).",
    "--rollback-parallelism": "Tasks rolled back at once (0: all).",
    "--schedule-history": "Runs of a scheduled job that are remembered.",
    "--revision-history": "Revisions that are kept for rollback.",
    "--oom-score-adj": "Who is killed first when memory runs out.",
}
_ENTRIES = {
    "env": ("NAME[=VALUE]", "an environment variable; without a value it has the one it has here"),
    "label": ("KEY=VALUE", "a label of the service"),
    "container_label": ("KEY=VALUE", "a label of the containers"),
    "sysctl": ("NAME=VALUE", "a kernel parameter of the containers"),
    "log_opt": ("NAME=VALUE", "an option of the log driver"),
    "constraint": ("EXPRESSION", 'what a node must meet, such as "node.labels.zone==a"'),
    "placement_pref": ("spread=KEY", "what tasks are spread over, such as spread=node.labels.zone"),
    "mount": ("MOUNT", "a mount, such as type=volume,source=data,target=/data"),
    "publish": ("PORT", "a published port, such as 8080:80, or published=8080,target=80,mode=host"),
    "network": ("NETWORK", "a network that its tasks are on"),
    "host": ("NAME:ADDRESS", "a line in the containers' /etc/hosts"),
    "dns": ("ADDRESS", "a name server"),
    "dns_option": ("OPTION", "an option of name resolution"),
    "dns_search": ("DOMAIN", "a domain that names are looked up in"),
    "group": ("GROUP", "a further group of the user"),
    "ulimit": ("NAME=SOFT[:HARD]", "a limit of the processes, such as nofile=1024:2048"),
    "generic_resource": ("KIND=COUNT", "what a node must have free, such as gpu=2"),
    "depends_on": ("SERVICE[=CONDITION]", "a service to wait for until it is started, healthy or completed"),
    "secret": ("SECRET", "a secret: its name, or source=…,target=…,uid=…,gid=…,mode=0400"),
    "config": ("CONFIG", "a config: its name, or source=…,target=…,uid=…,gid=…,mode=0444"),
    "cap_add": ("CAPABILITY", "a capability that containers have besides the usual ones"),
    "cap_drop": ("CAPABILITY", "a capability that containers do not have"),
}
"""For each flag of LISTS: the form of a value, and what it is."""
_SHORT = {"--hostname": (), "--env": ("-e",), "--label": ("-l",), "--publish": ("-p",)}


def common_flags(command: F) -> F:
    """Add the flags that both commands have."""
    options: list[Callable[[F], F]] = [
        click.option("--replicas", type=click.IntRange(0), help="Number of tasks."),
        click.option("--max-concurrent", type=click.IntRange(1), help="Tasks of a job at once."),
        click.option("-u", "--user", help="User name or id, optionally with :group."),
        click.option("-w", "--workdir", help="Working directory in the container."),
        click.option("--no-healthcheck", is_flag=True, help="Switch off the image's health check."),
    ]
    for name, text in _TEXTS.items():
        choices = _CHOICES.get(name)
        options.append(click.option(name, type=click.Choice(choices) if choices else str, help=text))
    options += [click.option(name, type=int, help=text) for name, text in _NUMBERS.items()]
    options += [
        click.option(f"--{kind}-max-failure-ratio", type=click.FloatRange(0, 1), help="Failures that are borne.")
        for kind in ("update", "rollback")
    ]
    options += [
        click.option("--init/--no-init", default=None, help="Run an init that reaps processes and passes signals on."),
        click.option("--read-only/--no-read-only", default=None, help="Mount the root file system read-only."),
        click.option("--schedule-suspend/--no-schedule-suspend", default=None, help="Pass over runs that come due."),
        click.option("--rebalance/--no-rebalance", default=None, help="Move tasks to nodes that join or return."),
        click.option("-t", "--tty/--no-tty", default=None, help="Give the containers a terminal."),
        click.option("--with-registry-auth", is_flag=True, help="Send your registry login to the hosts that pull."),
        click.option("--no-resolve-image", is_flag=True, help="Accepted; a manager resolves images."),
    ]
    for option in reversed([*options, *refused_flags()]):
        command = option(command)
    return command


def create_flags(command: F) -> F:
    """Add the flags of `service create` alone."""
    for flag in reversed(LISTS):
        name, (metavar, what) = f"--{flag.replace('_', '-')}", _ENTRIES[flag]
        text = f"{what[0].upper()}{what[1:]}. Repeatable."
        command = click.option(name, *_SHORT.get(name, ()), flag, multiple=True, metavar=metavar, help=text)(command)
    for option in (
        click.option("--env-file", multiple=True, type=click.Path(), help="File of KEY=VALUE lines."),
        click.option(
            "--mode",
            type=click.Choice(MODES),
            default="replicated",
            show_default=True,
            help="So many tasks, or one on each node; those of a job end.",
        ),
        click.option("--name", help="Name of the service."),
    ):
        command = option(command)
    return command


def update_flags(command: F) -> F:
    """Add the flags of `service update` alone."""
    for flag in reversed(LISTS):
        name, (metavar, what) = f"--{flag.replace('_', '-')}", _ENTRIES[flag]
        if LISTS[flag].removable:
            command = click.option(f"{name}-rm", multiple=True, help="Take one away. Repeatable.")(command)
            name = f"{name}-add"
        text = f"Add or replace {what}. Repeatable."
        command = click.option(name, multiple=True, metavar=metavar, help=text)(command)
    return command


def new_spec(name: str, image: str, args: tuple[str, ...], given: Mapping[str, Any]) -> ServiceSpec:
    """The spec that the flags of `service create` describe. Raises usage errors."""
    spec = ServiceSpec(name=name, mode=_mode(given))
    spec = put(spec, f"{CONTAINER}.image", image)
    spec = put(spec, f"{CONTAINER}.args", list(args))
    if files := _env_of_files(given.get("env_file", ())):
        spec = put(spec, f"{CONTAINER}.env", files)
    return _health(set_lists(set_scalars(spec, given), given), given)


def changed_spec(spec: ServiceSpec, given: Mapping[str, Any]) -> ServiceSpec:
    """The spec with what the flags of `service update` say. Raises usage errors."""
    if given.get("image"):
        spec = put(spec, f"{CONTAINER}.image", given["image"])
    if given.get("args") is not None:
        from cli.flags.flag_values import words

        spec = put(spec, f"{CONTAINER}.args", words(given["args"]))
    if given.get("replicas") is not None:
        spec = scaled(spec, given["replicas"])
    if given.get("max_concurrent") is not None:
        if not spec.is_replicated_job:
            raise BadArgument(f"--max-concurrent is for replicated jobs, which {spec.name} is not")
        spec = spec.with_concurrency(given["max_concurrent"])
    if given.get("force"):
        spec = put(spec, "task_template.force_update", spec.task_template.force_update + 1)
    spec = set_scalars(spec, given)
    return _health(set_lists(remove_entries(spec, given), given, "_add"), given)


def scaled(spec: ServiceSpec, replicas: int) -> ServiceSpec:
    """The spec with another number of tasks. Raises a usage error for services that have none."""
    if spec.is_global:
        raise BadArgument(f"{spec.name} is a global service: it has one task on every node, and cannot be scaled")
    return spec.scaled(replicas)


def _mode(given: Mapping[str, Any]) -> Mode:
    mode, replicas, at_once = given["mode"], given.get("replicas"), given.get("max_concurrent")
    kind = ModeKind(mode)
    if at_once is not None and (kind.is_global or not kind.is_job):
        raise BadArgument("--max-concurrent is for --mode replicated-job")
    if kind.is_global and replicas is not None:
        raise BadArgument(f"--replicas is not for --mode {mode}: it has one task on every node")
    return Mode.of(kind, replicas, replicas if at_once is None else at_once)


def _health(spec: ServiceSpec, given: Mapping[str, Any]) -> ServiceSpec:
    if not given.get("no_healthcheck"):
        return spec
    if any(given.get(name) is not None for name in given if name.startswith("health_")):
        raise BadArgument("--no-healthcheck goes with none of the --health flags")
    return put(spec, f"{CONTAINER}.healthcheck", Healthcheck(test=["NONE"]))


def _env_of_files(paths: tuple[str, ...]) -> list[str]:
    import os

    from compose.read.dotenv import BadLine, parse

    found: dict[str, str] = {}
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                lines = parse(file.read(), os.environ, raw=True)
        except (OSError, UnicodeDecodeError) as error:
            raise BadArgument(f"--env-file {path}: {getattr(error, 'strerror', None) or error}") from None
        except BadLine as error:
            raise BadArgument(f"--env-file {path}, {error}") from None
        values = {name: os.environ.get(name) if value is None else value for name, value in lines.items()}
        found |= {name: value for name, value in values.items() if value is not None}
    return [f"{name}={value}" for name, value in found.items()]
