"""The operator's rights: what the documentation says, and nothing by wildcard."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from agent_store.kube import kinds
from agent_store.kube.rbac import cluster_role_rules, lease_role_rules

PAGE = Path(__file__).parents[2] / "docs" / "operator.md"


def test_the_page_has_the_rules_as_they_are() -> None:
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)]
    assert blocks == [cluster_role_rules(), lease_role_rules()]


def test_nothing_is_granted_by_wildcard() -> None:
    for rule in cluster_role_rules() + lease_role_rules():
        assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])
        assert not {"bind", "escalate", "impersonate"} & set(rule["verbs"])


def test_every_watched_kind_may_be_listed_and_watched() -> None:
    for kind in kinds.WATCHED:
        verbs = {
            verb
            for rule in cluster_role_rules()
            if kind.group in rule["apiGroups"] and kind.plural in rule["resources"]
            for verb in rule["verbs"]
        }
        assert {"list", "watch"} <= verbs, kind.name
