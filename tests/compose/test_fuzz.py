"""Any file is loaded, or refused with a sentence and a place: no traceback, no hang, nothing silently dropped.

Set COMPOSE_FUZZ to the number of files for a long run (20000); `-s` shows the outcomes.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

import pytest
from hypothesis import HealthCheck, given, settings
from msgspec import structs

from api.errors import Invalid
from compose.load import PHASES, LoadedProject
from compose.model.load_state import LoadState, Phase
from compose.read.report import Report
from compose.read.tree import TreeNode, children, is_extension
from compose.read.yaml_reader import parse_yaml
from compose.table.schema import SCHEMA, Schema
from compose.translate.compose_file import as_yaml
from tests.compose.documents import documents, mutated
from tests.compose.dropped import not_in_project, without_effect

EXAMPLES = int(os.environ.get("COMPOSE_FUZZ", "1000")) // 2
SECONDS = 10.0
"""Limit of processor time per file; usual are some milliseconds."""
PLACE = re.compile(r".+?:[0-9]+:[0-9]+: .", re.DOTALL)
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
TOTALS: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def totals() -> Iterator[None]:
    yield
    slowest = TOTALS.pop("slowest, in milliseconds", 0)
    print("\nfuzz:", ", ".join(f"{count} {what}" for what, count in sorted(TOTALS.items())), f"; slowest {slowest} ms")


class Hangs(AssertionError):
    """A file took longer than SECONDS."""


@contextmanager
def bounded(seconds: float = SECONDS) -> Iterator[None]:
    """Raises Hangs when the block takes more processor time; load on the machine does not count."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise Hangs(f"more than {seconds} s for one file")

    before = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def loaded(text: str, phases: Sequence[Phase] = PHASES) -> LoadedProject:
    """The text, loaded from standard input. Files it names hold `A=1`; `.env` and other compose files do not exist."""
    encoded = text.encode(errors="surrogatepass")

    def read(path: str) -> bytes | None:
        if path == "-":
            return encoded
        return None if path.endswith(("/.env", ".yaml", ".yml")) else b"A=1\n"

    environment = {"TAG": "1", "REPLICAS": "2", "HOME": "/home/u"}
    state = LoadState(("-",), "shop", "/project", environment, read, "/project")
    for phase in phases:
        state = phase(state)
    assert state.result is not None
    assert state.project is not None
    return LoadedProject(state.result, state.project, tuple(str(note) for note in state.report.notes))


def outcome(text: str, phases: Sequence[Phase] = PHASES) -> LoadedProject | Invalid:
    try:
        return loaded(text, phases)
    except Invalid as error:
        return error


def judged(document: TreeNode, found: LoadedProject) -> TreeNode:
    """The document without services of inactive profiles, which are not checked."""
    services = document.at("services")
    left = {name: node for name, node in services.items() if name in found.project.services}
    if len(left) == len(services):
        return document
    return document.with_value({**document.entries, "services": document.entries["services"].with_value({**left})})


def check(text: str, phases: Sequence[Phase] = PHASES) -> None:
    began = time.process_time()
    with bounded():
        found = outcome(text, phases)
    TOTALS["slowest, in milliseconds"] = max(
        TOTALS["slowest, in milliseconds"], round(1000 * (time.process_time() - began))
    )
    TOTALS["files"] += 1
    if isinstance(found, Invalid):
        TOTALS["refused"] += 1
        assert str(found)
        assert all(PLACE.match(str(problem)) for problem in getattr(found, "problems", []))
        return
    TOTALS["loaded"] += 1
    written = parse_yaml(Report(), "stdin", text)
    for document in written:
        assert unknown(judged(document, found), SCHEMA) == []
    again = loaded(as_yaml(found.project), phases)
    assert again.project == found.project
    assert again.stack == found.stack
    if len(written) == 1 and "!" not in text:
        TOTALS["looked through for dropped attributes"] += 1
        assert not_in_project(written[0], found) == []
    assert without_effect(found, lambda changed: outcome(changed, phases), text) == ""


def check_all(text: str, phases: Sequence[Phase] = PHASES) -> None:
    """Like `check`, but removes every attribute of the project once instead of a single one."""
    check(text, phases)
    for seed in range(20):
        assert without_effect(loaded(text, phases), lambda changed: outcome(changed, phases), str(seed)) == ""


def unknown(node: TreeNode, schema: Schema) -> list[str]:
    """Keys that are not in the table; a file with one must have been refused."""
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


def losing(*attributes: str) -> Phase:
    """A phase with a fault: services lose these attributes."""

    def phase(state: LoadState) -> LoadState:
        def bare(service: TreeNode) -> TreeNode:
            return service.with_value({key: node for key, node in service.entries.items() if key not in attributes})

        services = {name: bare(service) for name, service in state.tree.at("services").items()}
        node = state.tree.entries["services"]
        return replace(state, tree=state.tree.with_value({**state.tree.entries, "services": node.with_value(services)}))

    return phase


def forgetting(state: LoadState) -> LoadState:
    """A phase with another fault: the translation ignores an attribute of the project."""
    assert state.project is not None
    services = {
        name: structs.replace(service, oom_score_adj=0, labels={}) for name, service in state.project.services.items()
    }
    forgetful = replace(state, project=structs.replace(state.project, services=services))
    return replace(PHASES[-1](forgetful), project=state.project)


MISTAKES = {
    "it loses what a file says": (*PHASES[:9], losing("oom_score_adj", "labels"), *PHASES[9:]),
    "it does not use what a project has": (*PHASES[:-1], forgetting),
}


@pytest.mark.parametrize("phases", MISTAKES.values(), ids=MISTAKES.keys())
@pytest.mark.parametrize("attribute", ["oom_score_adj: 5", "labels: {a: b}", "labels: [a=b]"])
def test_an_attribute_that_is_dropped_is_found(phases: tuple[Phase, ...], attribute: str) -> None:
    text = f"services:\n  web:\n    image: web\n    {attribute}\n"
    check_all(text)
    with pytest.raises(AssertionError, match=r"labels|oom_score_adj"):
        check_all(text, phases)


def test_a_hang_is_found() -> None:
    def endless(state: LoadState) -> LoadState:
        while True:
            pass

    with pytest.raises(Hangs), bounded(0.05):
        outcome("services: {web: {image: web}}", (*PHASES[:3], endless))
