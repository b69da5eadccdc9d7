"""The words of a brand's products, in memory, and what a mistyped word may have meant."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import log10
from typing import Any, Protocol

from agent_store.agents.catalog import synonyms
from agent_store.agents.catalog.words import sound, stem

_REMEMBERED = 4096
"""Corrections kept in memory a brand."""


@dataclass(frozen=True, slots=True)
class Guess:
    """What a word may have meant. `cost` 0 is the word itself; about 1 a wrong letter."""

    word: str
    cost: float
    completed: bool = False
    """It was only not typed to its end."""


class Lexicon(Protocol):
    """What reading a customer's words asks of the products' words."""

    def count(self, stem: str) -> int:
        """About how many products have a word of this stem; 0 for none."""
        ...

    def has(self, stems: Iterable[str]) -> bool:
        """Do all of these stems occur?"""
        ...

    def guess(self, word: str) -> tuple[Guess, ...]:
        """What an unknown word may have meant, best first, at most three of about the same cost; empty for none."""
        ...


@dataclass(slots=True)
class Words:
    """The vocabulary of one scope: folded words as they stand in products, and in how many."""

    counts: dict[str, int] = field(default_factory=dict[str, int])
    by_stem: Counter[str] = field(default_factory=Counter[str])
    _by_length: dict[int, dict[str, None]] = field(default_factory=dict[int, dict[str, None]])
    _by_sound: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    _sorted: list[str] = field(default_factory=list[str])
    _guesses: OrderedDict[str, tuple[Guess, ...]] = field(default_factory=OrderedDict[str, tuple[Guess, ...]])

    def update(self, rows: Iterable[tuple[str, int]]) -> None:
        """Take over new counts; 0 takes a word out."""
        new: list[str] = []
        for word, products in rows:
            before = self.counts.get(word, 0)
            if products == before:
                continue
            key = stem(word)
            self.by_stem[key] += products - before
            if not self.by_stem[key]:
                del self.by_stem[key]
            if products:
                self.counts[word] = products
            else:
                del self.counts[word]
                self._by_length[len(word)].pop(word, None)
                self._by_sound[sound(word)].discard(word)
                del self._sorted[bisect_left(self._sorted, word)]
            if products and not before:
                self._by_length.setdefault(len(word), {})[word] = None
                self._by_sound.setdefault(sound(word), set()).add(word)
                new.append(word)
        if len(new) > 64:
            self._sorted = sorted((*self._sorted, *new))
        else:
            for word in new:
                insort(self._sorted, word)
        self._guesses.clear()

    def has(self, stems: Iterable[str]) -> bool:
        """Do all of these stems occur?"""
        return all(key in self.by_stem for key in stems)

    def count(self, stem: str) -> int:
        """About how many products have a word of this stem; 0 for none."""
        return self.by_stem.get(stem, 0)

    def guess(self, word: str) -> tuple[Guess, ...]:
        """What an unknown word may have meant, best first, at most three of about the same cost; empty for none.

        Weighs letters (added, left out, changed, swapped: RapidFuzz), how it sounds, words that begin with it, and
        how many products have it.
        """
        known = self._guesses.get(word)
        if known is None:
            known = self._guesses[word] = self._find(word)
            if len(self._guesses) > _REMEMBERED:
                self._guesses.popitem(last=False)
        return known

    def _find(self, word: str) -> tuple[Guess, ...]:
        length = len(word)
        if length < 3:
            return ()
        costs: dict[str, float] = {}
        allowed = _typos(length)
        if allowed:
            from rapidfuzz import process
            from rapidfuzz.distance import OSA

            for size in range(length - allowed, length + allowed + 1):
                for choices in (self._by_length.get(size), _spelled().get(size)):
                    if choices:
                        found: Sequence[tuple[str, float, Any]] = process.extract(
                            word, choices.keys(), scorer=OSA.distance, score_cutoff=allowed, limit=None
                        )
                        for candidate, distance, _ in found:
                            costs[candidate] = float(distance)
        spoken = sound(word)
        if length > 3:
            for candidate in self._by_sound.get(spoken, ()):
                costs[candidate] = min(costs.get(candidate, 2.0), 1.2)
        guesses = [Guess(candidate, cost - self._bonus(word, spoken, candidate)) for candidate, cost in costs.items()]
        for completion in self._completions(word):
            rest = len(completion) - length
            guesses.append(Guess(completion, 0.45 + 0.08 * rest - 0.05 * self._weight(completion), completed=True))
        guesses.sort(key=lambda guess: (guess.cost, guess.word))
        kept: list[Guess] = []
        for guess in guesses:
            if guess.cost > guesses[0].cost + 0.15 or len(kept) == 3:
                break
            if all(stem(guess.word) != stem(other.word) for other in kept):
                kept.append(guess)
        return tuple(kept)

    def _bonus(self, word: str, spoken: str, candidate: str) -> float:
        alike = 0.6 if sound(candidate) == spoken else 0.0
        begins = 0.3 if candidate[0] == word[0] else 0.0
        ends = 0.1 if candidate[-1] == word[-1] else 0.0
        return alike + begins + ends + 0.12 * self._weight(candidate)

    def _weight(self, word: str) -> float:
        return log10(1 + self.counts.get(word, 0))

    def _completions(self, word: str) -> list[str]:
        start = bisect_left(self._sorted, word)
        found: list[str] = []
        for candidate in self._sorted[start : start + 200]:
            if not candidate.startswith(word):
                break
            if 0 < len(candidate) - len(word) <= 6:
                found.append(candidate)
        return found


def _typos(length: int) -> int:
    return 0 if length < 4 else 1 if length < 6 else 2 if length < 10 else 3


@lru_cache(maxsize=1)
def _spelled() -> dict[int, dict[str, None]]:
    by_length: dict[int, dict[str, None]] = {}
    for word in sorted(synonyms.spelled()):
        by_length.setdefault(len(word), {})[word] = None
    return by_length


class Vocabulary:
    """All brands' words of one catalogue, brought up to date by its imports' revisions."""

    def __init__(self) -> None:
        self.revision = -1
        self._brands: dict[str, Words] = {}
        self._all = Words()

    def of(self, brand: str | None) -> Words:
        """A brand's words; None is all brands together."""
        if brand is None:
            return self._all
        return self._brands.get(brand) or Words()

    def update(self, rows: Iterable[tuple[str, str, int]], revision: int) -> None:
        """Take over (brand, word, products) rows that changed up to `revision`."""
        by_brand: dict[str, list[tuple[str, int]]] = {}
        for brand, word, products in rows:
            by_brand.setdefault(brand, []).append((word, products))
        totals: dict[str, int] = {}
        for brand, changed in by_brand.items():
            words = self._brands.setdefault(brand, Words())
            for word, products in changed:
                before = totals.get(word, self._all.counts.get(word, 0))
                totals[word] = before + products - words.counts.get(word, 0)
            words.update(changed)
        self._all.update(totals.items())
        self.revision = revision
