"""Phases 1 and 2: which files there are, the environment, and the files' trees.

The only phases that meet files on their own account; later ones ask `Work.read` for what a file names.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace

from compose.model.load_state import Work
from compose.read.dotenv import assignments
from compose.read.tree import Mark, Node
from compose.read.value_kinds import KINDS, WrongKind
from compose.read.yaml_reader import parse_yaml

_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_OVERRIDES = tuple(f"{stem}.override.{ending}" for stem in ("compose", "docker-compose") for ending in ("yml", "yaml"))


def find_files(work: Work) -> Work:
    """Files as given, or of COMPOSE_FILE, or of the usual names here or above; their directory; the environment."""
    given = work.files or _listed(work.environment)
    files = given or _usual(work)
    if not work.directory:
        work = replace(work, directory=_directory(work, files))
    work = replace(work, environment=environment_of(work))
    files = given or _listed(work.environment) or files
    if not files:
        start = Node(None, Mark(work.current, 1, 1))
        work.report.wrong(start, (), f"there is no compose file here; it is called {' or '.join(_NAMES[:3])}")
    words = work.environment.get("COMPOSE_PROFILES", "").split(",")
    return replace(
        work,
        files=files,
        stack=work.stack or work.environment.get("COMPOSE_PROJECT_NAME", ""),
        profiles=work.profiles | {word.strip() for word in words if word.strip()},
    )


def read_sources(work: Work) -> Work:
    """The trees of all files."""
    documents: list[Node] = []
    for name in work.files:
        path = name if name == "-" else os.path.normpath(os.path.join(work.current, name))
        start = Node(None, Mark(work.shown(name), 1, 1))
        work.report.opened(start.mark.file)
        text = _read(work, start, path)
        if text is not None:
            documents += parse_yaml(work.report, start.mark.file, text)
    return replace(work, documents=tuple(documents))


def read_file(path: str) -> bytes | None:
    """The FileReader of the real file system; "-" is standard input."""
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def environment_of(work: Work) -> dict[str, str]:
    """The environment with `.env` or what stands in its place; the environment wins, and later files over earlier."""
    known = work.environment
    names = work.env_files or tuple(_words(known.get("COMPOSE_ENV_FILES", ""), ","))
    if not names and _is_true(known.get("COMPOSE_DISABLE_ENV_FILE", "")):
        return dict(known)
    found: dict[str, str] = {}
    for name in names or (os.path.join(work.directory, ".env"),):
        path = os.path.normpath(os.path.join(work.current, name))
        text = _read_dotenv(work, path, is_required=bool(names))
        parsed = assignments(text, {**found, **known})
        for problem in parsed.problems:
            work.report.wrong(Node(None, Mark(work.shown(path), problem.line, 1)), (), problem.sentence)
        for variable, line in parsed.unset:
            note = f"variable {variable} is not set; an empty string is used"
            work.report.note(Node(None, Mark(work.shown(path), line, 1)), (), note)
        found |= {key: value for key, value in parsed.values.items() if value is not None}
    return {**found, **known}


def _read_dotenv(work: Work, path: str, *, is_required: bool) -> str:
    start = Node(None, Mark(work.shown(path), 1, 1))
    if is_required:
        return _read(work, start, path) or ""
    try:
        return work.text(path) or ""
    except IsADirectoryError:
        return ""  # as Docker's own does
    except UnicodeDecodeError as error:
        work.report.wrong(Node(None, _place_of(error, start.mark.file)), (), "is not UTF-8 text")
        return ""
    except OSError as error:
        work.report.wrong(start, (), f"cannot be read: {error.strerror or error}")
        return ""


def _read(work: Work, start: Node, path: str) -> str | None:
    try:
        text = work.text(path)
    except UnicodeDecodeError as error:
        work.report.wrong(Node(None, _place_of(error, start.mark.file)), (), "is not UTF-8 text")
        return None
    except (OSError, ValueError) as error:
        work.report.wrong(start, (), f"cannot be read: {getattr(error, 'strerror', None) or error}")
        return None
    if text is None:
        work.report.wrong(start, (), "there is no such file")
    return text


def _place_of(error: UnicodeDecodeError, file: str) -> Mark:
    """Where the first byte stands that is not UTF-8."""
    lines = error.object[: error.start].split(b"\n")
    return Mark(file, len(lines), len(lines[-1].decode(errors="replace")) + 1)


def _listed(environment: Mapping[str, str]) -> tuple[str, ...]:
    separator = environment.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
    return tuple(_words(environment.get("COMPOSE_FILE", ""), separator))


def _usual(work: Work) -> tuple[str, ...]:
    """The first usual name in this directory or the nearest one above that has one, and its override."""
    directory = work.current
    while True:
        for names in (_NAMES,):
            found = [name for name in names if _exists(work, os.path.join(directory, name))]
            if found:
                over = [name for name in _OVERRIDES if _exists(work, os.path.join(directory, name))]
                here = "" if directory == work.current else directory
                return tuple(os.path.join(here, name) for name in [*found[:1], *over[:1]])
        if directory == os.path.dirname(directory):
            return ()
        directory = os.path.dirname(directory)


def _exists(work: Work, path: str) -> bool:
    try:
        return work.read(path) is not None
    except OSError:
        return False


def _directory(work: Work, files: tuple[str, ...]) -> str:
    first = files[0] if files else "-"
    beside = "" if first == "-" else os.path.dirname(first)
    return os.path.normpath(os.path.join(work.current, beside))


def _words(text: str, separator: str) -> list[str]:
    return [word.strip() for word in text.split(separator) if word.strip()]


def _is_true(text: str) -> bool:
    try:
        return KINDS["boolean"].read(text) is True
    except WrongKind:
        return False
