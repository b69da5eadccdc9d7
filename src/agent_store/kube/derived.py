"""What follows from a LambdaAgent's spec, and what else its objects depend on. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Literal

from agent_store.kube.model import MAX_TRIGGERS, LambdaAgent, Subscription

MANAGER = "agent-store-operator"
LABEL = "agent-store.dev/lambdaagent"
BRAND_LABEL = "agent-store.dev/brand"
COMPONENT = "app.kubernetes.io/component"
DIRECTORY = "agent-store-directory"
"""The ConfigMap that the operator keeps in each namespace (brands, consumers, addresses), and the Role to read it."""
PROMPT_KEY = "system.md"

Object = dict[str, Any]
Workload = Literal["knative", "deployment"]


@dataclass(frozen=True)
class Facts:
    """What is known of an agent by its name. `topics`: families of events that it listens to (`schedule` for ticks)."""

    topics: frozenset[str]
    a_brand_each: bool = False
    """There is an instance of it a brand: `seller/fashion`."""
    only: Mapping[str, str] = field(default_factory=dict[str, str])
    """By topic, the one type of event that it listens to, where there is no second."""


@dataclass(frozen=True)
class Prompt:
    text: str

    @property
    def hash(self) -> str:
        return digest(self.text)


@dataclass(frozen=True)
class Around:
    """What rendering depends on beside the resource: what the cluster has, and what was resolved."""

    version: str
    """The operator's own; the tag of images that name none."""
    known: Mapping[str, Facts]
    serving: bool = True
    """Knative Serving is there."""
    pod_monitor: bool = False
    broker_url: str = ""
    """Where the Broker takes events."""
    stable: Prompt | None = None
    canary: Prompt | None = None
    catalog: str = ""
    """The text of the brand's catalogue file."""
    sources: str = ""
    """A hash of the Secrets and ConfigMaps that pods read when they start: others are other pods."""
    extra: Mapping[str, str] = field(default_factory=dict[str, str])
    """More environment variables for all agents."""


def digest(value: object) -> str:
    """Ten hexadecimal digits of anything JSON-able."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def workload_of(agent: LambdaAgent, around: Around) -> Workload:
    mode = agent.spec.scaling.mode
    if mode == "auto":
        return "knative" if around.serving else "deployment"
    return mode


def consumers_of(agent: LambdaAgent, known: Mapping[str, Facts]) -> list[str]:
    """`orders`, `seller/fashion`: the names by which others find what runs here."""
    brand = agent.spec.brand
    return [
        f"{name}/{brand.id}" if brand is not None and name in known and known[name].a_brand_each else name
        for name in agent.spec.run
    ]


def subscriptions_of(agent: LambdaAgent, known: Mapping[str, Facts]) -> list[dict[str, str]]:
    """The filters of its Triggers, each a set of attributes that must all be equal; at most `MAX_TRIGGERS`.

    A topic of which one type is listened to is brought as that type only: what a seller would drop does not keep its
    pods awake. More topics than that become one Trigger for all of them, by the brand alone or without a filter: what an
    agent does not listen to, it answers at once.
    """
    spec = agent.spec
    if spec.eventing.subscriptions:
        return [_attributes(one) for one in spec.eventing.subscriptions]
    heard: dict[tuple[str, str], set[str]] = {}
    for name in spec.run:
        facts = known.get(name)
        if facts is None:
            continue
        brand = spec.brand.id if facts.a_brand_each and spec.brand is not None else ""
        for topic in facts.topics:
            if not (brand and topic == "schedule"):
                heard.setdefault((topic, brand), set()).add(facts.only.get(topic, ""))
    found = filters_of(heard)
    if len(found) > MAX_TRIGGERS:
        brands = {one.get("brand", "") for one in found}
        brand = brands.pop() if len(brands) == 1 else ""
        return [{"brand": brand} if brand else {}]
    return found


def filters_of(heard: Mapping[tuple[str, str], Set[str]]) -> list[dict[str, str]]:
    """Sets of attributes that bring all of this and little else. `heard`: types by topic and brand; the brand "" is every
    brand, the type "" every type."""
    found: dict[tuple[str, str], set[str]] = {}
    for (topic, brand), types in heard.items():
        found.setdefault((topic, "" if (topic, "") in heard else brand), set()).update(types)
    return [
        {
            **({"type": min(types)} if len(types) == 1 and "" not in types else {}),
            "topic": topic,
            **({"brand": brand} if brand else {}),
        }
        for (topic, brand), types in sorted(found.items())
    ]


def _attributes(subscription: Subscription) -> dict[str, str]:
    named = {"type": subscription.type, "topic": subscription.topic}
    return {**{name: value for name, value in named.items() if value}, **subscription.attributes}


def trigger_name(agent: str, attributes: Mapping[str, str], broker: str) -> str:
    return f"{agent}-{digest([sorted(attributes.items()), broker])}"


def unknown_of(agent: LambdaAgent, known: Mapping[str, Facts]) -> list[str]:
    """Agents of which nobody has said what they listen to."""
    return [] if agent.spec.eventing.subscriptions else [name for name in agent.spec.run if name not in known]


def url_of(agent: LambdaAgent) -> str:
    """Its address in the cluster."""
    return f"http://{agent.meta.name}.{agent.meta.namespace}.svc.cluster.local"


def sources_of(agent: LambdaAgent) -> set[tuple[Literal["ConfigMap", "Secret"], str]]:
    """What its pods read when they start, also what need not be there."""
    found: set[tuple[Literal["ConfigMap", "Secret"], str]] = {("Secret", name) for name, _ in needed_secrets(agent)}
    found |= {("ConfigMap", name) for name, _ in needed_config_maps(agent)}
    for source in agent.spec.env_from:
        if source.secret_ref:
            found.add(("Secret", source.secret_ref.name))
        if source.config_map_ref:
            found.add(("ConfigMap", source.config_map_ref.name))
    return found


def needed_secrets(agent: LambdaAgent) -> set[tuple[str, str]]:
    """(Secret, key) without which a pod does not start; the key is empty where all keys are taken."""
    spec = agent.spec
    found = {
        (source.secret_ref.name, "") for source in spec.env_from if source.secret_ref and not source.secret_ref.optional
    }
    for variable in spec.env:
        if variable.value_from is not None and variable.value_from.secret_key_ref is not None:
            found.add((variable.value_from.secret_key_ref.name, variable.value_from.secret_key_ref.key))
    if spec.ai.api_key is not None:
        found.add((spec.ai.api_key.name, spec.ai.api_key.key))
    return found


def needed_config_maps(agent: LambdaAgent) -> set[tuple[str, str]]:
    """(ConfigMap, key) without which a pod does not start. Of the prompt and the catalogue: see `Around`."""
    spec = agent.spec
    found = {
        (source.config_map_ref.name, "")
        for source in spec.env_from
        if source.config_map_ref and not source.config_map_ref.optional
    }
    for variable in spec.env:
        if variable.value_from is not None and variable.value_from.config_map_key_ref is not None:
            found.add((variable.value_from.config_map_key_ref.name, variable.value_from.config_map_key_ref.key))
    return found
