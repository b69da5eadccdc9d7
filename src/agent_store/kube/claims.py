"""What at most one LambdaAgent of a namespace may have: a brand, phone numbers, consumers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from agent_store.kube.around import Options
from agent_store.kube.derived import consumers_of
from agent_store.kube.model import LambdaAgent


def claims_by(options: Options) -> Callable[[Mapping[str, Any]], frozenset[str]]:
    """What a resource claims. One that can't be read claims nothing."""

    def claims(body: Mapping[str, Any]) -> frozenset[str]:
        try:
            agent = LambdaAgent.read(body)
        except ValidationError:
            return frozenset()
        spec = agent.spec
        found = {f"consumer {name}" for name in consumers_of(agent, options.known)}
        numbers: tuple[str, ...] = spec.shared_number.phone_number_ids if spec.shared_number is not None else ()
        if spec.brand is not None:
            found.add(f"brand {spec.brand.id}")
            numbers += spec.brand.phone_number_ids
        return frozenset(found | {f"phone number {number}" for number in numbers})

    return claims
