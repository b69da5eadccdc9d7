"""When the seller did not accept a reply: the same reply without what it could not find in a tool's result."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from agent_store.kernel.brain import Block, BrainAnswer, Step
from agent_store.kernel.money import Money

_MONEY = re.compile(r"R\$\s?\d[\d.]*(?:,\d{2})?")
_QUOTED = re.compile(r"'([^'\n]{1,200})'|\"([^\"\n]{1,200})\"")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_MARKS = re.compile(r"[*_~`]")
_FACT = re.compile(
    r"\d|(?i:[úu]ltim|\blast\b|esgot|sold out|agotad|gr[áa]tis|\bfree\b|sem custo|sin costo|desconto|discount|descuento|"
    r"carrinho:|in your cart:|en el carrito:|registrad|placed|cancelad|cancelled)"
)


def refused(steps: Sequence[Step], brain: str) -> BrainAnswer | None:
    """The brain's own reply that was sent back last; None when the turn goes on in another way."""
    if not steps or steps[-1].feedback is None or steps[-1].answer.tool_calls or steps[-1].answer.brain != brain:
        return None
    return steps[-1].answer


def mend(answer: BrainAnswer, steps: Sequence[Step], plain: str) -> BrainAnswer:
    """The reply again (what it remembers as well). Nothing is looked up anew: the reply was right in the rest."""
    why = [step.feedback for step in steps if step.feedback is not None and step.answer.brain == answer.brain]
    return answer.model_copy(update={"blocks": _without(answer.blocks, steps, why, plain)})


def _without(blocks: Sequence[Block], steps: Sequence[Step], refused: Sequence[str], plain: str) -> tuple[Block, ...]:
    """Once refused: without the lines and products that were named, and amounts that no result holds. Refused again:
    without any line that states a fact."""
    known = set(_amounts([result.data for step in steps for result in step.results]))
    named = {" ".join((one or other).split()) for why in refused for one, other in _QUOTED.findall(why)}
    strict = len(refused) > 1

    def keep(line: str) -> bool:
        seen = " ".join(_MARKS.sub("", line).split())
        if strict and _FACT.search(seen):
            return False
        return not any(part in seen for part in named) and all(amount in known for amount in _MONEY.findall(seen))

    mended: list[Block] = []
    for block in blocks:
        text = "\n".join(kept for line in block.text.split("\n") if (kept := _kept(line, keep)) is not None).strip()
        items = tuple(item for item in block.items if item not in named and not strict)
        if (block.kind in ("text", "place_request") and not text) or (block.kind == "products" and not items):
            continue
        choices = tuple(
            choice
            if not choice.description or keep(choice.description)
            else choice.model_copy(update={"description": None})
            for choice in block.choices
        )
        news = {"text": text or (plain if choices else ""), "items": items, "choices": choices}
        mended.append(block.model_copy(update=news))
    return tuple(mended) or (Block(kind="text", text=plain),)


def _kept(line: str, keep: Callable[[str], bool]) -> str | None:
    """The line without the sentences that may not stay; None when none may."""
    if not line or keep(line):
        return line
    sentences = [sentence for sentence in _SENTENCE.split(line) if keep(sentence)]
    return " ".join(sentences) or None


def _amounts(value: Any) -> Iterator[str]:
    """All money within a JSON value, as it is written."""
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
