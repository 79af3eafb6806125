"""Several labs exist side by side."""

from __future__ import annotations

from deploy.lab.lab_switch import namespaces_of


def test_a_lab_is_not_taken_for_one_whose_name_begins_like_its_own() -> None:
    names = ["a-lab", "a-lab-m1", "a-lab-w12", "a-labd", "a-labd-m1", "a-lab-x", "a-lab-x-m1", "other"]

    assert namespaces_of("a-lab", names) == ["a-lab", "a-lab-m1", "a-lab-w12"]
