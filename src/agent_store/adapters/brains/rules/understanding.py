"""From a customer's line to what they want: a list of `Act`s, in the order in which they were said.

Pure and cached: the same line in the same language is always understood the same way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from agent_store.adapters.brains.rules import lexicon, slots
from agent_store.adapters.brains.rules.normalise import plain
from agent_store.adapters.brains.rules.words import ENGLISH, NOUNS, PHRASES, PORTUGUESE, SPANISH, bag

LONGEST_PAYLOAD = 200
LONGEST_KEY = 120
MOST_ACTS = 4
"""Wishes of one message that are followed; more is nonsense or an attack."""

_SOFT = frozenset({"out_of_scope", "smalltalk", "suggest", "help", "categories", "change", "stores"})
"""A product's noun beside these words means a product: "help me choose a phone" is a search."""
_WITH_TEXT = frozenset(
    {"details", "add", "remove", "compare", "discount", "cheaper", "pricier", "expensive", "suggest", "quote", "praise", "swap",
     "pickup", "suits_me"}
)  # fmt: skip
_SOCIAL = (("greet", lexicon.GREET), ("wellbeing", lexicon.WELLBEING), ("thanks", lexicon.THANKS), ("bye", lexicon.BYE))
_OTHERWISE_IN_PORTUGUESE = bag("largo largos larga largas medias corta cortas mando cara pelo mama papa")
"""Spanish words that are Portuguese ones of another meaning."""
_TRANSLATE = {
    "pt": {word: meant for word, meant in ENGLISH.items() if word not in PORTUGUESE},
    "en": dict(ENGLISH),
    "es": {word: meant for word, meant in ENGLISH.items() if word not in PORTUGUESE} | SPANISH,
}
_TRANSLATE["pt"] |= {
    word: meant
    for word, meant in SPANISH.items()
    if word not in PORTUGUESE and word not in ENGLISH and word not in _OTHERWISE_IN_PORTUGUESE
}
_SIMPLE_PAYLOADS = frozenset(
    {"confirm_order", "change_order", "change_address", "change_method", "change_items", "checkout", "view_cart", "more",
     "cheaper", "pricier", "categories", "clear_yes", "clear_no", "cancel_no", "person", "pay_link", "my_orders",
     "compare_shown", "help", "suggest", "keep_shopping", "pickup_info", "similar", "sale"}
)  # fmt: skip
_KEYED_PAYLOADS = frozenset(
    {
        "add",
        "product",
        "remove",
        "cat",
        "ship",
        "store",
        "method",
        "opt",
        "cancel_yes",
        "status",
        "brand",
        "choose",
        "fewer",
        "tool",
    }
)


@dataclass(frozen=True, slots=True)
class Act:
    """One wish. `text` is what to search, in the catalogue's language; amounts are minor units.

    `this`: the customer points ("esse"); `cue`: they said that they look for something; `known`: `text` holds a
    noun that every shop knows; `both`: they point at two, `everything` at all.
    """

    intent: str
    text: str = ""
    raw: str = ""
    known: bool = False
    cue: bool = False
    this: bool = False
    both: bool = False
    everything: bool = False
    color: str | None = None
    size: str | None = None
    options: tuple[str, ...] = ()
    maker: str | None = None
    min_price: int | None = None
    max_price: int | None = None
    sort: str = ""
    positions: tuple[int, ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()
    quantity: int | None = None
    number: int | None = None
    cep: str | None = None
    order: str | None = None
    card: str | None = None
    items: tuple[tuple[str, int], ...] = ()
    """SKUs and quantities of a cart of the channel's own catalogue."""
    place: tuple[float, float] | None = None
    """Latitude and longitude of where the customer is."""
    key: str = ""
    """What a tapped payload carries behind its colon: a SKU, a product id, a service."""

    @property
    def attributes(self) -> bool:
        return bool(self.color or self.size or self.options)

    @property
    def bounded(self) -> bool:
        return self.min_price is not None or self.max_price is not None


def from_payload(payload: str | None) -> Act | None:
    """The wish behind a button or list row of ours; None for anything else."""
    if not payload or len(payload) > LONGEST_PAYLOAD:
        return None
    kind, colon, key = payload.partition(":")
    if not colon and kind in _SIMPLE_PAYLOADS:
        return Act(kind)
    if colon and kind in _KEYED_PAYLOADS and key:
        return Act("tap_" + kind, key=key[:LONGEST_KEY])
    return None


@lru_cache(maxsize=1024)
def understand(text: str, language: str = "pt") -> tuple[Act, ...]:
    """What the line asks for; `()` when it holds nothing but marks. The last resort is a `search` or `unclear` act."""
    whole = plain(text, language)
    if not any(c.isalnum() for c in whole):
        return ()
    acts: list[Act] = []
    social: list[Act] = []
    if _refused(whole):
        return (Act(_refused(whole), raw=whole),)
    for clause in _clauses(whole):
        act = _clause(clause, language, social)
        if act is not None:
            acts.append(act)
    acts = _merge(acts)
    if not acts:
        return tuple(dict.fromkeys(social))[:2]
    greeting = [act for act in dict.fromkeys(social) if act.intent in ("greet", "thanks")]
    return (*greeting[:1], *acts[:MOST_ACTS])


def _refused(whole: str) -> str:
    for name, pattern in lexicon.INTENTS[:2]:
        if pattern.search(whole):
            return name
    return ""


def _clauses(whole: str) -> list[str]:
    parts = [part.strip(" ,.") for part in lexicon.CLAUSES.split(whole)]
    return [part for part in parts if any(c.isalnum() for c in part)][: MOST_ACTS * 2]


def _clause(clause: str, language: str, social: list[Act]) -> Act | None:
    decided = _yes_or_no(clause)
    if decided:
        return decided
    rest = clause
    for name, pattern in _SOCIAL:
        found = pattern.search(rest)
        if found:
            social.append(Act(name))
            rest = pattern.sub(" ", rest)
    rest = " ".join(lexicon.PLEASE.sub(" ", rest).split()).strip(" ,.")
    if not any(c.isalnum() for c in rest):
        return None
    decided = _yes_or_no(rest)
    if decided:
        return decided
    return _wish(rest, language)


def _yes_or_no(clause: str) -> Act | None:
    if lexicon.NO.match(clause):
        return Act("no")
    if lexicon.YES.match(clause):
        return Act("yes")
    return None


def _wish(clause: str, language: str) -> Act:
    found = slots.read(clause, language)
    found.rest = lexicon.DEAR.sub(" ", lexicon.CHEAP.sub(" ", found.rest))
    text, known = slots.query(found.rest, _TRANSLATE[language], PHRASES)
    this = bool(lexicon.THIS.search(clause))
    maker = lexicon.MAKER.search(clause) if lexicon.MAKER_CUE.search(clause) else None
    act = Act(
        intent="",
        text=text,
        raw=clause,
        known=known,
        cue=bool(lexicon.SEARCH_CUE.search(clause)),
        this=this,
        both=bool(lexicon.BOTH.search(clause)),
        everything=bool(lexicon.ALL.search(clause)),
        color=found.color,
        size=found.size,
        options=found.options,
        maker=maker[1] if maker else None,
        min_price=found.min_price,
        max_price=found.max_price,
        sort="price" if lexicon.CHEAP.search(clause) else "-price" if lexicon.DEAR.search(clause) else "",
        positions=found.positions,
        pairs=found.pairs,
        quantity=found.quantity,
        number=found.number,
        cep=found.cep,
        order=found.order,
        card=found.card,
    )
    intent, pattern = _intent(act, clause)
    if intent in _WITH_TEXT and pattern is not None:
        text, known = slots.query(
            lexicon.COMMANDS.sub(" ", pattern.sub(" ", found.rest)), _TRANSLATE[language], PHRASES
        )
        if intent == "compare" and not act.positions:
            numbers = tuple(int(word) for word in text.split() if word.isdigit() and 1 <= int(word) <= 10)
            text = " ".join(word for word in text.split() if not word.isdigit())
            act = replace(act, positions=numbers)
        return replace(act, intent=intent, text=text, known=known)
    return replace(act, intent=intent, text=text if intent == "search" else "", known=known and intent == "search")


def _intent(act: Act, clause: str) -> tuple[str, re.Pattern[str] | None]:
    if act.card:
        return "card", None
    if act.attributes and lexicon.SWAP.search(clause) and not (act.order or act.cep):
        return "swap", lexicon.SWAP
    for name, pattern in lexicon.INTENTS[2:]:
        if not pattern.search(clause):
            continue
        if name in _SOFT and act.known:
            continue
        if name == "order_status" and act.cep:
            return "quote", None
        if name == "details" and act.known and not act.positions and not act.this and act.bounded:
            continue
        if name in ("cheaper", "pricier") and act.known:
            continue
        return name, pattern
    return _fallback(act, clause), None


_POINTING = bag("quero queria levo prefiro want quiero esse essa este esta this that ese esa gostei")


def _fallback(act: Act, clause: str) -> str:
    """No pattern speaks: what the slots say."""
    if act.order:
        return "order_status"
    if act.cep:
        return "quote"
    words = [word for word in act.text.split() if not word.isdigit()]
    if act.number is not None:
        return "number"
    if act.positions and not act.known:
        return "add" if any(word in _POINTING for word in clause.split()) else "pick"
    if not words:
        if act.attributes:
            return "add" if act.this and not lexicon.HAS_CUE.search(clause) else "attributes"
        if act.bounded or act.sort:
            return "attributes"
        if act.this or act.both or act.everything:
            return "add" if any(word in _POINTING for word in clause.split()) and len(clause.split()) > 1 else "pick"
        if act.quantity:
            return "quantity"
        return "browse" if act.cue and len(clause.split()) > 1 else "unclear"
    return "search"


def _merge(acts: list[Act]) -> list[Act]:
    """ "Quero um vestido. Vermelho. Até 300" is one wish, not three."""
    merged: list[Act] = []
    for act in acts:
        last = merged[-1] if merged else None
        if last is not None and last.intent == "search" and _adds_to(act):
            merged[-1] = replace(
                last,
                text=" ".join(dict.fromkeys([*last.text.split(), *act.text.split()])),
                known=last.known or act.known,
                color=act.color or last.color,
                size=act.size or last.size,
                options=tuple(dict.fromkeys([*last.options, *act.options])),
                min_price=act.min_price if act.bounded else last.min_price,
                max_price=act.max_price if act.bounded else last.max_price,
                sort=act.sort or last.sort,
                cue=last.cue or act.cue,
            )
        elif act not in merged:
            merged.append(act)
    return merged


def _adds_to(act: Act) -> bool:
    if act.intent == "attributes" or (act.intent == "cheaper" and not act.this):
        return True
    return (
        act.intent == "search"
        and not any(word in NOUNS for word in act.text.split())
        and (act.attributes or act.bounded)
    )


def merge_lines(lines: tuple[tuple[Act, ...], ...]) -> list[Act]:
    """The acts of a burst: what several messages say of one wish becomes one act again."""
    acts = [act for line in lines for act in line]
    social = [act for act in acts if act.intent in ("greet", "wellbeing", "thanks", "bye")]
    rest = _merge([act for act in acts if act not in social])
    return [*list(dict.fromkeys(social))[:1], *rest]
