"""The way into the compose front end: the phases in their order, and `load`, which runs them.

docs/design/compose-phases.md tells them one by one; a test compares the two.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from api.errors import Invalid
from api.names import SERVICE_NAME
from api.unsupported import network_refusals, service_refusals
from api.validate import network_problems, service_problems
from compose import translate as translation
from compose.canonical import canonical
from compose.check import check
from compose.interpolate import interpolate
from compose.merge import merge
from compose.model import Project, project_of
from compose.problems import Remark
from compose.resolve import resolve
from compose.sources import read_file, read_sources
from compose.stack import Stack
from compose.tree import plain
from compose.verify import verify
from compose.work import FileReader, Phase, Work


def model(work: Work) -> Work:
    """Phase 8: end with every problem found so far, or make the frozen project."""
    work.report.close()
    project = project_of(plain(work.tree))
    stack = work.stack or project.name
    if not stack:
        raise Invalid("the stack has no name; give one as an argument, or `name:` in the compose file")
    check_stack_name(stack)
    return replace(work, project=project, stack=stack)


def translate(work: Work) -> Work:
    """Phase 9: the networks and services of the stack; and what the cluster itself would refuse of them."""
    result = translation.translate(work.project or Project(), work.stack)
    services = work.tree.at("services")
    for item in result.services:
        for sentence in (*service_problems(item.spec), *service_refusals(item.spec)):
            work.report.problems.append(Remark(services[item.short_name].mark, ("services", item.short_name), sentence))
    top = work.tree.get("networks") or work.tree
    for spec in result.networks:
        for sentence in (*network_problems(spec), *network_refusals(spec)):
            work.report.problems.append(Remark(top.mark, ("networks",), f"{spec.name}: {sentence}"))
    work.report.close()
    return replace(work, result=result)


PHASES: tuple[Phase, ...] = (
    read_sources,
    interpolate,
    check,
    canonical,
    merge,
    resolve,
    verify,
    model,
    translate,
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was loaded, and what the user should know of it."""

    stack: Stack
    project: Project
    notes: tuple[str, ...] = ()


def load(
    files: Sequence[str],
    environment: Mapping[str, str],
    stack: str = "",
    directory: str = "",
    read: FileReader = read_file,
) -> Loaded:
    """Compose files to a stack. `files` may name "-" for standard input; `directory` is the first file's, if not given.

    Raises ComposeError with every problem there is, Invalid for a bad name of the stack.
    """
    if stack:
        check_stack_name(stack)
    first = files[0] if files else "-"
    work = Work(
        files=tuple(files),
        stack=stack,
        directory=os.path.abspath(directory or ("." if first == "-" else os.path.dirname(first) or ".")),
        environment=environment,
        read=read,
        profiles=frozenset(name.strip() for name in environment.get("COMPOSE_PROFILES", "").split(",") if name.strip()),
    )
    for phase in PHASES:
        work = phase(work)
    assert work.result is not None
    assert work.project is not None
    return Loaded(work.result, work.project, tuple(str(note) for note in work.report.notes))


def check_stack_name(name: str) -> None:
    """Raises Invalid when a stack cannot be called that."""
    if not SERVICE_NAME.fullmatch(name):
        raise Invalid(f"{name!r} is no name of a stack: letters, digits, - and _ between them")
