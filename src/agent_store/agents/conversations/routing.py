"""Which brand a message on the shared number is for: by names, by the brands' keywords, by what is talked about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent_store.agents.conversations.words import one_typo, squeeze, stems, tokens
from agent_store.contracts.brands import Brand

BRAND_PAYLOAD = "brand:"
_NAME, _KEYWORD, _TYPO, _MORE_WORDS = 30, 10, 6, 4
_TYPO_FROM = 5
"""Shorter words are not mended: "bola", "bota" and "boca" are all goods."""
_OF = frozenset({"de", "da", "do", "para", "pra", "of", "for", "del"})
_FILLER_WORDS = """o a os as um uma de da do na no para pra com e quero queria ver falar ir eu marca loja opcao numero por favor
the an i want to see go with please brand shop option number el la los las un una quiero con tienda opcion me mi my"""
_FILLER = frozenset(_FILLER_WORDS.split())


@dataclass(frozen=True, slots=True)
class Choice:
    """`brand` is None when the customer has to be asked. `why`: "name", "keyword", "phrase", "stays", "only" or "unclear"."""

    brand: str | None
    why: str
    scores: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Match:
    """A keyword found in a message: where it stands, how surely, and whether only English has it."""

    start: int
    end: int
    points: int
    english: bool


class _Vocabulary:
    """A brand's names and keywords, stemmed once. `first` leads from a stem to the keywords that begin with it."""

    __slots__ = ("first", "keywords", "letters", "names")

    def __init__(self, brand: Brand) -> None:
        self.names = [
            [stems(word) for word in words]
            for words in {tuple(tokens(name)) for name in (brand.name, brand.seller, brand.id.replace("-", " "))}
            if words
        ]
        languages: dict[tuple[str, ...], set[str]] = {}
        for language, keywords in brand.keywords.items():
            for keyword in keywords:
                languages.setdefault(tuple(tokens(keyword)), set()).add(language)
        self.keywords = [
            ([stems(word) for word in words], found == {"en"}) for words, found in languages.items() if words
        ]
        self.first: dict[str, list[int]] = {}
        self.letters: dict[str, list[tuple[str, int]]] = {}
        for index, (words, _) in enumerate(self.keywords):
            for stem in words[0]:
                self.first.setdefault(stem, []).append(index)
                if len(words) == 1 and len(stem) >= _TYPO_FROM:
                    self.letters.setdefault(stem[0], []).append((stem, index))

    def matches(self, said: Sequence[frozenset[str]], *, typos: bool) -> list[_Match]:
        """At most one keyword a place, the surest and longest."""
        found: list[_Match] = []
        start = 0
        while start < len(said):
            best = self._at(said, start) or (self._misspelt(said[start], start) if typos else None)
            if best is not None:
                found.append(best)
            start = best.end if best is not None else start + 1
        return found

    def _at(self, said: Sequence[frozenset[str]], start: int) -> _Match | None:
        best: _Match | None = None
        for stem in said[start]:
            for index in self.first.get(stem, ()):
                words, english = self.keywords[index]
                end = start + len(words)
                if end <= len(said) and all(a & b for a, b in zip(said[start:end], words, strict=True)):
                    points = _KEYWORD + _MORE_WORDS * (len(words) - 1)
                    if best is None or points > best.points:
                        best = _Match(start, end, points, english)
        return best

    def _misspelt(self, forms: frozenset[str], start: int) -> _Match | None:
        for form in forms:
            if len(form) >= _TYPO_FROM:
                for stem, index in self.letters.get(form[0], ()):
                    if one_typo(form, stem):
                        return _Match(start, start + 1, _TYPO, self.keywords[index][1])
        return None

    def is_named(self, said: Sequence[frozenset[str]]) -> bool:
        return any(
            all(a & b for a, b in zip(said[start : start + len(name)], name, strict=True))
            for name in self.names
            for start in range(len(said) - len(name) + 1)
        )


_known: dict[str, tuple[Brand, _Vocabulary]] = {}
_KNOWN = 256


def _vocabulary(brand: Brand) -> _Vocabulary:
    """Worked out once for each brand object; the directory makes a new one when a brand changes."""
    entry = _known.get(brand.id)
    if entry is None or entry[0] is not brand:
        if len(_known) >= _KNOWN:
            _known.clear()
        entry = _known[brand.id] = (brand, _Vocabulary(brand))
    return entry[1]


def _words_of(text: str) -> list[frozenset[str]]:
    return [stems(squeeze(word)) for word in tokens(text)]


def _is_named(text: str, brand: Brand) -> bool:
    return _vocabulary(brand).is_named(_words_of(text))


def _points(matches: Sequence[_Match]) -> int:
    return sum(match.points for match in matches)


def _by_phrase(said: Sequence[frozenset[str]], one: Sequence[_Match], other: Sequence[_Match]) -> int | None:
    """Of two brands with the same evidence: 0 or 1 for the one that a phrase is about, None when nothing says.

    In "cadeira gamer" and "jogo de cama" the later noun says what kind of thing it is; in English the earlier one does
    ("gaming chair").
    """
    if len(one) != 1 or len(other) != 1:
        return None
    (first, last), swapped = sorted((one[0], other[0]), key=lambda match: match.start), one[0].start > other[0].start
    between = said[first.end : last.start]
    if first.end > last.start or len(between) > 1 or not all(word & _OF for word in between):
        return None
    earlier = (first.english or last.english) and not between
    return int(earlier == swapped)


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
    said = _words_of(text)
    named = [brand.id for brand in brands if _vocabulary(brand).is_named(said)]
    found = {brand.id: _vocabulary(brand).matches(said, typos=False) for brand in brands}
    points = {brand_id: _points(matches) for brand_id, matches in found.items()}
    if len(named) == 1:
        return Choice(named[0], "name", points)
    ranked = sorted(points, key=lambda brand_id: -points[brand_id])
    if current is not None:
        best, second = ranked[0], ranked[1]
        leaves = points[best] > points[second] and points[current] == 0
        if leaves and not _vocabulary(_by_id(brands, current)).matches(said, typos=True):
            return Choice(best, "keyword", points)
        return Choice(current, "stays", points)
    if ranked and points[ranked[0]] == 0:
        # Only now: what is written right needs no mending, and mending costs most of the time.
        found = {brand.id: _vocabulary(brand).matches(said, typos=True) for brand in brands}
        points = {brand_id: _points(matches) for brand_id, matches in found.items()}
        ranked = sorted(points, key=lambda brand_id: -points[brand_id])
    if not ranked or points[ranked[0]] == 0:
        return Choice(None, "unclear", points)
    tied = [brand_id for brand_id in ranked if points[brand_id] == points[ranked[0]]]
    if len(tied) == 1:
        return Choice(tied[0], "keyword", points)
    meant = _by_phrase(said, found[tied[0]], found[tied[1]]) if len(tied) == 2 else None
    return Choice(None, "unclear", points) if meant is None else Choice(tied[meant], "phrase", points)


def _by_id(brands: Sequence[Brand], brand_id: str) -> Brand:
    return next(brand for brand in brands if brand.id == brand_id)


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
    named = [brand for brand in brands if _is_named(text, brand)]
    if len(named) != 1:
        return None, False
    own = {word for name in (named[0].name, named[0].seller, named[0].id) for word in tokens(name.replace("-", " "))}
    return named[0].id, all(word in own for word in words)
