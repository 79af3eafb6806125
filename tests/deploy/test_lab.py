"""Several labs exist side by side."""

from __future__ import annotations

from deploy.lab.lab_switch import namespaces_of


def test_labs_whose_names_share_a_prefix_are_kept_apart() -> None:
    names = ["a-lab", "a-lab-m1", "a-lab-w12", "a-labd", "a-labd-m1", "a-lab-x", "a-lab-x-m1", "other"]

    assert namespaces_of("a-lab", names) == ["a-lab", "a-lab-m1", "a-lab-w12"]
