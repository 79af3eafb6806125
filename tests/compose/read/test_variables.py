"""Variables in strings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compose.read.variables import BadVariable, expand

ENVIRONMENT = {"SET": "value", "EMPTY": "", "X_1": "x"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$SET", "value"),
        ("${SET}", "value"),
        ("a$SET-b", "avalue-b"),
        ("$X_1!", "x!"),
        ("$$SET", "$SET"),
        ("$${SET}", "${SET}"),
        ("${NO:-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${NO-d}", "d"),
        ("${SET:+x}", "x"),
        ("${EMPTY:+x}", ""),
        ("${EMPTY+x}", "x"),
        ("${NO+x}", ""),
        ("${SET:?e}", "value"),
        ("${EMPTY?e}", ""),
        ("${NO:-${SET}}", "value"),
        ("${NO:-${ALSO:-deep}}", "deep"),
        ("${NO:-a:b-c?d}", "a:b-c?d"),
        ("${SET:-${NO?never reached}}", "value"),
    ],
)
def test_operators(text: str, result: str) -> None:
    assert expand(text, ENVIRONMENT).text == result


def test_an_unset_variable_is_named_once() -> None:
    assert expand("$NO ${NO} ${ALSO} ${SET:+${UNUSED:+}}", ENVIRONMENT).unset == ("NO", "ALSO", "UNUSED")[:2]


@pytest.mark.parametrize("text", ["$", "5$", "$1", "$?", "$(date)", "^/a$", "a$ b", "$-$*$@"])
def test_a_dollar_without_a_name_is_a_dollar(text: str) -> None:
    assert expand(text, ENVIRONMENT).text == text


@pytest.mark.parametrize("text", ["${", "${}", "${SET", "${1}", "${SET:}", "${A:-${B}", "${NO?}", "${EMPTY:?x}"])
def test_bad_variables_are_refused(text: str) -> None:
    with pytest.raises(BadVariable):
        expand(text, ENVIRONMENT)


@given(st.text())
def test_doubling_every_dollar_gives_the_text_back(text: str) -> None:
    assert expand(text.replace("$", "$$"), {}).text == text


@given(st.text(alphabet="${}:-?+AB ", max_size=30))
def test_any_text_is_expanded_or_refused(text: str) -> None:
    try:
        expand(text, {"A": "1"})
    except BadVariable:
        pass
