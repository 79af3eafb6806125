"""Hosts set up on different days run the same versions: every dependency is bounded, locked and installed as locked."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent
LOCKS = ROOT / "deploy" / "locks"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def wanted(use: str) -> list[Requirement]:
    lines = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    if use == "test":
        lines += PROJECT["project"]["optional-dependencies"]["test"]
    return [Requirement(line) for line in lines]


def locked(use: str) -> dict[str, str]:
    """The locked version of each package."""
    found = re.findall(r"^([\w.-]+)==([^ ;\\]+)", (LOCKS / f"{use}.txt").read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


@pytest.mark.parametrize("use", ["product", "test"])
def test_every_dependency_is_bounded_on_both_sides_and_locked_within_its_bounds(use: str) -> None:
    versions = locked(use)
    for requirement in wanted(use):
        signs = {bound.operator for bound in requirement.specifier}
        assert signs == {">=", "<"}, requirement
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier, requirement


@pytest.mark.parametrize("use", ["product", "test"])
def test_every_locked_package_has_a_version_and_hashes(use: str) -> None:
    text = (LOCKS / f"{use}.txt").read_text().replace("\\\n", " ")
    for line in text.splitlines():
        assert re.match(r"[\w.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line


def test_tests_run_with_the_products_own_versions() -> None:
    assert locked("product").items() <= locked("test").items()


def test_what_is_installed_is_what_is_locked() -> None:
    """Every installed package is in the lock file with its version; there are no others."""
    installed = {canonicalize_name(each.name): each.version for each in metadata.distributions()}
    ours = {"argosy", "pip"}
    assert {name: version for name, version in installed.items() if name not in ours} == {
        name: version for name, version in locked("test").items() if name in installed
    }
