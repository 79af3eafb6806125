"""Secrets and configs in a deploy plan. Pure. Each content is a version of its own, and no version is ever changed.

New content makes a new version, and the services that use it are updated. An old version is removed when no service,
and no revision to which a rollback may return, uses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from api.engine.stored_files import StoredFileAnswer
from api.service.service_spec import ServiceSpec
from compose.model.stack import SHORT_NAME, Stack, StackFile

FileKind = Literal["secret", "config"]
FILE_KINDS: tuple[FileKind, FileKind] = ("secret", "config")
Files = Mapping[FileKind, Sequence[StoredFileAnswer]]
"""All secrets and configs of the cluster."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """A secret or config to create."""

    kind: FileKind
    file: StackFile


def missing_files(stack: Stack, files: Files) -> list[str]:
    """A sentence for each external secret or config that does not exist."""
    return [
        f"{kind} {name} is external and does not exist; create it first"
        for kind in FILE_KINDS
        for name in _of_stack(stack, kind)[1]
        if name not in {file.spec.name for file in files.get(kind, ())}
    ]


def new_files(stack: Stack, files: Files) -> Iterator[FileChange]:
    """Versions to create."""
    for kind in FILE_KINDS:
        there = {file.spec.name for file in files.get(kind, ())}
        yield from (FileChange(kind, file) for file in _of_stack(stack, kind)[0] if file.name not in there)


def old_files(
    stack: Stack, files: Files, in_use: Sequence[ServiceSpec], prune: bool
) -> Iterator[tuple[FileKind, StoredFileAnswer]]:
    """Versions to remove: no spec in use names them. With `prune` also those whose name the stack no longer has."""
    for kind in FILE_KINDS:
        own = {file.short_name for file in _of_stack(stack, kind)[0]}
        used = {name for spec in in_use for name in used_files(spec, kind)} | {
            file.name for file in _of_stack(stack, kind)[0]
        }
        for file in files.get(kind, ()):
            short = file.spec.labels.get(SHORT_NAME, "")
            if file.stack == stack.name and short and file.spec.name not in used and (prune or short in own):
                yield kind, file


def remaining_revisions(
    revisions: Sequence[ServiceSpec], updates: Mapping[str, int], changed: Mapping[str, ServiceSpec]
) -> Iterator[ServiceSpec]:
    """The revisions that are still stored after the given number of `updates` of each service.

    `revisions` has those stored today, the newest of each service first. The newest always stays, as the previous one.
    Source: manager/orchestrator/updates/revisions.py, `prune`.
    """
    by_name: dict[str, list[ServiceSpec]] = {}
    for spec in revisions:
        by_name.setdefault(spec.name, []).append(spec)
    for name, specs in by_name.items():
        most = changed.get(name, specs[0]).kept_revisions
        yield from specs[: max(most - updates[name], 1)] if updates.get(name) else specs


def used_files(spec: ServiceSpec, kind: FileKind) -> Iterator[str]:
    """Names of the secrets or configs that a service refers to."""
    container = spec.task_template.container_spec
    if kind == "secret":
        yield from (reference.secret_name for reference in container.secrets)
    else:
        yield from (reference.config_name for reference in container.configs)


def _of_stack(stack: Stack, kind: FileKind) -> tuple[tuple[StackFile, ...], tuple[str, ...]]:
    if kind == "secret":
        return stack.secrets, stack.external_secrets
    return stack.configs, stack.external_configs
