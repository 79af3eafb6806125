"""Phase 11, checks of `build`: what `argosy stack build` could not carry out."""

from __future__ import annotations

from compose.model.load_state import LoadState
from compose.phases.verify_network import undefined
from compose.read.tree import Path, TreeNode, items_of, text_of


def verify_build(state: LoadState, service: TreeNode, path: Path) -> None:
    """Report the problems of a service's `build`."""
    build = service.get("build")
    if build is None or build.is_broken:
        return
    where = (*path, "build")
    inline = build.get("dockerfile_inline")
    if inline and inline.text and text_of(build, "dockerfile"):
        state.report.error(inline, (*where, "dockerfile_inline"), "cannot stand beside dockerfile; keep one of them")
    known = state.tree.at("secrets")
    for number, item in enumerate(items_of(build, "secrets")):
        if not item.is_broken and text_of(item, "source") not in known:
            sentence = undefined("secret", text_of(item, "source"), known)
            state.report.error(item, (*where, "secrets", f"[{number}]"), sentence)
    for name, node in build.at("additional_contexts").items():
        if node.text.startswith("service:"):
            sentence = f"{node.text!r} is refused: images are built one by one; name the image, as docker-image://NAME"
            state.report.error(node, (*where, "additional_contexts", name), sentence)
    _platforms(state, service, build, where)


def _platforms(state: LoadState, service: TreeNode, build: TreeNode, where: Path) -> None:
    wanted, listed = text_of(service, "platform"), items_of(build, "platforms")
    if wanted and listed and wanted not in [item.text for item in listed]:
        sentence = f"must have {wanted} among them, which is the service's platform"
        state.report.error(build.entries["platforms"], (*where, "platforms"), sentence)
