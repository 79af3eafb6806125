"""Phase 7: what one attribute's own rule cannot tell: references, and values that contradict one another.

CHECKS is the list; each looks at one service (or the whole) and reports. Broken values were reported before: they
count as given, and nothing more is said of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from api.names import SERVICE_NAME
from compose.order import cycle
from compose.problems import Report
from compose.security import BadOption, parse_option, parse_platform, parse_restart
from compose.tree import Node, Path
from compose.work import Work

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
}
_SAME = (
    (("cpus",), ("deploy", "resources", "limits", "cpus")),
    (("mem_limit",), ("deploy", "resources", "limits", "memory")),
    (("pids_limit",), ("deploy", "resources", "limits", "pids")),
    (("mem_reservation",), ("deploy", "resources", "reservations", "memory")),
    (("scale",), ("deploy", "replicas")),
)


def verify(work: Work) -> Work:
    """The same work; problems are in its report."""
    if services := work.tree.get("services"):
        if not services.entries and not services.is_broken:
            work.report.wrong(services, ("services",), "there is no service to deploy")
    elif work.documents and not any(document.is_broken for document in work.documents):
        work.report.wrong(work.tree, (), "there are no services; a compose file has them under `services:`")
    for name, service in work.tree.at("services").items():
        if not service.is_broken:
            for check in CHECKS:
                check(work, service, ("services", name))
    _published_once(work)
    _no_cycle(work)
    for kind in ("networks", "volumes"):
        for name, node in work.tree.at(kind).items():
            _external(work.report, node, (kind, name))
    return work


def _name(work: Work, service: Node, path: Path) -> None:
    name = path[-1]
    if not SERVICE_NAME.fullmatch(name):
        work.report.wrong(service, path, f"{name!r} is no name of a service: letters, digits, - and _ between them")
    elif work.stack and len(work.stack) + 1 + len(name) > _NAME_LENGTH:
        full = f"{work.stack}_{name}"
        work.report.wrong(service, path, f"its full name {full} has more than {_NAME_LENGTH} characters")


def _image(work: Work, service: Node, path: Path) -> None:
    image = service.get("image")
    if image is not None and (image.is_broken or image.text.strip()):
        return
    if service.get("build"):
        work.report.wrong(service, path, "has build but no image; build it, and name with `image` what hosts can pull")
    else:
        work.report.wrong(service, path, "has no image")


def _bounds(work: Work, service: Node, path: Path) -> None:
    for keys, (low, high) in _BOUNDS.items():
        node = service.get(*keys)
        if node and isinstance(node.value, int | float) and not low <= node.value <= high:
            limit = f"less than {low:g}" if node.value < low else f"more than {high:g}"
            work.report.wrong(node, path + keys, f"cannot be {limit}, and is {node.text}")


def _said_once(work: Work, service: Node, path: Path) -> None:
    for short, long in _SAME:
        one, other = service.get(*short), service.get(*long)
        if one and other and not other.is_broken and one.value != other.value:
            sentence = f"is {one.text}, but {'.'.join(long)} says {other.text}; keep one of them"
            work.report.wrong(one, path + short, sentence)


def _networks(work: Work, service: Node, path: Path) -> None:
    known = work.tree.at("networks")
    for name, node in service.at("networks").items():
        if name not in known and name != "default":
            work.report.wrong(node, (*path, "networks"), _undefined("network", name, known))


def _volumes(work: Work, service: Node, path: Path) -> None:
    known = work.tree.at("volumes")
    targets: set[str] = set()
    for number, item in enumerate(_mounts(service)):
        where = (*path, "volumes", f"[{number}]")
        kind, source, target = (_text(item, key) for key in ("type", "source", "target"))
        if item.is_broken:
            continue
        if kind == "volume" and source and source not in known:
            work.report.wrong(item, where, _undefined("volume", source, known))
        if kind == "bind" and not source:
            work.report.wrong(item, where, "is a bind mount without source")
        if target and not target.startswith("/"):
            work.report.wrong(item, where, f"target {target!r} is not an absolute path")
        if target in targets:
            work.report.wrong(item, where, f"something else is mounted at {target} already")
        targets.add(target)
        for options in {"bind", "volume", "tmpfs"} - {kind}:
            if item.at(options):
                work.report.wrong(item, (*where, options), f"{options} options on a mount of type {kind}")


def _mounts(service: Node) -> Iterator[Node]:
    for attribute in ("volumes", "tmpfs"):
        node = service.get(attribute)
        yield from node.items if node else ()


def _depends_on(work: Work, service: Node, path: Path) -> None:
    services = work.tree.at("services")
    for name, node in service.at("depends_on").items():
        required = node.get("required")
        where = (*path, "depends_on")
        if name not in services and (required is None or required.value is not False):
            work.report.wrong(node, where, _undefined("service", name, services))
        condition, dependency = _text(node, "condition"), services.get(name)
        if condition == "service_completed_successfully" and dependency and not _ends(dependency):
            sentence = (
                f'{name} restarts for ever, so it never completes; give it `restart: "no"` or a job\'s deploy.mode'
            )
            work.report.wrong(node, where, sentence)


def _ends(service: Node) -> bool:
    mode, restart = service.get("deploy", "mode"), service.get("restart")
    condition = service.get("deploy", "restart_policy", "condition")
    if mode and mode.text.endswith("-job"):
        return True
    if condition:
        return condition.text != "any"
    return bool(restart and (restart.text == "no" or restart.text.startswith("on-failure")))


def _deploy(work: Work, service: Node, path: Path) -> None:
    mode = _text(service, "deploy", "mode") or "replicated"
    for keys in (("deploy", "replicas"), ("scale",)):
        node = service.get(*keys)
        if node and mode.startswith("global"):
            work.report.wrong(node, path + keys, f"a {mode} service has one task per node, no number of replicas")
    for key in ("update_config", "rollback_config"):
        node = service.get("deploy", key)
        if node and node.entries and mode.endswith("-job"):
            work.report.wrong(node, (*path, "deploy", key), "a job is not updated, it is run anew")
    if _text(service, "deploy", "endpoint_mode") == "dnsrr":
        for number, port in enumerate(service.get("ports").items if service.get("ports") else []):  # type: ignore[union-attr]
            if _text(port, "mode") != "host":
                sentence = "a service with endpoint_mode dnsrr has no address to publish; use mode: host"
                work.report.wrong(port, (*path, "ports", f"[{number}]"), sentence)


def _healthcheck(work: Work, service: Node, path: Path) -> None:
    check = service.get("healthcheck")
    disable = check.get("disable") if check else None
    test = check.get("test") if check else None
    if disable and disable.value is True and test and test.items and test.items[0].value != "NONE":
        work.report.wrong(disable, (*path, "healthcheck", "disable"), "the check is disabled, and has a test; keep one")


def _parsed(work: Work, service: Node, path: Path) -> None:
    for attribute, parse in (("restart", parse_restart), ("platform", parse_platform)):
        node = service.get(attribute)
        if node and not node.is_broken:
            _try(work.report, node, (*path, attribute), parse)
    options = service.get("security_opt")
    for number, item in enumerate(options.items if options else []):
        if not item.is_broken:
            _try(work.report, item, (*path, "security_opt", f"[{number}]"), parse_option)


def _try(report: Report, node: Node, path: Path, parse: Callable[[str], object]) -> None:
    try:
        parse(node.text)
    except BadOption as error:
        report.wrong(node, path, str(error))


def _external(report: Report, node: Node, path: Path) -> None:
    external = node.get("external")
    if external and external.value is True:
        for key in node.entries.keys() - {"external", "name"}:
            report.wrong(node.entries[key], (*path, key), "is for one that is created here, and this one is external")


def _published_once(work: Work) -> None:
    seen: dict[tuple[str, str], str] = {}
    for name, service in work.tree.at("services").items():
        ports = service.get("ports")
        for number, port in enumerate(ports.items if ports else []):
            key = (_text(port, "published"), _text(port, "protocol") or "tcp")
            if key[0] in ("", "0") or _text(port, "mode") == "host":
                continue
            if key in seen:
                sentence = f"port {key[0]}/{key[1]} is published by {seen[key]} already"
                work.report.wrong(port, ("services", name, "ports", f"[{number}]"), sentence)
            seen[key] = name


def _no_cycle(work: Work) -> None:
    services = work.tree.at("services")
    names = cycle({name: list(service.at("depends_on")) for name, service in services.items()})
    if names:
        node = services[names[0]].at("depends_on")[names[1]]
        work.report.wrong(node, ("services", names[0], "depends_on"), f"goes in a circle: {' → '.join(names)}")


def _undefined(kind: str, name: str, known: dict[str, Node]) -> str:
    among = f"; there are {', '.join(sorted(known))}" if known else ""
    return f"{kind} {name!r} is not defined{among}"


def _text(node: Node, *keys: str) -> str:
    found = node.get(*keys)
    return found.text if found else ""


CHECKS = (
    _name, _image, _bounds, _said_once, _networks, _volumes, _depends_on, _deploy, _healthcheck, _parsed,
)  # fmt: skip
