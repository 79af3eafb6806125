"""The short form of devices ("/dev/snd:/dev/snd:rw", "vendor.com/class=name"): conversion to the long form, checks."""

from __future__ import annotations

import re

from compose.read.report import Report
from compose.read.tree import Path, TreeNode

_CDI = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*/[a-zA-Z0-9][a-zA-Z0-9._-]*=[a-zA-Z0-9][a-zA-Z0-9._:-]*$")
_PERMISSIONS = re.compile(r"[rwm]{1,3}$")
ALL = -1
"""A count that means all devices."""


def is_cdi(source: str) -> bool:
    """Whether a device is given by CDI name rather than by path."""
    return bool(_CDI.match(source))


def long_devices(report: Report, node: TreeNode, path: Path) -> TreeNode:
    """`devices` in long form."""
    items = [
        _long(report, item, (*path, f"[{number}]")) if isinstance(item.value, str) else item
        for number, item in enumerate(node.items)
    ]
    return node.with_value([*items])


def _long(report: Report, item: TreeNode, path: Path) -> TreeNode:
    text = item.text
    if is_cdi(text):
        return item.with_value({"source": item})
    parts = text.split(":")
    if len(parts) == 2 and _PERMISSIONS.match(parts[1]):
        parts = [parts[0], parts[0], parts[1]]
    if len(parts) > 3 or not all(parts):
        return report.error(item, path, f'{text!r} is not a device; write "/dev/source:/dev/target:rwm"')
    entries = dict(zip(("source", "target", "permissions"), parts, strict=False))
    return item.with_value({key: item.with_value(value) for key, value in entries.items()})


def long_requests(report: Report, node: TreeNode, path: Path) -> TreeNode:
    """`gpus` in long form: "all", or a list whose entries mean all devices unless they give a count or ids."""
    if not isinstance(node.value, str):
        return node
    if node.value != "all":
        return report.error(node, path, f"must be all or a list of mappings, not {node.text!r}")
    return node.with_value([node.with_value({"count": node.with_value(ALL)})])


def long_count(report: Report, node: TreeNode, path: Path) -> TreeNode:
    """A count as a number: "all" is -1."""
    if node.value == "all":
        return node.with_value(ALL)
    if isinstance(node.value, str) and not re.fullmatch(r"-1|[0-9]+", node.value):
        return report.error(node, path, f'must be a whole number or "all", not {node.text!r}')
    return node


def device_problem(source: str, target: str, permissions: str) -> str:
    """A clause that says what is wrong with a device; "" when it is valid."""
    if is_cdi(source):
        return "a CDI device has no target and no permissions" if target or permissions else ""
    if not source.startswith("/"):
        return f'{source!r} is neither an absolute path nor a CDI device such as "vendor.com/class=name"'
    if target and not target.startswith("/"):
        return f"target {target!r} is not an absolute path"
    if permissions and not _PERMISSIONS.match(permissions):
        return f"permissions {permissions!r} are not made of r, w and m"
    return ""
