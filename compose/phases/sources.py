"""Phases 1 and 2: find the files, build the environment, and parse the files.

Only these phases search for files. Later ones read files that a compose file names, with `LoadState.read`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace

from compose.model.load_state import LoadState
from compose.read.dotenv import assignments
from compose.read.tree import Mark, TreeNode
from compose.read.value_kinds import KINDS, KindMismatch
from compose.read.yaml_reader import parse_yaml

_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_OVERRIDES = tuple(f"{stem}.override.{ending}" for stem in ("compose", "docker-compose") for ending in ("yml", "yaml"))


def find_files(state: LoadState) -> LoadState:
    """Find the files (as given, from COMPOSE_FILE, or by default name), the project directory and the environment."""
    given = state.files or _listed(state.environment)
    files = given or _usual(state)
    if not state.directory:
        state = replace(state, directory=_directory(state, files))
    state = replace(state, environment=environment_of(state))
    files = given or _listed(state.environment) or files
    if not files:
        start = TreeNode(None, Mark(state.current, 1, 1))
        state.report.error(start, (), f"there is no compose file here; it is called {' or '.join(_NAMES[:3])}")
    words = state.environment.get("COMPOSE_PROFILES", "").split(",")
    return replace(
        state,
        files=files,
        stack=state.stack or state.environment.get("COMPOSE_PROJECT_NAME", ""),
        profiles=state.profiles | {word.strip() for word in words if word.strip()},
    )


def read_sources(state: LoadState) -> LoadState:
    """Parse all files."""
    documents: list[TreeNode] = []
    for name in state.files:
        path = name if name == "-" else os.path.normpath(os.path.join(state.current, name))
        start = TreeNode(None, Mark(state.shown(name), 1, 1))
        state.report.add_file(start.mark.file)
        text = _read(state, start, path)
        if text is not None:
            documents += parse_yaml(state.report, start.mark.file, text)
    return replace(state, documents=tuple(documents))


def read_file(path: str) -> bytes | None:
    """The FileReader for the real file system. "-" is standard input."""
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def environment_of(state: LoadState) -> dict[str, str]:
    """The environment plus the variables of `.env` or its replacements. The environment wins, then later files."""
    known = state.environment
    names = state.env_files or tuple(_words(known.get("COMPOSE_ENV_FILES", ""), ","))
    if not names and _is_true(known.get("COMPOSE_DISABLE_ENV_FILE", "")):
        return dict(known)
    found: dict[str, str] = {}
    for name in names or (os.path.join(state.directory, ".env"),):
        path = os.path.normpath(os.path.join(state.current, name))
        text = _read_dotenv(state, path, is_required=bool(names))
        parsed = assignments(text, {**found, **known})
        for problem in parsed.problems:
            state.report.error(TreeNode(None, Mark(state.shown(path), problem.line, 1)), (), problem.sentence)
        for variable, line in parsed.unset:
            note = f"variable {variable} is not set; an empty string is used"
            state.report.note(TreeNode(None, Mark(state.shown(path), line, 1)), (), note)
        found |= {key: value for key, value in parsed.values.items() if value is not None}
    return {**found, **known}


def _read_dotenv(state: LoadState, path: str, *, is_required: bool) -> str:
    start = TreeNode(None, Mark(state.shown(path), 1, 1))
    if is_required:
        return _read(state, start, path) or ""
    try:
        return state.text(path) or ""
    except IsADirectoryError:
        return ""  # as Docker Compose does
    except UnicodeDecodeError as error:
        state.report.error(TreeNode(None, _place_of(error, start.mark.file)), (), "is not UTF-8 text")
        return ""
    except OSError as error:
        state.report.error(start, (), f"cannot be read: {error.strerror or error}")
        return ""


def _read(state: LoadState, start: TreeNode, path: str) -> str | None:
    try:
        text = state.text(path)
    except UnicodeDecodeError as error:
        state.report.error(TreeNode(None, _place_of(error, start.mark.file)), (), "is not UTF-8 text")
        return None
    except (OSError, ValueError) as error:
        state.report.error(start, (), f"cannot be read: {getattr(error, 'strerror', None) or error}")
        return None
    if text is None:
        state.report.error(start, (), "there is no such file")
    return text


def _place_of(error: UnicodeDecodeError, file: str) -> Mark:
    """The place of the first byte that is not UTF-8."""
    lines = error.object[: error.start].split(b"\n")
    return Mark(file, len(lines), len(lines[-1].decode(errors="replace")) + 1)


def _listed(environment: Mapping[str, str]) -> tuple[str, ...]:
    separator = environment.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
    return tuple(_words(environment.get("COMPOSE_FILE", ""), separator))


def _usual(state: LoadState) -> tuple[str, ...]:
    """The first default name in the working directory or the nearest directory above it, and its override file."""
    directory = state.current
    while True:
        for names in (_NAMES,):
            found = [name for name in names if _exists(state, os.path.join(directory, name))]
            if found:
                over = [name for name in _OVERRIDES if _exists(state, os.path.join(directory, name))]
                here = "" if directory == state.current else directory
                return tuple(os.path.join(here, name) for name in [*found[:1], *over[:1]])
        if directory == os.path.dirname(directory):
            return ()
        directory = os.path.dirname(directory)


def _exists(state: LoadState, path: str) -> bool:
    try:
        return state.read(path) is not None
    except OSError:
        return False


def _directory(state: LoadState, files: tuple[str, ...]) -> str:
    first = files[0] if files else "-"
    beside = "" if first == "-" else os.path.dirname(first)
    return os.path.normpath(os.path.join(state.current, beside))


def _words(text: str, separator: str) -> list[str]:
    return [word.strip() for word in text.split(separator) if word.strip()]


def _is_true(text: str) -> bool:
    try:
        return KINDS["boolean"].read(text) is True
    except KindMismatch:
        return False
