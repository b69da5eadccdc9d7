"""Tools that these rules were not written for: asked for by the words, told in the sentences, of their own contracts.

A contract's `plain` (see `kernel.plain`) has both. What it cannot say for a language, the rules do not offer in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from agent_store.adapters.brains.rules import lexicon
from agent_store.adapters.brains.rules.memory import Pending
from agent_store.adapters.brains.rules.normalise import plain as normalised
from agent_store.adapters.brains.rules.normalise import tokens
from agent_store.adapters.brains.rules.turn import Failed, Turn
from agent_store.adapters.brains.rules.understanding import LONGEST_KEY, Act, from_payload
from agent_store.kernel.added import ToolContract, made_of
from agent_store.kernel.brain import ToolResult
from agent_store.kernel.plain import Plain, Words, rows_of, told

TAPPED = "tool"
"""What the payload of a button begins with: `tool:gift-wrapping.choose{"option":"premium"}`."""
_LEAST = 4
"""Letters of a phrase from which on it can ask for a tool: "ok" is no wish."""


def wishes(turn: Turn, text: str) -> tuple[list[Act], str]:
    """The added tools that a customer's line asks for, and the line without those wishes."""
    language = turn.request.language
    if not turn.request.added:
        return [], text
    acts: list[Act] = []
    left: list[str] = []
    for clause in lexicon.CLAUSES.split(normalised(text, language)):
        said = f" {' '.join(tokens(clause))} "
        named = [one.name for one in turn.request.added if any(phrase in said for phrase in _phrases(one, language))]
        if named:
            acts += [Act(f"tap_{TAPPED}", key=name, raw=clause) for name in named[:1]]
        elif clause.strip():
            left.append(clause)
    # As written, when nothing was asked for: the rules read more out of it than out of what is normalised.
    return (acts, "\n".join(left)) if acts else ([], text)


def _phrases(contract: ToolContract, language: str) -> tuple[str, ...]:
    words = _words(contract, language)
    return _normalised(words.phrases, language) if words is not None else ()


@lru_cache(maxsize=256)
def _normalised(phrases: tuple[str, ...], language: str) -> tuple[str, ...]:
    found = (" ".join(tokens(normalised(phrase, language))) for phrase in phrases)
    return tuple(f" {phrase} " for phrase in found if len(phrase) >= _LEAST)


def _words(contract: ToolContract, language: str) -> Words | None:
    return contract.plain.words.get(language) if contract.plain is not None else None


async def use(turn: Turn, act: Act) -> None:
    """Call the tool that was asked for or tapped, and tell what came of it."""
    name, arguments = _call(act.key)
    contract = _known(turn, name)
    if contract is None:
        turn.say("trouble")  # the button is older than the brand's allow-list
        return
    result = await turn.ask(made_of(contract).unchecked(arguments))
    if isinstance(result, Failed):
        words = _words(contract, turn.request.language)
        sentence = words.failed.get(result.code, "") if words is not None else ""
        turn.text(sentence or turn.t("trouble"))
    else:
        tell(turn, contract, result)


def tell(turn: Turn, contract: ToolContract, result: Any) -> None:
    """The result in the contract's sentences; its items as buttons when they can be tapped."""
    words, plain = _words(contract, turn.request.language), contract.plain
    if words is None or plain is None:
        turn.say("trouble")
        return
    rows = rows_of(plain, result)
    if plain.items and not rows and words.none:
        turn.text(told(words.none, result))
    else:
        lines = [told(words.answer, result), *(told(words.item, row) for row in rows if words.item)]
        choices = _choices(turn, plain, words, rows)
        if choices:
            turn.memory.pending = Pending(TAPPED, choices=tuple(choices))
        turn.choose("\n".join(lines), choices)
    if contract.writes and turn.memory.checkout.active and turn.memory.pending is None:
        turn.choose(turn.t("back_to_order"), [("checkout", turn.t("b_go_on")), ("keep_shopping", turn.t("b_keep"))])


def _choices(turn: Turn, plain: Plain, words: Words, rows: Sequence[Any]) -> list[tuple[str, str]]:
    """(payload, title) of the items that can be tapped."""
    if not words.choice or _known(turn, plain.tap) is None:
        return []
    found: list[tuple[str, str]] = []
    for row in rows:
        if not isinstance(row, Mapping):
            continue
        item = cast("Mapping[str, Any]", row)
        arguments = {name: item.get(field) for name, field in plain.arguments.items()}
        payload = f"{plain.tap}{json.dumps(arguments, separators=(',', ':'), ensure_ascii=False)}"
        title = told(words.choice, item)
        if title and len(payload) <= LONGEST_KEY:
            found.append((f"{TAPPED}:{payload}", title))
    return found


def chosen(turn: Turn, act: Act, open_: Pending) -> Act | None:
    """One of the items on the table by a word that only its label has: "quero o premium"."""
    if act.intent.startswith("tap_") or act.known or act.bounded or act.order or act.cep:
        return None
    labels = [set(tokens(normalised(title, turn.request.language))) for _, title in open_.choices]
    said = set(tokens(act.raw))
    named = [
        place
        for place, label in enumerate(labels)
        if said & label.difference(*(other for other in labels if other is not label))
    ]
    return from_payload(open_.choices[named[0]][0]) if len(named) == 1 else None


def _known(turn: Turn, name: str) -> ToolContract | None:
    return next((one for one in turn.request.added if one.name == name), None)


def _call(key: str) -> tuple[str, dict[str, Any]]:
    """The tool and the arguments in a payload. What is no JSON object (a payload can be made up) counts as none."""
    name, brace, rest = key.partition("{")
    if not brace:
        return name, {}
    try:
        value = json.loads(brace + rest)
    except ValueError:
        return name, {}
    return name, cast("dict[str, Any]", value)


def done_by_another(turn: Turn, result: ToolResult) -> bool:
    """Another brain has changed something by an added tool: it is told."""
    contract = _known(turn, result.call.name)
    if contract is None or not contract.writes or result.error is not None:
        return False
    if _words(contract, turn.request.language) is None:
        return False
    tell(turn, contract, result.data)
    return True
