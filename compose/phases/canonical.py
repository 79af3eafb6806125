"""Phase 5: canonical form. Short forms become long ones, lists of K=V become mappings, strings become numbers.

FORMS has a conversion per path pattern. Every value is then converted to the first kind of its rule that fits.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace

from compose.model.load_state import LoadState
from compose.read.device_syntax import long_count, long_devices, long_requests
from compose.read.port_syntax import long_ports
from compose.read.report import Report
from compose.read.tree import Content, Path, TreeNode, children
from compose.read.value_kinds import KINDS, KindMismatch
from compose.read.volume_syntax import long_volumes
from compose.table.schema import SCHEMA, Schema

Form = Callable[[Report, TreeNode, Path], TreeNode]


def canonical(state: LoadState) -> LoadState:
    """Bring the documents into long form, with every value of its attribute's type."""
    return replace(state, documents=tuple(_node(state.report, document, SCHEMA, ()) for document in state.documents))


def _node(report: Report, node: TreeNode, schema: Schema, path: Path) -> TreeNode:
    if node.tag not in ("", "!override"):
        return node
    if form := FORMS.get(schema.pattern):
        node = form(report, node, path)
    node = node.with_value(_convert(node, schema))
    if isinstance(node.value, dict):
        return node.with_value(
            {key: _node(report, child, below, (*path, key)) if (below := schema.child(key)) else child
             for key, child in children(node)}
        )  # fmt: skip
    if isinstance(node.value, list) and (below := schema.child("[0]")):
        return node.with_value([_node(report, child, below, (*path, part)) for part, child in children(node)])
    return node


def _convert(node: TreeNode, schema: Schema) -> Content:
    kinds = schema.rule.kinds
    if node.value is None and "null" in kinds:
        return {} if "map" in kinds else [] if "list" in kinds else None
    for name in kinds:
        try:
            return KINDS[name].read(node.value)
        except KindMismatch:
            continue
    return node.value


# ── forms ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _to_list(report: Report, node: TreeNode, path: Path) -> TreeNode:
    return node.with_value([node.without_tag()]) if isinstance(node.value, str | int | float) else node


def _words(report: Report, node: TreeNode, path: Path) -> TreeNode:
    """A command line, split as a shell does it. The command itself runs without a shell."""
    if not isinstance(node.value, str | int | float):
        return node
    try:
        return node.with_value([TreeNode(word, node.mark) for word in shlex.split(node.text)])
    except ValueError:
        return report.error(node, path, "cannot be split into words: a quote is not closed, or it ends in a backslash")


def _entrypoint(report: Report, node: TreeNode, path: Path) -> TreeNode:
    """An empty entrypoint removes that of the image, which the Engine API writes as [""]."""
    words = _words(report, node, path)
    return node.with_value([TreeNode("", node.mark)]) if words.value == [] else words


def _shell_test(report: Report, node: TreeNode, path: Path) -> TreeNode:
    if isinstance(node.value, str):
        return node.with_value([TreeNode("CMD-SHELL", node.mark), TreeNode(node.value, node.mark)])
    if node.items and node.items[0].value not in ("NONE", "CMD", "CMD-SHELL"):
        return report.error(node, path, "as a list must begin with NONE, CMD or CMD-SHELL")
    return node


def _assignments(report: Report, node: TreeNode, path: Path) -> TreeNode:
    """KEY=VALUE items as a mapping. A bare KEY gets null: an environment variable's value is resolved later."""
    if not isinstance(node.value, list):
        return node
    entries: dict[str, TreeNode] = {}
    for item in node.items:
        name, equals, value = item.text.partition("=")
        if not name and not item.is_broken:
            report.error(item, path, f"{item.text!r} is not of the form NAME=value")
            continue
        entries[name] = item.with_value(value if equals else None)
    return node.with_value(entries)


def _names(below: Mapping[str, str | bool]) -> Form:
    """A form that turns a list of names into a mapping, each name with the same entries."""

    def form(report: Report, node: TreeNode, path: Path) -> TreeNode:
        if not isinstance(node.value, list):
            return node
        return node.with_value(
            {
                item.text: item.with_value({key: TreeNode(value, item.mark) for key, value in below.items()})
                for item in node.items
                if not item.is_broken
            }
        )

    return form


def _with_key(key: str) -> Form:
    """A form that turns a string into a mapping with this key."""

    def form(report: Report, node: TreeNode, path: Path) -> TreeNode:
        return node.with_value({key: node.without_tag()}) if isinstance(node.value, str) else node

    return form


def _list_with_key(key: str) -> Form:
    """A form that does the same for each item of a list, or for a single item."""
    single = _with_key(key)

    def form(report: Report, node: TreeNode, path: Path) -> TreeNode:
        items = _to_list(report, node, path).items
        return node.with_value([single(report, item, path) for item in items])

    return form


def _hosts(report: Report, node: TreeNode, path: Path) -> TreeNode:
    """ "name:address" and "name=address" items as a mapping of name to addresses."""
    if isinstance(node.value, dict):
        return node.with_value(
            {
                name: item.with_value([item]) if isinstance(item.value, str) else item
                for name, item in node.value.items()
            }
        )
    entries: dict[str, TreeNode] = {}
    for item in node.items:
        separator = "=" if "=" in item.text else ":"
        name, _, address = item.text.partition(separator)
        if item.is_broken:
            continue
        if not name or not address:
            report.error(item, path, f'{item.text!r} is not of the form "name:address"')
            continue
        known = entries[name].items if name in entries else []
        entries[name] = item.with_value([*known, item.with_value(address.strip("[]"))])
    return node.with_value(entries)


def _ulimit(report: Report, node: TreeNode, path: Path) -> TreeNode:
    if isinstance(node.value, dict):
        return node
    return node.with_value({"soft": TreeNode(node.value, node.mark), "hard": TreeNode(node.value, node.mark)})


def _external(report: Report, node: TreeNode, path: Path) -> TreeNode:
    """`external: {name: x}` of a network, volume, secret or config becomes `external: true` and `name: x`."""
    external = node.get("external")
    if external is None or not isinstance(external.value, dict):
        return node
    name = external.entries.get("name")
    if name and node.get("name"):
        return report.error(
            external, (*path, "external"), "name is given both here and beside it; keep the one beside it"
        )
    entries = node.entries | {"external": external.with_value(True)} | ({"name": name} if name else {})
    return node.with_value(entries)


_HOOK: dict[str, Form] = {"command": _words, "environment": _assignments}
_BUILD: dict[str, Form] = {
    "additional_contexts": _assignments,
    "args": _assignments,
    "extra_hosts": _hosts,
    "labels": _assignments,
    "no_cache_filter": _to_list,
    "secrets": _list_with_key("source"),
    "ssh": _assignments,
    "ulimits.*": _ulimit,
}
_SERVICE: dict[str, Form] = {
    "x-argosy-schedule": _with_key("cron"),
    "annotations": _assignments,
    "build": _with_key("context"),
    **{f"build.{key}": form for key, form in _BUILD.items()},
    "command": _words,
    "configs": _list_with_key("source"),
    "depends_on": _names({"condition": "service_started", "required": True}),
    "deploy.labels": _assignments,
    "deploy.resources.reservations.devices.[].count": long_count,
    "devices": long_devices,
    "dns": _to_list,
    "dns_search": _to_list,
    "entrypoint": _entrypoint,
    "env_file": _list_with_key("path"),
    "environment": _assignments,
    "extends": _with_key("service"),
    "extra_hosts": _hosts,
    "gpus": long_requests,
    "gpus.[].count": long_count,
    "healthcheck.test": _shell_test,
    "label_file": _to_list,
    "labels": _assignments,
    "networks": _names({}),
    "ports": long_ports,
    **{f"{hook}.[].{key}": form for hook in ("post_start", "pre_start", "pre_stop") for key, form in _HOOK.items()},
    "secrets": _list_with_key("source"),
    "sysctls": _assignments,
    "tmpfs": _to_list,
    "ulimits.*": _ulimit,
    "volumes": long_volumes,
    "volumes.[].volume.labels": _assignments,
}
FORMS: dict[str, Form] = {
    "include": _list_with_key("path"),
    "include.[].env_file": _to_list,
    "include.[].path": _to_list,
    **{f"services.*.{key}": form for key, form in _SERVICE.items()},
    **{f"{kind}.*": _external for kind in ("networks", "volumes", "secrets", "configs")},
    **{f"{kind}.*.labels": _assignments for kind in ("networks", "volumes", "secrets", "configs")},
}
