"""Phase 11: checks across attributes: references, and values that contradict one another.

CHECKS lists the checks, each of which reports the problems of one service or of the project. Broken values were
reported before: they count as present and are not reported again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

from api.ids import SERVICE_NAME
from compose.model.load_state import LoadState
from compose.model.service_graph import cycle
from compose.model.service_networks import is_harmless, linked_names, service_name
from compose.phases.check import MERGED, lacking
from compose.phases.merge import place_of
from compose.phases.verify_build import verify_build
from compose.phases.verify_network import absent, undefined, verify_network
from compose.read.device_syntax import device_problem
from compose.read.option_syntax import (
    IPC,
    NETWORK_MODES,
    PID,
    BadOption,
    parse_option,
    parse_platform,
    parse_pull_policy,
    parse_restart,
    parse_runtime,
    parse_sharing,
)
from compose.read.report import Report
from compose.read.tree import Path, TreeNode, children, items_of, text_of
from compose.read.volume_syntax import BadVolume, parse_tmpfs
from compose.table.schema import SCHEMA

_NAME_LENGTH = 63
_BOUNDS: dict[tuple[str, ...], tuple[float, float]] = {
    ("deploy", "replicas"): (0, 1e9),
    ("scale",): (0, 1e9),
    ("cpus",): (0, 1e6),
    ("mem_limit",): (0, 1e18),
    ("oom_score_adj",): (-1000, 1000),
    ("deploy", "update_config", "parallelism"): (0, 1e9),
    ("deploy", "rollback_config", "parallelism"): (0, 1e9),
    ("deploy", "update_config", "max_failure_ratio"): (0, 1),
    ("deploy", "rollback_config", "max_failure_ratio"): (0, 1),
    ("deploy", "resources", "limits", "cpus"): (0, 1e6),
    ("deploy", "resources", "reservations", "cpus"): (0, 1e6),
    ("deploy", "restart_policy", "max_attempts"): (0, 1e9),
    ("deploy", "placement", "max_replicas_per_node"): (0, 1e9),
    ("healthcheck", "retries"): (0, 1e9),
    ("cpu_shares",): (0, 262144),
    ("mem_swappiness",): (0, 100),
    ("mem_reservation",): (0, 1e18),
    ("memswap_limit",): (-1, 1e18),
    ("shm_size",): (0, 1e18),
    ("pids_limit",): (-1, 1e9),
    ("blkio_config", "weight"): (10, 1000),
    ("stop_grace_period",): (0, 1e18),
}
_SAME = (
    (("cpus",), ("deploy", "resources", "limits", "cpus")),
    (("mem_limit",), ("deploy", "resources", "limits", "memory")),
    (("pids_limit",), ("deploy", "resources", "limits", "pids")),
    (("mem_reservation",), ("deploy", "resources", "reservations", "memory")),
    (("scale",), ("deploy", "replicas")),
)


def verify(state: LoadState) -> LoadState:
    """Run all checks. Problems go into the report of the state."""
    if services := state.tree.get("services"):
        if not services.entries and not services.is_broken:
            state.report.error(services, ("services",), "there is no service to deploy")
    elif state.documents and not any(document.is_broken for document in state.documents):
        state.report.error(state.tree, (), "there are no services; a compose file has them under `services:`")
    state = replace(state, stack=state.stack or _stack_name(state))
    for name, service in state.tree.at("services").items():
        if not service.is_broken:
            for check in CHECKS:
                check(state, service, ("services", name))
    verify_network(state)
    _cycles(state)
    for kind in ("networks", "volumes", "secrets", "configs"):
        for name, node in state.tree.at(kind).items():
            _external(state.report, node, (kind, name))
    for name, node in state.tree.at("networks").items():
        for option, value in node.at("driver_opts").items():
            if is_harmless(option, value.text):
                state.report.note(
                    value, ("networks", name, "driver_opts", option), "has no effect on an overlay network"
                )
    return state


def _stack_name(state: LoadState) -> str:
    """The name in `name:`; "" when it is missing or invalid."""
    node = state.tree.get("name")
    if node is None or not node.text or SERVICE_NAME.fullmatch(node.text):
        return node.text if node else ""
    sentence = f"{node.text!r} is no name of a stack: letters, digits, - and _ between them"
    state.report.error(node, ("name",), sentence)
    return ""


def _merged(state: LoadState, service: TreeNode, path: Path) -> None:
    """Check the required keys of mappings to which several files may contribute."""
    for keys in MERGED:
        place = functools.reduce(lambda schema, key: schema.below[key], keys, SCHEMA.below["services"].below["*"])
        for name, node in service.at(*keys).items():
            if not node.is_broken and (sentence := lacking(place.below["*"].rule, node.entries)):
                state.report.error(node, (*path, *keys, name), sentence)


def _nul_characters(state: LoadState, service: TreeNode, path: Path) -> None:
    """Refuse NUL characters: the kernel ends every string at a NUL."""
    for part, child in children(service):
        value = child.value
        if isinstance(value, str):
            if "\0" in value:
                state.report.error(child, (*path, part), "has a NUL character in it")
        elif isinstance(value, dict | list) and value:
            _nul_characters(state, child, (*path, part))


def _name(state: LoadState, service: TreeNode, path: Path) -> None:
    name = path[-1]
    mapped = name.replace(".", "-")
    if not SERVICE_NAME.fullmatch(mapped) or name.strip(".") != name:
        state.report.error(service, path, f"{name!r} is no name of a service: letters, digits, -, _ and . between them")
    elif mapped != name and mapped in state.tree.at("services"):
        state.report.error(
            service, path, f"is called {mapped} in the cluster, where a name has no dots; so is {mapped}"
        )
    elif state.stack and len(state.stack) + 1 + len(name) > _NAME_LENGTH:
        full = service_name(state.stack, name)
        state.report.error(service, path, f"its full name {full} has more than {_NAME_LENGTH} characters")


def _image(state: LoadState, service: TreeNode, path: Path) -> None:
    image = service.get("image")
    if image is not None and (image.is_broken or image.text.strip()):
        return
    if not service.get("build"):
        state.report.error(service, path, "has no image")


def _bounds(state: LoadState, service: TreeNode, path: Path) -> None:
    for keys, (low, high) in _BOUNDS.items():
        node = service.get(*keys)
        if node and isinstance(node.value, int | float) and not low <= node.value <= high:
            limit = f"less than {low:g}" if node.value < low else f"more than {high:g}"
            state.report.error(node, path + keys, f"cannot be {limit}, and is {node.text}")


def _conflicting_spellings(state: LoadState, service: TreeNode, path: Path) -> None:
    for short, long in _SAME:
        one, other = service.get(*short), service.get(*long)
        if one and other and not other.is_broken and one.value != other.value:
            sentence = f"is {one.text}, but {'.'.join(long)} says {other.text}; keep one of them"
            state.report.error(one, path + short, sentence)


def _volumes(state: LoadState, service: TreeNode, path: Path) -> None:
    known = state.tree.at("volumes")
    targets: set[str] = set()
    for number, item in enumerate(items_of(service, "volumes")):
        where = (*path, "volumes", f"[{number}]")
        kind, source, target = (text_of(item, key) for key in ("type", "source", "target"))
        if item.is_broken:
            continue
        if kind == "volume" and source and source not in known:
            state.report.error(item, where, undefined("volume", source, known))
        if kind == "bind" and not source:
            state.report.error(item, where, "is a bind mount without source")
        if target and not target.startswith("/"):
            state.report.error(item, where, f"target {target!r} is not an absolute path")
        if target in targets:
            state.report.error(item, where, f"something else is mounted at {target} already")
        targets.add(target)
        for options in {"bind", "volume", "tmpfs"} - {kind}:
            if item.at(options):
                state.report.note(item, (*where, options), f"has no effect on a mount of type {kind}")
    for number, item in enumerate(items_of(service, "tmpfs")):
        where = (*path, "tmpfs", f"[{number}]")
        try:
            target = "" if item.is_broken else str(parse_tmpfs(item.text)["target"])
        except BadVolume as error:
            state.report.error(item, where, str(error))
            continue
        if target in targets:
            state.report.error(item, where, f"something else is mounted at {target} already")
        targets.add(target)


def _depends_on(state: LoadState, service: TreeNode, path: Path) -> None:
    services = state.tree.at("services")
    for name, node in service.at("depends_on").items():
        required = node.get("required")
        where = (*path, "depends_on")
        if name not in services and (required is None or required.value is not False):
            state.report.error(node, where, absent(state, name, services))
        condition, dependency = text_of(node, "condition"), services.get(name)
        if condition != "service_completed_successfully" or not dependency or _can_complete(dependency):
            continue
        if _has_restart_condition(dependency):
            sentence = (
                f'{name} restarts for ever, so it never completes; give it `restart: "no"` or a job\'s deploy.mode'
            )
            state.report.error(node, where, sentence)
        else:
            state.report.note(node, where, f"{name} runs once, since it is waited for until it completes")


def _can_complete(service: TreeNode) -> bool:
    mode, restart = service.get("deploy", "mode"), service.get("restart")
    condition = service.get("deploy", "restart_policy", "condition")
    if mode and mode.text.endswith("-job"):
        return True
    if condition:
        return condition.text != "any"
    return bool(restart and (restart.text == "no" or restart.text.startswith("on-failure")))


def _has_restart_condition(service: TreeNode) -> bool:
    restart = service.get("restart")
    return bool(restart and restart.text) or service.get("deploy", "restart_policy", "condition") is not None


def _deploy(state: LoadState, service: TreeNode, path: Path) -> None:
    mode = text_of(service, "deploy", "mode") or "replicated"
    for keys in (("deploy", "replicas"), ("scale",)):
        node = service.get(*keys)
        if node and mode.startswith("global"):
            state.report.error(node, path + keys, f"a {mode} service has one task per node, no number of replicas")
    for key in ("update_config", "rollback_config"):
        node = service.get("deploy", key)
        if node and node.entries and mode.endswith("-job"):
            state.report.error(node, (*path, "deploy", key), "a job is not updated, it is run anew")
    if text_of(service, "deploy", "endpoint_mode") == "dnsrr":
        for number, port in enumerate(items_of(service, "ports")):
            if text_of(port, "mode") != "host":
                sentence = "a service with endpoint_mode dnsrr has no address to publish; use mode: host"
                state.report.error(port, (*path, "ports", f"[{number}]"), sentence)


def _healthcheck(state: LoadState, service: TreeNode, path: Path) -> None:
    check = service.get("healthcheck")
    disable = check.get("disable") if check else None
    test = check.get("test") if check else None
    if disable and disable.value is True and test and test.items and test.items[0].value != "NONE":
        state.report.error(
            disable, (*path, "healthcheck", "disable"), "the check is disabled, and has a test; keep one"
        )


def _without_effect(state: LoadState, service: TreeNode, path: Path) -> None:
    """Add a note for each attribute that has no effect beside another one."""
    restart, policy = service.get("restart"), service.get("deploy", "restart_policy")
    if restart and restart.text and policy:
        state.report.note(restart, (*path, "restart"), "has no effect: deploy.restart_policy counts")
    check = service.at("healthcheck")
    test = check.get("test")
    is_off = "disable" in check and check["disable"].value is True
    is_off = is_off or bool(test and test.items and test.items[0].value == "NONE")
    for key in [key for key in check if is_off and key not in ("disable", "test")]:
        state.report.note(check[key], (*path, "healthcheck", key), "has no effect: the check is disabled")


def _option_syntax(state: LoadState, service: TreeNode, path: Path) -> None:
    for attribute, parse in _LANGUAGES.items():
        node = service.get(attribute)
        if (
            node
            and not node.is_broken
            and not (node.value == "" and state.report.stems_from_unset(node, (*path, attribute)))
        ):
            _check_syntax(state.report, node, (*path, attribute), parse)
    for number, item in enumerate(items_of(service, "security_opt")):
        if not item.is_broken:
            _check_syntax(state.report, item, (*path, "security_opt", f"[{number}]"), parse_option)


def _files(state: LoadState, service: TreeNode, path: Path) -> None:
    """Check that secrets and configs are defined and that their targets differ."""
    for kind in ("secrets", "configs"):
        known = state.tree.at(kind)
        targets: set[str] = set()
        for number, item in enumerate(items_of(service, kind)):
            source = text_of(item, "source")
            target = place_of(kind, item)
            where = (*path, kind, f"[{number}]")
            if source not in known and item.get("source") and not item.entries["source"].is_broken:
                state.report.error(item, where, undefined(kind.removesuffix("s"), source, known))
            if target in targets and not item.is_broken:
                state.report.error(item, where, f"something else is at {target} already")
            targets.add(target)
            for key in ("uid", "gid"):
                if (owner := item.get(key)) and not owner.is_broken and not owner.text.isdecimal():
                    state.report.error(owner, (*where, key), f"must be a number, not {owner.text!r}")


def _devices(state: LoadState, service: TreeNode, path: Path) -> None:
    for number, item in enumerate(items_of(service, "devices")):
        if sentence := device_problem(*(text_of(item, key) for key in ("source", "target", "permissions"))):
            state.report.error(item, (*path, "devices", f"[{number}]"), sentence)
    reserved = ("deploy", "resources", "reservations", "devices")
    for keys in (("gpus",), reserved):
        for number, item in enumerate(items_of(service, *keys)):
            if item.get("count") and item.get("device_ids"):
                state.report.error(item, (*path, *keys, f"[{number}]"), "has both count and device_ids; keep one")


def _check_syntax(report: Report, node: TreeNode, path: Path, parse: Callable[[str], object]) -> None:
    try:
        parse(node.text)
    except BadOption as error:
        report.error(node, path, str(error))


def _external(report: Report, node: TreeNode, path: Path) -> None:
    external = node.get("external")
    if external and external.value is True:
        for key in sorted(node.entries.keys() - {"external", "name"}):
            if path[0] == "networks":
                # as in Docker Compose: the creator of the network decides about its settings
                report.note(node.entries[key], (*path, key), "has no effect: the network is external")
                continue
            report.error(node.entries[key], (*path, key), "is for one that is created here, and this one is external")


def _cycles(state: LoadState) -> None:
    services = state.tree.at("services")
    edges = {
        name: [*service.at("depends_on"), *linked_names(item.text for item in items_of(service, "links"))]
        for name, service in services.items()
    }
    while names := cycle(edges):
        edges[names[-2]] = [name for name in edges[names[-2]] if name != names[-1]]  # finds the next one
        service = services[names[0]]
        attribute = "depends_on" if names[1] in service.at("depends_on") else "links"
        node = service.at("depends_on").get(names[1]) or service.entries["links"]
        state.report.error(node, ("services", names[0], attribute), f"goes in a circle: {' → '.join(names)}")


_LANGUAGES: dict[str, Callable[[str], object]] = {
    "ipc": parse_sharing(IPC),
    "network_mode": parse_sharing(NETWORK_MODES),
    "pid": parse_sharing(PID),
    "platform": parse_platform,
    "pull_policy": parse_pull_policy,
    "restart": parse_restart,
    "runtime": parse_runtime,
}
CHECKS = (
    _merged, _nul_characters, _name, _image, _bounds, _conflicting_spellings, _volumes, _files, _devices, _depends_on,
    _deploy, _healthcheck, _without_effect, _option_syntax, verify_build,
)  # fmt: skip
