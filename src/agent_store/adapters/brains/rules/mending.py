"""When the seller did not accept a reply: the same reply without what no tool result of this turn supports."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

from agent_store.kernel.brain import Block, Step
from agent_store.kernel.money import Money

_MONEY = re.compile(r"R\$\s?\d[\d.]*(?:,\d{2})?")
_FACT = re.compile(
    r"R\$|\b\d{1,2}/\d{1,2}\b|[úuÚU]ltim|[Ll]ast \d|\bAS-[2-9A-Z]{6}\b|\d+ ?%|\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d"
)


def refusals(steps: Sequence[Step]) -> int:
    """How often a reply (not a tool call) of this turn was sent back."""
    return sum(1 for step in steps if step.feedback is not None and not step.answer.tool_calls)


def mend(blocks: Sequence[Block], steps: Sequence[Step], times: int, plain: str) -> tuple[Block, ...]:
    """Once refused: only lines whose amounts stand in a result stay. Refused again: no line with a fact stays."""
    known = set(_amounts([result.data for step in steps for result in step.results]))

    def keep(line: str) -> bool:
        if times > 1:
            return not _FACT.search(line)
        return all(amount.replace("\xa0", " ") in known for amount in _MONEY.findall(line))

    mended: list[Block] = []
    for block in blocks:
        text = "\n".join(line for line in block.text.split("\n") if keep(line)).strip()
        if block.kind == "text" and not text:
            continue
        if times > 1 and block.kind == "products":
            continue
        choices = tuple(
            choice.model_copy(update={"description": None})
            if choice.description and not keep(choice.description)
            else choice
            for choice in block.choices
        )
        mended.append(block.model_copy(update={"text": text or (plain if block.choices else ""), "choices": choices}))
    return tuple(mended) or (Block(kind="text", text=plain),)


def _amounts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        row = cast("dict[str, Any]", value)
        minor, currency = row.get("minor"), row.get("currency", "BRL")
        if isinstance(minor, int) and isinstance(currency, str):
            yield str(Money.model_construct(minor=minor, currency=currency))
        for item in row.values():
            yield from _amounts(item)
    elif isinstance(value, list | tuple):
        for item in cast("Sequence[Any]", value):
            yield from _amounts(item)
