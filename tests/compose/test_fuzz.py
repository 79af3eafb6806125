"""Any file is loaded, or refused with a sentence and a place: no traceback, no hang, nothing dropped in silence.

Set COMPOSE_FUZZ to the number of files for a long run (20000).
"""

from __future__ import annotations

import os
import re
from datetime import timedelta

from hypothesis import HealthCheck, given, settings

from api.errors import Invalid
from compose.load import Loaded, load
from compose.problems import Report
from compose.schema import SCHEMA, Schema
from compose.show import as_yaml
from compose.syntax import parse_yaml
from compose.tree import Node, children, is_extension
from tests.compose.documents import documents, mutated

EXAMPLES = int(os.environ.get("COMPOSE_FUZZ", "1500")) // 2
PLACE = re.compile(r".+?:[0-9]+:[0-9]+: .", re.DOTALL)
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=timedelta(seconds=20),
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def loaded(text: str) -> Loaded:
    """The text from standard input; files it names exist and hold `A=1`, but for `.env` and other compose files."""
    encoded = text.encode(errors="surrogatepass")

    def read(path: str) -> bytes | None:
        if path == "-":
            return encoded
        return None if path.endswith(("/.env", ".yaml", ".yml")) else b"A=1\n"

    return load(["-"], {"TAG": "1", "REPLICAS": "2", "HOME": "/home/u"}, "shop", "/project", read, current="/project")


def check(text: str) -> None:
    found = outcome(text)
    if isinstance(found, Invalid):
        assert str(found)
        assert all(PLACE.match(str(problem)) for problem in getattr(found, "problems", []))
        return
    for document in parse_yaml(Report(), "stdin", text):
        assert unknown(document, SCHEMA) == []
    again = loaded(as_yaml(found.project))
    assert again.project == found.project
    assert again.stack == found.stack


def outcome(text: str) -> Loaded | Invalid:
    try:
        return loaded(text)
    except Invalid as error:
        return error


def unknown(node: Node, schema: Schema) -> list[str]:
    """Keys that are not in the table: had there been one, the file would have been refused."""
    found: list[str] = []
    for part, child in children(node):
        below = schema.child(part)
        if below is not None:
            found += unknown(child, below)
        elif not part.startswith("[") and not is_extension(part):
            found.append(part)
    return found


@FUZZ
@given(documents())
def test_generated_files_are_loaded_or_refused(text: str) -> None:
    check(text)


@FUZZ
@given(mutated())
def test_mutated_files_are_loaded_or_refused(text: str) -> None:
    check(text)
