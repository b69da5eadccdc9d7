"""What counts as a difference between what is wanted and what is live."""

from __future__ import annotations

from typing import Any

import pytest

from agent_store.kube.compare import RENDERED, difference, settled, stamped

WANTED: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "one", "annotations": {"a": "1"}},
    "spec": {
        "containers": [
            {"name": "agent", "env": [{"name": "A", "value": ""}, {"name": "B", "value": "2"}],
             "resources": {"requests": {"cpu": "0.5", "memory": "1Gi"}}},
        ],
        "args": ["serve", "orders"],
        "empty": {},
        "optional": False,
    },
}  # fmt: skip


def live(**changes: Any) -> dict[str, Any]:
    """As an API server gives it back: defaults, other people's items, and empty fields left out."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "one", "uid": "1", "annotations": {"a": "1", "theirs": "2"}},
        "spec": {
            "containers": [
                {"name": "injected", "image": "x"},
                {"name": "agent", "imagePullPolicy": "Always", "env": [{"name": "B", "value": "2"}, {"name": "A"}],
                 "resources": {"requests": {"cpu": "500m", "memory": "1024Mi"}}},
            ],
            "args": ["serve", "orders"],
            "extra": 1,
        },
        **changes,
    }  # fmt: skip


def test_defaults_additions_and_other_words_for_the_same_amount_are_no_difference() -> None:
    assert difference(WANTED, live()) is None


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (("spec", "args"), ["serve"], ".spec.args"),
        (("spec", "args"), ["serve", "cart"], ".spec.args[1]"),
        (("metadata", "annotations"), {"a": "2"}, ".metadata.annotations.a"),
        (("metadata", "annotations"), {}, ".metadata.annotations.a"),
        (("spec", "containers"), [], ".spec.containers[agent]"),
        (("spec", "optional"), True, ".spec.optional"),
        (("spec",), "text", ".spec"),
    ],
)
def test_the_first_field_that_is_not_as_wanted_is_named(path: tuple[str, ...], value: Any, where: str) -> None:
    changed = live()
    inner = changed
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    assert difference(WANTED, changed) == where


def test_true_is_not_one() -> None:
    assert difference({"a": True}, {"a": 1}) == ".a"


def test_an_amount_that_is_another_is_a_difference() -> None:
    assert difference({"x": {"resources": {"cpu": "1"}}}, {"x": {"resources": {"cpu": "500m"}}}) == ".x.resources.cpu"
    assert difference({"x": {"resources": {"cpu": "lots"}}}, {"x": {"resources": {"cpu": "1"}}}) == ".x.resources.cpu"


def test_lists_without_keys_are_told_apart_by_place() -> None:
    assert difference([{"a": 1}, {"a": 1}], [{"a": 1}]) == ""
    assert difference([{"to": [1]}], [{"to": [1], "x": 2}]) is None


def test_a_field_that_is_not_wanted_any_more_shows_in_the_stamp() -> None:
    with_both = stamped({"metadata": {"name": "a"}, "data": {"one": "1", "two": "2"}})
    with_one = stamped({"metadata": {"name": "a"}, "data": {"one": "1"}})
    assert settled(with_both, with_both)
    assert difference(with_one, with_both) == f".metadata.annotations.{RENDERED}"
