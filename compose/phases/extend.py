"""Phase 8: `extends`, which bases a service on another one of the same or another file.

The service is merged over its base as a later file is over an earlier one. A base's own `extends` is applied first.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from compose.model.load_state import EMPTY, LoadState
from compose.phases.canonical import canonical
from compose.phases.check import check
from compose.phases.interpolate import interpolate
from compose.phases.merge import merged_service
from compose.phases.paths import absolute_paths
from compose.phases.sources import read_sources
from compose.read.report import Report
from compose.read.tree import RESET, Path, TreeNode

_PHASES = (read_sources, interpolate, check, canonical, absolute_paths)
"""The phases for a file that is only extended."""
_DEPTH = 50
_WHOLE = 2
"""Length of the path of a service."""
Place = tuple[str, str]
"""A file ("" for the project's own) and the name of a service in it."""


def extend(state: LoadState) -> LoadState:
    """Apply all `extends`. Without `file` the base is in the same document or in an earlier one."""
    if not any(service.get("extends") for service in _services(state.documents)):
        return state
    extended: list[TreeNode] = []
    for document in state.documents:
        extended.append(_Extender(state, extended).document(document))
    return replace(state, documents=tuple(extended))


def _services(documents: Iterable[TreeNode]) -> Iterable[TreeNode]:
    return (service for document in documents for service in document.at("services").values())


@dataclass(slots=True)
class _Extender:
    """Extends the services of one document."""

    state: LoadState
    earlier: list[TreeNode]
    files: dict[str, TreeNode] = field(default_factory=dict)
    """Merged documents of other files, by path."""
    reports: dict[str, Report] = field(default_factory=dict)
    """The reports of these files. Only entries about extended services count: the rest of the file is not used."""

    def document(self, document: TreeNode) -> TreeNode:
        services = document.get("services")
        if services is None or not isinstance(services.value, dict):
            return document
        found = {name: self._service(document, "", name, ()) for name in services.value}
        return document.with_value(document.entries | {"services": services.with_value(found)})

    def _service(self, document: TreeNode, file: str, name: str, trail: tuple[Place, ...]) -> TreeNode:
        service = document.at("services")[name]
        extends = service.get("extends")
        if extends is None or extends.tag == RESET:
            return service
        where = ("services", name, "extends")
        own = service.with_value({key: node for key, node in service.entries.items() if key != "extends"})
        if extends.is_broken:
            return own.with_value({"image": extends, **own.entries})
        base = self._base(document, file, extends, where, (*trail, (file, name)))
        if base is None:
            return own.with_value({"image": extends.broken(), **own.entries})  # else "no image" is reported, too
        return merged_service(base, own)

    def _base(
        self, document: TreeNode, file: str, extends: TreeNode, where: Path, trail: tuple[Place, ...]
    ) -> TreeNode | None:
        other, name_node = extends.get("file"), extends.get("service")
        name = name_node.text if name_node else ""
        target = other.text if other and other.text else file
        source = self._file(target, extends, where) if other and other.text else document
        if source is None:
            return None
        if (target, name) in trail:
            circle = [*trail[trail.index((target, name)) :], (target, name)]
            self.state.report.error(extends, where, f"goes in a circle: {' → '.join(self._shown(*p) for p in circle)}")
            return None
        if len(trail) > _DEPTH:
            self.state.report.error(extends, where, f"goes through more than {_DEPTH} services")
            return None
        if name in source.at("services"):
            if target:
                self.state.report.take(self.reports[target], lambda where: where[:_WHOLE] == ("services", name))
            return self._service(source, target, name, trail)
        for before in [] if target else reversed(self.earlier):
            if name in before.at("services"):
                return before.at("services")[name]
        if not source.is_broken:
            known = ", ".join(source.at("services")) or "none"
            place = f" in {self.state.shown(target)}" if target else ""
            self.state.report.error(extends, where, f"there is no service {name!r}{place}; there are: {known}")
        return None

    def _file(self, path: str, extends: TreeNode, where: Path) -> TreeNode | None:
        """The document of another file. When it is missing, reports that and returns None."""
        if path not in self.files:
            report = self.reports[path] = Report()
            inner = replace(self.state, files=(path,), directory=os.path.dirname(path), documents=(), report=report)
            if not self._exists(path):
                self.state.report.error(extends, where, f"there is no file {self.state.shown(path)}")
                return None
            for phase in _PHASES:
                inner = phase(inner)
            self.files[path] = inner.documents[0] if inner.documents else EMPTY.broken()
            self.state.report.take(report, lambda where: len(where) < _WHOLE)
        return self.files[path]

    def _exists(self, path: str) -> bool:
        try:
            return self.state.data(path) is not None
        except OSError:
            return True  # reading it reports the problem

    def _shown(self, file: str, name: str) -> str:
        return f"{name} ({self.state.shown(file)})" if file else name
