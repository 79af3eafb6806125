"""Loading, where golden cases are not enough: names, sizes, depth, versions of secrets, and which files are read."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from api.errors import Invalid
from compose.load import LoadedProject, load
from compose.model.stack import DIGEST, NAMESPACE, SHORT_NAME


def loaded(
    text: str, files: Mapping[str, bytes] | None = None, stack: str = "shop", **environment: str
) -> LoadedProject:
    there = {"-": text.encode(), **(files or {})}
    return load(["-"], environment, stack, "/p", there.get, current="/p")


def problem(text: str, files: Mapping[str, bytes] | None = None) -> str:
    with pytest.raises(Invalid) as error:
        loaded(text, files)
    return str(error.value)


SECRET = "services: {a: {image: a, secrets: [s]}}\nsecrets: {s: {file: s.txt}}\n"


def test_a_secret_with_another_content_is_another_secret_and_changes_its_users() -> None:
    one, two = (loaded(SECRET, {"/p/s.txt": data}).stack for data in (b"one", b"two"))
    assert one.secrets[0].name != two.secrets[0].name
    assert one.services[0].spec != two.services[0].spec
    assert loaded(SECRET, {"/p/s.txt": b"one"}).stack == one


def test_all_versions_of_a_secret_have_the_same_short_name() -> None:
    secret = loaded(SECRET, {"/p/s.txt": b"\xff\x00 binary"}).stack.secrets[0]
    assert secret.data == b"\xff\x00 binary"
    assert secret.name == f"shop_s-{secret.labels[DIGEST]}"
    assert (secret.labels[NAMESPACE], secret.labels[SHORT_NAME]) == ("shop", "s")


def test_equal_secrets_have_different_digests() -> None:
    text = "services: {a: {image: a, secrets: [s, t]}}\nsecrets: {s: {environment: V}, t: {environment: V}}\n"
    one, two = loaded(text, V="same").stack.secrets
    assert one.labels[DIGEST] != two.labels[DIGEST]


@pytest.mark.parametrize(("size", "is_taken"), [(500 * 1024 - 1, True), (500 * 1024, False)])
def test_a_secret_has_a_maximum_size(size: int, is_taken: bool) -> None:
    files = {"/p/s.txt": b"x" * size}
    if is_taken:
        assert len(loaded(SECRET, files).stack.secrets[0].data) == size
    else:
        assert "stdin:2:21: secrets.s.file: has 512000 bytes" in problem(SECRET, files)


def test_files_of_unused_secrets_are_not_read() -> None:
    assert loaded("services: {a: {image: a}}\nsecrets: {s: {file: nowhere}}\n").stack.secrets == ()


@pytest.mark.parametrize("text", ["a: " + "[" * 100_000, "- " * 100_000, "a: " + "{a: " * 500 + "}" * 500])
def test_a_file_nested_too_deep_is_refused(text: str) -> None:
    assert "stdin:1:1: it is nested too deep" in problem(text)


def test_long_chains_of_dependencies_are_accepted() -> None:
    chain = "".join(f"  s{n}: {{image: x, depends_on: [s{n + 1}]}}\n" for n in range(1500))
    names = [item.short_name for item in loaded(f"services:\n{chain}  s1500: {{image: x}}\n").stack.services]
    assert names == [f"s{n}" for n in range(1500, -1, -1)]


def test_long_chains_of_extends_are_refused() -> None:
    chain = "".join(f"  s{n}: {{extends: s{n + 1}}}\n" for n in range(200))
    assert "goes through more than 50 services" in problem(f"services:\n{chain}  s200: {{image: x}}\n")


@pytest.mark.parametrize("name", ["a b", "-a", "", "ä"])
def test_names_of_stacks(name: str) -> None:
    there = {"-": b"services: {a: {image: a}}"}
    with pytest.raises(Invalid):
        load(["-"], {}, name, "/-", there.get, current="/-")


def test_all_problems_are_reported_in_the_order_of_the_file() -> None:
    text = "services:\n  a: {image: 'A B', cpus: x}\n  b: {imag: b}\n  c: {image: c, networks: [n]}\nvolume: {}\n"
    lines = [line.split(":")[1] for line in problem(text).splitlines()]
    assert lines == ["2", "2", "3", "3", "4", "5"]


def test_a_file_that_cannot_be_read_is_reported() -> None:
    def read(path: str) -> bytes | None:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(Invalid) as error:
        load(["c.yml"], {}, "shop", read=read, current="/p")
    assert "c.yml:1:1: cannot be read: Permission denied" in str(error.value)
