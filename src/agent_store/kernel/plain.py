"""How a seller without a model uses a tool that it has never heard of: words that ask for it, sentences that tell its result.

    plain = Plain(
        words={"pt": Words(phrases=("embrulhar para presente",), answer="Temos:", item="• {title}: {price}", choice="{title}")},
        items="options",
        tap="gift-wrapping.choose",
        arguments={"option": "id"},
    )

In a sentence `{price}` stands for a field of the result (`{order.number}` for one within another). Amounts are written as
money, lists with commas. Nothing else is evaluated: what comes from the tool is text, never a part of a sentence's form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field

from agent_store.kernel.money import Money

_FIELD = re.compile(r"\{([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*)\}")
_SPACE = re.compile(r"\s+")
LONGEST = 120
"""Characters of a tool's text in a sentence: a longer one is cut."""
MOST = 10
"""Items that are told and can be tapped."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Words(_Frozen):
    """One language. `item` is a line for each item; `none` is said instead of `answer` when there is no item.

    `failed` has a sentence for each error code that customers should hear of, like "conflict".
    """

    phrases: tuple[str, ...] = Field(default=(), max_length=40)
    """Words of a customer that ask for this tool, in any case, with or without accents."""
    answer: str = Field(max_length=600)
    item: str = Field(default="", max_length=300)
    none: str = Field(default="", max_length=600)
    choice: str = Field(default="", max_length=60)
    """The label of an item's button; twenty characters are seen."""
    failed: Mapping[str, str] = Field(default_factory=dict[str, str])


class Plain(_Frozen):
    """`items` names the list in the result. A tapped item calls the tool `tap` (which the brand must allow too) with
    `arguments`: the argument's name to the item's field."""

    words: Mapping[str, Words]
    items: str = ""
    tap: str = ""
    arguments: Mapping[str, str] = Field(default_factory=dict[str, str])


def rows_of(plain: Plain, result: Any) -> Sequence[Any]:
    """The items of a result, a bounded number of them."""
    found = _at(result, plain.items) if plain.items else ()
    return cast("Sequence[Any]", found)[:MOST] if isinstance(found, list | tuple) else ()


def told(sentence: str, values: Any) -> str:
    """The sentence with the fields of a result, or of one of its items; "" stands for a field that is not there."""
    return _FIELD.sub(lambda match: _text(_at(values, match[1])), sentence)


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = cast("Mapping[str, Any]", value).get(part)
    return value


def amount_of(value: Any) -> Money | None:
    """Money as it stands in JSON: an object of `minor` and `currency`, and nothing else."""
    if not isinstance(value, Mapping):
        return None
    known = cast("Mapping[str, Any]", value)
    minor, currency = known.get("minor"), known.get("currency")
    if set(known) != {"minor", "currency"} or type(minor) is not int or not isinstance(currency, str):
        return None
    return Money.model_construct(minor=minor, currency=currency)


def _text(value: Any) -> str:
    amount = amount_of(value)
    if amount is not None:
        return str(amount)
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, (_text(one) for one in cast("Sequence[Any]", value)[:MOST])))
    if isinstance(value, str | int) and not isinstance(value, bool):
        text = _SPACE.sub(" ", str(value)).strip()
        return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"
    return ""
