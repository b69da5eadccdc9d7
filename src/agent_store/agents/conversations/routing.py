"""Which brand a message on the shared number is for: by names, by the brands' keywords, by what is talked about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent_store.agents.conversations.words import one_typo, squeeze, stems, tokens
from agent_store.contracts.brands import Brand

BRAND_PAYLOAD = "brand:"
_NAME, _KEYWORD, _TYPO = 30, 10, 6
_TYPO_FROM = 5
"""Shorter words are not mended: "bola", "bota" and "boca" are all goods."""
_FILLER_WORDS = """o a os as um uma de da do na no para pra com e quero queria ver falar ir eu marca loja opcao numero por favor
the an i want to see go with please brand shop option number el la los las un una quiero con tienda opcion me mi my"""
_FILLER = frozenset(_FILLER_WORDS.split())


@dataclass(frozen=True, slots=True)
class Choice:
    """`brand` is None when the customer has to be asked. `why`: "name", "keyword", "stays", "only" or "unclear"."""

    brand: str | None
    why: str
    scores: dict[str, int]


def _holds(said: Sequence[frozenset[str]], meant: Sequence[str], *, typos: bool) -> int:
    """How surely a keyword's words stand in a message, one after the other: _KEYWORD, _TYPO or 0."""
    wanted = [stems(word) for word in meant]
    best = 0
    for start in range(len(said) - len(wanted) + 1):
        found = _KEYWORD
        for forms, want in zip(said[start:], wanted, strict=False):
            if forms & want:
                continue
            if typos and any(
                len(form) >= _TYPO_FROM and len(word) >= _TYPO_FROM and form[0] == word[0] and one_typo(form, word)
                for form in forms
                for word in want
            ):
                found = _TYPO
                continue
            found = 0
            break
        best = max(best, found)
    return best


def _words_of(text: str) -> list[frozenset[str]]:
    return [stems(squeeze(word)) for word in tokens(text)]


def score(text: str, brand: Brand, *, typos: bool = True) -> tuple[int, bool]:
    """Evidence that `text` is about `brand`, over the keywords of all languages; and whether it was called by name."""
    said = _words_of(text)
    named = any(
        _holds(said, tokens(name), typos=False)
        for name in {brand.name, brand.seller, brand.id.replace("-", " ")}
        if name
    )
    seen: set[tuple[str, ...]] = set()
    total = 0
    for keywords in brand.keywords.values():
        for keyword in keywords:
            words = tuple(tokens(keyword))
            if not words or any(min(stems(words[-1]), key=len) == min(stems(other[-1]), key=len) for other in seen):
                continue
            found = _holds(said, words, typos=typos)
            if found:
                seen.add(words)
                total += found + 4 * (len(words) - 1)
    return total + (_NAME if named else 0), named


def route(text: str, brands: Sequence[Brand], current: str | None) -> Choice:
    """The brand for a burst on the shared number.

    A brand in charge keeps the conversation unless another one is clearly meant: called by name, or its keywords
    written without a typo while nothing of the current brand's is named. Without a brand in charge, the best wins and a tie
    is asked.
    """
    if len(brands) == 1:
        return Choice(brands[0].id, "only", {})
    known = {brand.id for brand in brands}
    if current not in known:
        current = None
    exact = {brand.id: score(text, brand, typos=False) for brand in brands}
    loose = {brand.id: score(text, brand) for brand in brands}
    points = {brand_id: found for brand_id, (found, _) in loose.items()}
    named = [brand_id for brand_id, (_, by_name) in exact.items() if by_name]
    if len(named) == 1:
        return Choice(named[0], "name", points)
    if current is not None:
        ranked = sorted(exact, key=lambda brand_id: -exact[brand_id][0])
        best, second = ranked[0], ranked[1]
        clear = exact[best][0] >= _KEYWORD and exact[best][0] > exact[second][0]
        if clear and best != current and points[current] == 0:
            return Choice(best, "keyword", points)
        return Choice(current, "stays", points)
    ranked = sorted(points, key=lambda brand_id: -points[brand_id])
    if ranked and points[ranked[0]] > 0 and (len(ranked) == 1 or points[ranked[0]] > points[ranked[1]]):
        return Choice(ranked[0], "keyword", points)
    return Choice(None, "unclear", points)


def answer_to_choice(text: str, payload: str | None, brands: Sequence[Brand]) -> tuple[str | None, bool]:
    """The brand that an answer to "which shop?" picks, and whether the answer says nothing else.

    A tapped row, the brand's (or seller's) name, or its place in the list ("2", "opção 2").
    """
    if payload is not None:
        chosen = payload.removeprefix(BRAND_PAYLOAD) if payload.startswith(BRAND_PAYLOAD) else None
        return (chosen, True) if any(brand.id == chosen for brand in brands) else (None, False)
    words = [word for word in tokens(text) if word not in _FILLER]
    if len(words) == 1 and re.fullmatch(r"\d{1,2}", words[0]) and 1 <= int(words[0]) <= len(brands):
        return brands[int(words[0]) - 1].id, True
    named = [brand for brand in brands if score(text, brand, typos=False)[1]]
    if len(named) != 1:
        return None, False
    own = {word for name in (named[0].name, named[0].seller, named[0].id) for word in tokens(name.replace("-", " "))}
    return named[0].id, all(word in own for word in words)
