"""What may come from outside at all."""

from __future__ import annotations

import pytest

from api.bounds import LARGEST, MOST_DEPTH, check_parameter, read_json, whole_number
from api.errors import Invalid


def test_nulls_count_as_not_there() -> None:
    assert read_json(b'{"a": null, "b": [{"c": null, "d": 1}]}', "it") == {"b": [{"d": 1}]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"[" * 100_000, "nested deeper"),
        (b'{"a":' * (MOST_DEPTH + 1) + b"1" + b"}" * (MOST_DEPTH + 1), "nested deeper"),
        (b'{"a": "\\u0000"}', "NUL"),
        (b'{"a\\u0000": 1}', "NUL"),
        (b'{"a": 9223372036854775808}', "beyond 64 bits"),
        (b"1" * 5000, "it"),
        (b'{"a": "\\ud800"}', "it is not JSON"),
        (b'"\xff"', "it is not JSON"),
        (b"{'a': 1}", "line 1, column 2"),
    ],
)
def test_what_is_beyond_is_refused_in_one_sentence(text: bytes, words: str) -> None:
    with pytest.raises(Invalid, match=words) as error:
        read_json(text, "it")
    assert len(str(error.value)) < 200


def test_the_deepest_that_is_taken_is_taken() -> None:
    assert read_json(b"[" * MOST_DEPTH + b"]" * MOST_DEPTH, "it")


@pytest.mark.parametrize("text", ["", "x", "1.5", "²", "٣", "1e3", "0x1", " 1", "9" * 5000, str(LARGEST + 1), "-1"])
def test_numbers_that_are_none_or_too_large(text: str) -> None:
    with pytest.raises(Invalid, match=r"^limit: "):
        whole_number(text, "limit")


def test_numbers_within_their_bounds() -> None:
    assert [whole_number(text, "t", -1, 10) for text in ("-1", "0", "+7", "10", "007")] == [-1, 0, 7, 10, 7]


def test_parameters() -> None:
    assert check_parameter("é/ü", "name") == "é/ü"
    for bad in ("a\0", "\udcff", "a" * 10_000):
        with pytest.raises(Invalid, match=r"^name: "):
            check_parameter(bad, "name")
