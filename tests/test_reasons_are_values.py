"""No decision is made by looking into a text: why something is as it is, is a Reason (api/reasons).

The rule is one of names. What is called a reason, message, error, complaint … is a text for people, or from another
program; looking for words in it, comparing it with a literal, or taking it apart is what this test finds. Two texts may
be compared with one another (to say nothing twice).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("manager", "cli", "agent", "node", "overlay")
TEXTS = {
    "reason", "message", "err", "error", "complaint", "details", "detail", "sentence", "why", "trouble", "warning",
    "stderr", "strerror", "advice", "said", "old_message", "old_error", "old_reason", "old_waits",
}  # fmt: skip
RENDERERS = {"text", "texts", "task_message", "task_error", "update_message", "str"}
LOOKING = {
    "startswith", "endswith", "find", "rfind", "index", "count", "partition", "rpartition", "split", "rsplit",
    "removeprefix", "removesuffix",
}  # fmt: skip
MATCHING = {"search", "match", "fullmatch", "findall", "finditer"}
EXCEPTIONS = {
    "manager/etcd": "etcd tells errors of one gRPC code apart by their description; its own client does it so",
    "manager/images/registry.py": "skopeo's line without its logging, for people",
    "overlay/dns/standin.py": "a message is a dict here",
    "overlay/dns/standin_client.py": "a message is a dict here",
}


def is_text(node: ast.expr) -> bool:
    """Whether it is what people call a reason, or a Reason rendered."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in TEXTS
        case ast.Call(func=ast.Attribute(attr="lower" | "upper" | "strip" | "casefold", value=inner)):
            return is_text(inner)
        case ast.Call(func=ast.Attribute(attr="details")):
            return True
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[inner, *_]) if name in RENDERERS:
            return name != "str" or is_text(inner)
        case ast.Subscript(value=inner, slice=place):
            return is_text(inner) and not (isinstance(place, ast.Constant) and isinstance(place.value, str))
    return False


def is_literal(node: ast.expr) -> bool:
    """A text that says something; "" only asks whether there is one."""
    match node:
        case ast.Constant(value=str(text)):
            return bool(text)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.isupper()
        case ast.JoinedStr():
            return True
        case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
            return any(map(is_literal, items))
    return False


def looks(node: ast.AST) -> bool:
    """Whether it looks into a text."""
    match node:
        case ast.Compare(left=left, ops=ops, comparators=rights):
            sides = [left, *rights]
            return any(_compares(op, *pair) for op, pair in zip(ops, pairwise(sides), strict=True))
        case ast.Call(func=ast.Attribute(attr=name, value=value)) if name in LOOKING:
            return is_text(value)
        case ast.Call(func=ast.Attribute(attr=name), args=arguments) if name in MATCHING:
            return any(map(is_text, arguments))
        case ast.Match(subject=subject):
            return is_text(subject)
    return False


def _compares(op: ast.cmpop, left: ast.expr, right: ast.expr) -> bool:
    if isinstance(op, ast.In | ast.NotIn):
        return is_text(right) or (is_text(left) and is_literal(right))
    if isinstance(op, ast.Eq | ast.NotEq):
        return (is_text(left) and is_literal(right)) or (is_text(right) and is_literal(left))
    return False


def parsed(source: str) -> ast.Module:
    """The syntax tree. CPython 3.11 counts the depth for all parsers at once (gh-106905): one is upset by another that
    runs in between, in a collection or a thread of an earlier test, and the next try is right."""
    try:
        return ast.parse(source)
    except SystemError:
        return ast.parse(source)


def found_in(source: str) -> Iterator[str]:
    """Each place that looks into a text."""
    for node in ast.walk(parsed(source)):
        if looks(node):
            yield f"{node.lineno}: {ast.unparse(node).splitlines()[0]}"  # type: ignore[attr-defined]


@pytest.mark.parametrize("room", ROOMS)
def test_nothing_is_decided_by_looking_into_a_text(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{place}"
        for path in sorted((ROOT / room).rglob("*.py"))
        if not any(path.is_relative_to(ROOT / name) for name in EXCEPTIONS)
        for place in found_in(path.read_text())
    ]
    assert not wrong, "decide by a Reason's code and facts instead:\n" + "\n".join(wrong)


def test_every_exception_is_still_one() -> None:
    for name in EXCEPTIONS:
        path = ROOT / name
        files = path.rglob("*.py") if path.is_dir() else [path]
        assert any(list(found_in(file.read_text())) for file in files), name


@pytest.mark.parametrize(
    "source",
    [
        'if "health" in message: pass', 'if task.reason.startswith("waiting for"): pass', "message == UNMET",
        'status.error != "no such image"', 're.search(r"task (\\w+)", detail)',
        'any(w in error.lower() for w in IMAGE)',
        'text, _, rest = warning.partition("; ")', '"no space" in str(error)', '"quota" in error.details()',
        'message in ("a", "b")', 'text(task.reason) == "x"', "match reason:\n    case 'a': pass",
    ],
)  # fmt: skip
def test_what_the_rule_finds(source: str) -> None:
    assert list(found_in(source))


@pytest.mark.parametrize(
    "source",
    ["if reason != last: pass", 'if message == "": pass', "error.errno == errno.ENOENT", "reason.code in _IMAGE",
     "isinstance(error, NotFound)", "reason is None", 'task.reason.code == Code.TEXT', '"x" in reason.facts'],
)  # fmt: skip
def test_what_it_lets_pass(source: str) -> None:
    assert not list(found_in(source))
