"""Phase 6: settle what depends on the surroundings: profiles, env_file, label_file, bare variables, relative paths."""

from __future__ import annotations

import os
from dataclasses import replace

from compose.dotenv import BadLine, parse
from compose.tree import Node, Path
from compose.work import Work


def resolve(work: Work) -> Work:
    """The tree without services of other profiles, environments and labels complete, bind sources absolute."""
    services = work.tree.get("services")
    if services is None:
        return work
    resolved = {
        name: _service(work, service, ("services", name))
        for name, service in services.entries.items()
        if _is_active(work, service)
    }
    return replace(work, tree=work.tree.with_value({**work.tree.entries, "services": services.with_value(resolved)}))


def _is_active(work: Work, service: Node) -> bool:
    profiles = service.get("profiles")
    if profiles is None or not profiles.items or "*" in work.profiles:
        return True
    return any(item.text in work.profiles for item in profiles.items)


def _service(work: Work, service: Node, path: Path) -> Node:
    entries = dict(service.entries)
    environment = _from_files(work, service, path, "env_file") | service.at("environment")
    entries["environment"] = service.with_value(_with_bare(work, environment))
    labels = _from_files(work, service, path, "label_file") | service.at("labels")
    entries["labels"] = service.with_value(
        {
            name: node.with_value("") if node.value is None and not node.is_broken else node
            for name, node in labels.items()
        }
    )
    if volumes := entries.get("volumes"):
        entries["volumes"] = volumes.with_value([_absolute(work, item) for item in volumes.items])
    return service if service.is_broken else service.with_value(entries)


def _with_bare(work: Work, environment: dict[str, Node]) -> dict[str, Node]:
    """A name without a value is taken from the environment; when it is not there either, it is left out."""
    found: dict[str, Node] = {}
    for name, node in environment.items():
        value = node.value if node.value is not None else work.environment.get(name)
        if value is not None:
            found[name] = node.with_value(value)
    return found


def _from_files(work: Work, service: Node, path: Path, attribute: str) -> dict[str, Node]:
    found: dict[str, Node] = {}
    listed = service.get(attribute)
    for number, item in enumerate(listed.items if listed else []):
        name, required, form = item.get("path") or item, item.get("required"), item.get("format")
        if name.is_broken or not name.text:
            continue
        where = (*path, attribute, f"[{number}]")
        text = _read(work, name, where, is_required=required is None or required.value is not False)
        if text is None:
            continue
        try:
            parsed = parse(text, work.environment, raw=form is not None and form.value == "raw")
        except BadLine as error:
            work.report.wrong(name, where, f"{name.text}, {error}")
            continue
        found |= {key: Node(value, name.mark) for key, value in parsed.items()}
    return found


def _read(work: Work, name: Node, path: Path, *, is_required: bool) -> str | None:
    try:
        text = work.read(absolute(work.directory, name.text))
    except (OSError, UnicodeDecodeError) as error:
        work.report.wrong(name, path, f"{name.text} cannot be read: {getattr(error, 'strerror', None) or error}")
        return None
    if text is None and is_required:
        work.report.wrong(name, path, f"there is no file {name.text}")
    return text


def _absolute(work: Work, item: Node) -> Node:
    kind, source = item.get("type"), item.get("source")
    if not kind or kind.value != "bind" or not source or not source.text:
        return item
    return item.with_value(item.entries | {"source": source.with_value(absolute(work.directory, source.text))})


def absolute(directory: str, path: str) -> str:
    """A path as the user of the command line means it: relative to the first file, `~` is their home."""
    return os.path.normpath(os.path.join(directory, os.path.expanduser(path)))
