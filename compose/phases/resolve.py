"""Phase 10: resolve what depends on the environment: profiles, env_file, label_file, bare variables, file contents."""

from __future__ import annotations

from dataclasses import replace

from compose.model.load_state import LoadState
from compose.phases.file_contents import read_contents
from compose.phases.volumes_from import with_volumes_from
from compose.read.dotenv import assignments
from compose.read.tree import Path, TreeNode


def resolve(state: LoadState) -> LoadState:
    """Remove services of inactive profiles, complete environments and labels, and read the contents of used files."""
    services = state.tree.get("services")
    if services is None:
        return state
    resolved: dict[str, TreeNode] = {}
    inactive: dict[str, tuple[str, ...]] = {}
    for name, service in services.entries.items():
        if _is_active(state, service):
            resolved[name] = _service(state, service, ("services", name))
        else:
            inactive[name] = tuple(item.text for item in service.entries["profiles"].items)
            state.report.forget(("services", name))
    if inactive and not resolved:
        wanted = sorted({profile for profiles in inactive.values() for profile in profiles})
        sentence = f"every service is in a profile and none is active; set COMPOSE_PROFILES, of: {', '.join(wanted)}"
        state.report.error(services, ("services",), sentence)
        services = services.broken()
    state = replace(state, inactive=inactive)
    resolved = with_volumes_from(state, resolved)
    tree = state.tree.with_value({**state.tree.entries, "services": services.with_value({**resolved})})
    return read_contents(replace(state, tree=tree))


def _is_active(state: LoadState, service: TreeNode) -> bool:
    profiles = service.get("profiles")
    if profiles is None or not profiles.items or "*" in state.profiles:
        return True
    return any(item.text in state.profiles for item in profiles.items)


def _service(state: LoadState, service: TreeNode, path: Path) -> TreeNode:
    if service.is_broken:
        return service
    entries = {key: node for key, node in service.entries.items() if key not in ("env_file", "label_file")}
    environment = _from_files(state, service, path, "env_file") | service.at("environment")
    if environment:
        entries["environment"] = service.with_value(_with_bare(state, environment, keep=True))
    labels = _from_files(state, service, path, "label_file") | service.at("labels")
    if labels:
        entries["labels"] = service.with_value(
            {
                name: node.with_value("") if node.value is None and not node.is_broken else node
                for name, node in labels.items()
            }
        )
    if arguments := service.at("build", "args"):
        build = service.entries["build"]
        known = service.with_value(_with_bare(state, arguments))
        entries["build"] = build.with_value({**build.entries, "args": known})
    return service.with_value(entries)


def _with_bare(state: LoadState, environment: dict[str, TreeNode], *, keep: bool = False) -> dict[str, TreeNode]:
    """The variables, with bare names filled in from the environment, or left out when they are not set there.

    With `keep` an unset name stays without a value, which unsets the image's variable, as in Docker Compose.
    """
    found: dict[str, TreeNode] = {}
    for name, node in environment.items():
        value = node.value if node.value is not None else state.environment.get(name)
        if value is not None or keep:
            found[name] = node.with_value(value)
    return found


def _from_files(state: LoadState, service: TreeNode, path: Path, attribute: str) -> dict[str, TreeNode]:
    found: dict[str, TreeNode] = {}
    listed = service.get(attribute)
    for number, item in enumerate(listed.items if listed else []):
        name, required, form = item.get("path") or item, item.get("required"), item.get("format")
        if name.is_broken or not name.text:
            continue
        where = (*path, attribute, f"[{number}]")
        text = _read(state, name, where, is_required=required is None or required.value is not False)
        if text is None:
            continue
        above = {**{key: node.text for key, node in found.items() if node.value is not None}, **state.environment}
        parsed = assignments(text, above, raw=form is not None and form.value == "raw")
        for problem in parsed.problems:
            state.report.error(name, where, f"{state.shown(name.text)}, {problem}")
        for variable, line in parsed.unset:
            sentence = f"{state.shown(name.text)}, line {line}: variable {variable} is not set; an empty string is used"
            state.report.note(name, where, sentence)
        found |= {key: TreeNode(value, name.mark) for key, value in parsed.values.items()}
    return found


def _read(state: LoadState, name: TreeNode, path: Path, *, is_required: bool) -> str | None:
    try:
        text = state.text(name.text)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        state.report.error(name, path, f"{state.shown(name.text)} cannot be read: {reason}")
        return None
    if text is None and is_required:
        state.report.error(name, path, f"there is no file {state.shown(name.text)}")
    return text
