"""Entry point of the compose front end: the phases in order, and `load`, which runs them.

docs/design/compose-phases.md describes each phase; a test compares the two lists.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from api.errors import Invalid
from api.ids import SERVICE_NAME
from compose.model.load_state import FileReader, LoadState, Phase
from compose.model.project import Project, project_of
from compose.model.stack import Stack
from compose.phases.canonical import canonical
from compose.phases.check import check
from compose.phases.extend import extend
from compose.phases.include import include
from compose.phases.interpolate import default_name, interpolate
from compose.phases.merge import merge
from compose.phases.paths import absolute_paths
from compose.phases.resolve import resolve
from compose.phases.sources import find_files, read_file, read_sources
from compose.phases.verify import verify
from compose.read.tree import plain
from compose.translate import literal_braces
from compose.translate import translate as translation
from compose.translate.cluster_checks import refusals, refusals_of_valid_parts


def model(state: LoadState) -> LoadState:
    """Phase 12: raise ComposeError with all problems found so far, or build the frozen project."""
    if state.report.problems:
        state.report.problems += refusals_of_valid_parts(state)
    state.report.raise_problems()
    project = project_of(plain(state.tree))
    stack = state.stack or project.name or default_name(state.directory)
    if not stack:
        raise Invalid("the stack has no name; give one as an argument, or `name:` in the compose file")
    check_stack_name(stack)
    return replace(state, project=msgspec.structs.replace(project, name=stack), stack=stack)


def translate(state: LoadState) -> LoadState:
    """Phase 13: translate the project to networks and services, and report what the cluster would refuse."""
    raw = translation.translate(state.project or Project(), state.stack, state.contents)
    services = state.tree.at("services")
    for name in literal_braces.services_with_literals(raw):
        if name in services:
            state.report.note(services[name], ("services", name), literal_braces.NOTE)
    result = literal_braces.escaped(raw)
    state.report.problems += refusals(state.tree, result)
    state.report.raise_problems()
    return replace(state, result=result)


PHASES: tuple[Phase, ...] = (
    find_files,
    read_sources,
    interpolate,
    check,
    canonical,
    absolute_paths,
    include,
    extend,
    merge,
    resolve,
    verify,
    model,
    translate,
)


@dataclass(frozen=True, slots=True)
class LoadedProject:
    """The loaded stack, with notes for the user."""

    stack: Stack
    project: Project
    """In canonical form. compose/translate/compose_file.py writes it as a compose file."""
    notes: tuple[str, ...] = ()
    directory: str = ""
    """The project directory, which relative paths are relative to."""


def load(
    files: Sequence[str],
    environment: Mapping[str, str],
    stack: str = "",
    directory: str = "",
    read: FileReader = read_file,
    *,
    current: str = "",
    env_files: Sequence[str] = (),
    profiles: Sequence[str] = (),
) -> LoadedProject:
    """The stack that compose files describe.

    `files`: paths, or "-" for standard input; empty for COMPOSE_FILE, or the default names in `current` (the working
    directory) or above it. `directory`: the project directory; by default that of the first file. `env_files` replace
    its `.env`. `profiles` are active in addition to COMPOSE_PROFILES.
    Raises ComposeError with all problems found, Invalid for a bad stack name.
    """
    if stack:
        check_stack_name(stack)
    current = os.path.abspath(current or os.getcwd())
    state = LoadState(
        files=tuple(files),
        stack=stack,
        directory=os.path.normpath(os.path.join(current, directory)) if directory else "",
        environment=environment,
        read=read,
        current=current,
        env_files=tuple(env_files),
        profiles=frozenset(profiles),
    )
    for phase in PHASES:
        state = phase(state)
    assert state.result is not None
    assert state.project is not None
    return LoadedProject(state.result, state.project, tuple(str(note) for note in state.report.notes), state.directory)


def check_stack_name(name: str) -> None:
    """Raise Invalid for a bad stack name."""
    if not SERVICE_NAME.fullmatch(name):
        raise Invalid(f"{name!r} is no name of a stack: letters, digits, - and _ between them")
