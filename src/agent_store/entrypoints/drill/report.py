"""What a drill tells: for a person, and as JSON for a program."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from agent_store.entrypoints.drill.load import Answer, taken
from agent_store.entrypoints.drill.run import Outcome

_MOST = 20
"""Sentences of a kind that a person is shown."""


def text(outcome: Outcome) -> str:
    """What a person reads."""
    verdict, load, plan = outcome.verdict, outcome.load, outcome.plan
    lines = ["", f"Fault drill, {plan.mode}: {plan.names}", f"{outcome.seconds:.0f} s, seed {plan.seed}", ""]
    lines += [f"  {count:>7}  {name}" for name, count in verdict.counts.items()]
    lines += ["", "  must be 0:"]
    lines += [f"  {len(broken):>7}  {name}" for name, broken in verdict.broken.items()]
    lines += [f"  {1 if outcome.unfinished else 0:>7}  not at rest {plan.settling:g} s after the last customer"]
    for name, broken in verdict.broken.items():
        lines += [f"          {name}: {sentence}" for sentence in broken[:_MOST]]
    if outcome.unfinished:
        lines += [f"          not at rest: {outcome.unfinished}"]
    lines += ["", "  told, not judged:"]
    for name, sentences in (
        ("dead letters", verdict.dead),
        ("uncertain sends", verdict.uncertain),
        ("processes that ended by themselves", outcome.ended),
    ):
        lines += [f"  {len(sentences):>7}  {name}", *(f"          {sentence}" for sentence in sentences[:_MOST])]
    lines += ["", "  webhook            seconds   p50 ms   p99 ms   worst ms   not taken"]
    for stretch in outcome.stretches:
        figures = _figures(stretch.answers)
        if figures["asked"]:
            lines += [
                f"  {stretch.name:<18} {stretch.seconds:>7.0f} {_or_dash(figures['p50_ms'])} "
                f"{_or_dash(figures['p99_ms'])} {figures['worst_ms']:>10.0f} {figures['not_taken']:>11}"
            ]
    if load.reply_seconds:
        spread = _spread(load.reply_seconds)
        lines += ["", f"  first message back after p50 {spread[0]:.0f} ms, p99 {spread[1]:.0f} ms"]
    return "\n".join([*lines, "", f"  {'HOLDS' if outcome.holds else 'BROKEN'}", ""])


def data(outcome: Outcome) -> dict[str, Any]:
    """The same as JSON: everything, not only the first of each kind."""
    verdict, load, plan = outcome.verdict, outcome.load, outcome.plan
    replies = _spread(load.reply_seconds) if load.reply_seconds else None
    return {
        "holds": outcome.holds,
        "mode": plan.mode,
        "faults": [list(group) for group in plan.faults],
        "replicas": plan.replicas,
        "customers_at_a_time": plan.customers,
        "seed": plan.seed,
        "seconds": round(outcome.seconds, 1),
        "counts": verdict.counts,
        "broken": verdict.broken,
        "not_at_rest": outcome.unfinished,
        "dead_letters": verdict.dead,
        "uncertain_sends": verdict.uncertain,
        "ended_by_themselves": outcome.ended,
        "unanswered": load.unanswered,
        "webhook": [
            {"during": stretch.name, "seconds": round(stretch.seconds, 1), **_figures(stretch.answers)}
            for stretch in outcome.stretches
        ],
        "reply": None if replies is None else {"p50_ms": round(replies[0], 1), "p99_ms": round(replies[1], 1)},
    }


def _figures(answers: Sequence[Answer]) -> dict[str, Any]:
    """p50 and p99 of those that were taken; the worst of all, also of those that failed."""
    good = taken(answers)
    p50, p99 = (round(value, 1) for value in _spread(good)) if good else (None, None)
    return {
        "asked": len(answers),
        "not_taken": len(answers) - len(good),
        "p50_ms": p50,
        "p99_ms": p99,
        "worst_ms": round(max((answer.seconds for answer in answers), default=0.0) * 1000, 1),
    }


def _or_dash(value: float | None) -> str:
    return f"{'-':>8}" if value is None else f"{value:>8.0f}"


def _spread(seconds: Sequence[float]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    return statistics.median(seconds) * 1000, percentile(seconds, 0.99) * 1000


def percentile(seconds: Sequence[float], share: float) -> float:
    """The value below which this share of them lies (nearest rank)."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
