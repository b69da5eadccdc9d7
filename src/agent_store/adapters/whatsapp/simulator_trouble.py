"""The trouble that the page's laboratory offers, as the simulator's behaviour and back. Pure."""

from __future__ import annotations

from typing import Final

from agent_store.adapters.whatsapp.simulator_behaviour import Behaviour, Failure
from agent_store.agents.whatsapp.phone import Trouble

_SOME: Final = 0.5
"""Share of the webhooks that are held back or lost."""


def trouble_of(behaviour: Behaviour) -> Trouble:
    """What of a behaviour the laboratory can show; it may have been set over REST, with more."""
    answers = [one.code for one in behaviour.failures if one.where == "answer"]
    statuses = [one.code for one in behaviour.failures if one.where == "status"]
    return Trouble(
        delay=behaviour.webhooks.delay,
        twice=behaviour.webhooks.duplicated > 0,
        reorder=behaviour.webhooks.overtaken > 0,
        lost=behaviour.webhooks.lost > 0,
        refuse=answers[0] if answers else None,
        fail=statuses[0] if statuses else None,
        outage=behaviour.outage,
        token_expired=behaviour.access != "valid",
    )


def behaviour_of(trouble: Trouble, before: Behaviour) -> Behaviour:
    """The trouble in place of whatever trouble there was; what the laboratory does not know of stays as it is."""
    if trouble == trouble_of(before):
        return before
    webhooks = before.webhooks.model_copy(
        update={
            "delay": trouble.delay,
            "duplicated": 1.0 if trouble.twice else 0.0,
            "overtaken": _SOME if trouble.reorder else 0.0,
            "lost": _SOME if trouble.lost else 0.0,
        }
    )
    failures = (
        *([Failure(code=trouble.refuse, where="answer")] if trouble.refuse is not None else []),
        *([Failure(code=trouble.fail, where="status")] if trouble.fail is not None else []),
    )
    return before.model_copy(
        update={
            "webhooks": webhooks,
            "failures": failures,
            "outage": trouble.outage,
            "access": "expired" if trouble.token_expired else "valid",
        }
    )
