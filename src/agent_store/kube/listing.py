"""What the directory says of a LambdaAgent. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from agent_store.kube.derived import Facts, Object, consumers_of, url_of
from agent_store.kube.model import BrandSpec, LambdaAgent


@dataclass(frozen=True)
class Entry:
    """One agent as the directory shows it."""

    agent: LambdaAgent
    listening: bool
    """Its Triggers are Ready: what is sent to its brand arrives."""


def directory(entries: Sequence[Entry], known: Mapping[str, Facts]) -> Object:
    """`services`, `brands` and `shared`, as `AGENT_STORE_DIRECTORY` has them (docs/several-processes.md).

    A service is in it as soon as it is rendered: tools wait for an address that does not answer yet. A brand is in it
    while its events have somewhere to go: to a brand without a Trigger they would be lost.
    """
    services: Object = {}
    brands: list[Object] = []
    shared: Object | None = None
    for entry in sorted(entries, key=lambda one: one.agent.meta.name):
        agent, spec = entry.agent, entry.agent.spec
        services[agent.meta.name] = {"url": url_of(agent), "consumers": consumers_of(agent, known)}
        if spec.shared_number is not None:
            shared = _snake(spec.shared_number.model_dump())
        if spec.brand is not None and entry.listening:
            brands.append(listed_brand(spec.brand))
    found: Object = {"services": services, "brands": brands}
    if shared is not None:
        found["shared"] = shared
    return found


def listed_brand(spec: BrandSpec) -> Object:
    """As `contracts.brands.Brand` has it, without prompts."""
    brand = spec.model_dump(exclude={"catalog"})
    brand["keywords"] = {key: list(words) for key, words in brand["keywords"].items() if words}
    brand["greeting"] = {key: text for key, text in brand["greeting"].items() if text}
    return _snake(brand)


def _snake(value: Object) -> Object:
    """Lists for tuples: YAML has no others."""
    return {key: list(cast("tuple[Any, ...]", one)) if isinstance(one, tuple) else one for key, one in value.items()}
