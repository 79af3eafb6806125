"""Phase 10: settle what depends on the surroundings: profiles, env_file, label_file, bare variables, file contents."""

from __future__ import annotations

from dataclasses import replace

from compose.model.load_state import Work
from compose.phases.file_contents import read_contents
from compose.phases.volumes_from import with_borrowed
from compose.read.dotenv import assignments
from compose.read.tree import Node, Path


def resolve(work: Work) -> Work:
    """The tree without services of other profiles, environments and labels complete; what used files hold is read."""
    services = work.tree.get("services")
    if services is None:
        return work
    resolved: dict[str, Node] = {}
    inactive: dict[str, tuple[str, ...]] = {}
    for name, service in services.entries.items():
        if _is_active(work, service):
            resolved[name] = _service(work, service, ("services", name))
        else:
            inactive[name] = tuple(item.text for item in service.entries["profiles"].items)
            work.report.forget(("services", name))
    if inactive and not resolved:
        wanted = sorted({profile for profiles in inactive.values() for profile in profiles})
        sentence = f"every service is in a profile and none is active; set COMPOSE_PROFILES, of: {', '.join(wanted)}"
        work.report.wrong(services, ("services",), sentence)
        services = services.broken()
    work = replace(work, inactive=inactive)
    resolved = with_borrowed(work, resolved)
    tree = work.tree.with_value({**work.tree.entries, "services": services.with_value({**resolved})})
    return read_contents(replace(work, tree=tree))


def _is_active(work: Work, service: Node) -> bool:
    profiles = service.get("profiles")
    if profiles is None or not profiles.items or "*" in work.profiles:
        return True
    return any(item.text in work.profiles for item in profiles.items)


def _service(work: Work, service: Node, path: Path) -> Node:
    if service.is_broken:
        return service
    entries = {key: node for key, node in service.entries.items() if key not in ("env_file", "label_file")}
    environment = _from_files(work, service, path, "env_file") | service.at("environment")
    if environment:
        entries["environment"] = service.with_value(_with_bare(work, environment, keep=True))
    labels = _from_files(work, service, path, "label_file") | service.at("labels")
    if labels:
        entries["labels"] = service.with_value(
            {
                name: node.with_value("") if node.value is None and not node.is_broken else node
                for name, node in labels.items()
            }
        )
    if arguments := service.at("build", "args"):
        build = service.entries["build"]
        known = service.with_value(_with_bare(work, arguments))
        entries["build"] = build.with_value({**build.entries, "args": known})
    return service.with_value(entries)


def _with_bare(work: Work, environment: dict[str, Node], *, keep: bool = False) -> dict[str, Node]:
    """A name without a value is taken from the environment; when it is not there either, it is left out.

    With `keep` it stays without a value: the image's own is taken away then, as Docker Compose has it.
    """
    found: dict[str, Node] = {}
    for name, node in environment.items():
        value = node.value if node.value is not None else work.environment.get(name)
        if value is not None or keep:
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
        above = {**{key: node.text for key, node in found.items() if node.value is not None}, **work.environment}
        parsed = assignments(text, above, raw=form is not None and form.value == "raw")
        for problem in parsed.problems:
            work.report.wrong(name, where, f"{work.shown(name.text)}, {problem}")
        for variable, line in parsed.unset:
            sentence = f"{work.shown(name.text)}, line {line}: variable {variable} is not set; an empty string is used"
            work.report.note(name, where, sentence)
        found |= {key: Node(value, name.mark) for key, value in parsed.values.items()}
    return found


def _read(work: Work, name: Node, path: Path, *, is_required: bool) -> str | None:
    try:
        text = work.text(name.text)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        work.report.wrong(name, path, f"{work.shown(name.text)} cannot be read: {reason}")
        return None
    if text is None and is_required:
        work.report.wrong(name, path, f"there is no file {work.shown(name.text)}")
    return text
