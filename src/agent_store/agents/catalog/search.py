"""What a search means and in which order it is asked: groups of alternatives, and what is let go when nothing fits.

Pure: the words of the catalogue come in as a `Lexicon`, the index that answers is behind `SearchIndex`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import log
from typing import Literal, Protocol, TypeVar

from agent_store.agents.catalog import synonyms
from agent_store.agents.catalog.synonyms import Phrase
from agent_store.agents.catalog.vocabulary import Lexicon
from agent_store.agents.catalog.words import question, size_key, stem, stems

R = TypeVar("R")

RANKED = 150
"""Products that are ranked at most. A search for words that more of them fit takes the newest of those that fit best;
`total` counts no further and pages end there. Without words nothing is ranked: `total` is exact, pages go on."""

BROAD = 3000
"""Products that an any-of search may touch: of its words the rarest are taken, until there would be more."""

ALTERNATIVES = 6
"""Phrases looked for in place of one word at most: each costs time in every product that is ranked."""

COLORS = 12
"""Names and shades that a colour filter looks for at most."""

Sort = Literal["relevance", "price", "-price"]
Field = Literal["", "category", "maker", "color", "size"]


@dataclass(frozen=True, slots=True)
class Group:
    """One thing that was asked for: any of these phrases, all stems of a phrase. `field` "" looks everywhere."""

    any_of: tuple[Phrase, ...]
    field: Field = ""
    kind: Literal["word", "color"] = "word"
    head: bool = False
    """It says what kind of product: the last thing to let go."""
    products: int = 0
    """About how many products have it."""


@dataclass(frozen=True, slots=True)
class Understood:
    """A customer's words. `corrected` is their text with typos mended, None when there were none."""

    groups: tuple[Group, ...] = ()
    sizes: tuple[str, ...] = ()
    corrected: str | None = None
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Filters:
    """What a product must fit. `colors` are variants' colour keys (any of them), prices are minor units."""

    brand: str | None = None
    categories: tuple[str, ...] | None = None
    colors: tuple[Phrase, ...] | None = None
    size: str | None = None
    maker: Group | None = None
    min_price: int | None = None
    max_price: int | None = None
    in_stock: bool = True

    def without(self, names: Collection[str]) -> Filters:
        """Let filters go by the names of the contract."""
        return replace(
            self,
            categories=None if "category" in names else self.categories,
            colors=None if "color" in names else self.colors,
            size=None if "size" in names else self.size,
            maker=None if "maker" in names else self.maker,
            min_price=None if "min_price" in names else self.min_price,
            max_price=None if "max_price" in names else self.max_price,
        )

    def named(self) -> list[str]:
        """The filters that are set, the first to let go first: a person who wears P cannot wear M."""
        values = {
            "color": self.colors, "max_price": self.max_price, "min_price": self.min_price, "maker": self.maker,
            "size": self.size, "category": self.categories,
        }  # fmt: skip
        return [name for name, value in values.items() if value is not None]


@dataclass(frozen=True, slots=True)
class Match:
    """All of `every`, and at least one of `some` (when there are any)."""

    every: tuple[Group, ...] = ()
    some: tuple[Group, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.every and not self.some

    @property
    def at_most(self) -> int:
        """No more products than this can fit."""
        bounds = [group.products for group in self.every]
        if self.some:
            bounds.append(sum(group.products for group in self.some))
        return min(bounds, default=0)


@dataclass(slots=True)
class Candidate:
    """A product that fits. `colors` and `sizes` are what is in stock, joined by "|"; `terms` see `ranked_terms`; `score`
    (higher fits better) is 0 before `rank`."""

    number: int
    id: str
    category: str
    maker: str
    price_minor: int | None
    colors: str
    sizes: str
    terms: str
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Document:
    """What of a product is looked up: stems by column (see `tables.FIELDS`)."""

    number: int
    fields: dict[str, str] = field(default_factory=dict[str, str])


class SearchIndex(Protocol):
    """Full-text search over the catalogue: `sqlite_search` and `postgres_search`."""

    async def ask(self, brand: str | None, question: Callable[[Lexicon], R]) -> R:
        """What `question` answers with the words of a brand's products (None: of all), up to the last committed import.

        It may be called several times before it has all the words that it asks for, so it has no effects.
        """
        ...

    async def fits(self, match: Match, brand: str | None) -> bool:
        """Does any product of the brand fit the words, whatever the filters?"""
        ...

    async def find(self, match: Match, filters: Filters, sort: Sort = "relevance") -> list[Candidate]:
        """At most `RANKED` products that fit, not ranked yet: those that have all words outside their description
        first, then the newest; by price the cheapest ("price") or dearest ("-price") of them all."""
        ...

    async def browse(self, filters: Filters, sort: Sort = "relevance", skip: int = 0) -> list[Candidate]:
        """The next `RANKED` products that fit the filters alone, the newest first (with a price filter the cheapest)."""
        ...

    async def total(self, filters: Filters) -> int:
        """How many products fit the filters alone."""
        ...

    async def spell(self, words: Sequence[str]) -> None:
        """Folded words that products have had counted: a mistyped word may mean one of them from now on."""
        ...

    async def put(self, documents: Sequence[Document]) -> None: ...

    async def drop(self, numbers: Sequence[int]) -> None: ...


def understand(text: str, words: Lexicon, categories: Iterable[str]) -> Understood:
    """Read a customer's words with the vocabulary of the products that are searched."""
    asked, sizes = question(text)
    heads = {key for category in categories for key in stems(category)}
    read = _read(asked, words, heads)
    mended = read.said != asked
    if mended:
        # Once more: words that are right now may be a phrase ("carregdor portatil").
        read = _read(read.said, words, heads)
    return Understood(
        groups=tuple(dict.fromkeys(read.groups)),
        sizes=tuple(size_key(size) for size in sizes),
        corrected=" ".join(read.said) if mended else None,
        unknown=tuple(read.unknown),
    )


@dataclass(slots=True)
class _Read:
    """What words came to: groups, the words with typos mended, those that nothing has."""

    groups: list[Group] = field(default_factory=list[Group])
    said: list[str] = field(default_factory=list[str])
    unknown: list[str] = field(default_factory=list[str])


def _read(asked: list[str], words: Lexicon, heads: set[str]) -> _Read:
    read = _Read()
    index = 0
    while index < len(asked):
        taken, phrase_group = _phrase(asked, index, words, heads)
        if phrase_group is not None:
            read.groups.append(phrase_group)
            read.said.extend(asked[index : index + taken])
            index += taken
            continue
        word = asked[index]
        index += 1
        found, spelled = _word(word, words, heads)
        read.said.extend(spelled)
        read.groups.extend(found)
        if not found:
            read.unknown.append(word)
    return read


def _phrase(asked: list[str], index: int, words: Lexicon, heads: set[str]) -> tuple[int, Group | None]:
    """The longest phrase of the synonyms that begins here; or two words that are one ("note book")."""
    for size in range(min(synonyms.longest(), len(asked) - index), 1, -1):
        key = tuple(stem(word) for word in asked[index : index + size])
        if key in synonyms.table():
            group = _group(key, words, heads)
            if group is not None:
                return size, group
    if index + 1 < len(asked):
        first, second = asked[index], asked[index + 1]
        group = _group((stem(first + second),), words, heads) if len(first + second) > 4 else None
        if group is not None and not (words.count(stem(first)) and words.count(stem(second))):
            return 2, group
    return 0, None


def _word(word: str, words: Lexicon, heads: set[str]) -> tuple[list[Group], list[str]]:
    """Groups for one word, and how it is spelled."""
    group = _group((stem(word),), words, heads)
    if group is not None:
        return [group], [word]
    guesses = words.guess(word)
    meant = [(guess, found) for guess in guesses if (found := _group((stem(guess.word),), words, heads)) is not None]
    parts = _split(word, words) if not meant or meant[0][0].cost > 0.8 else None
    if parts is not None:
        split = [found for part in parts if (found := _group((stem(part),), words, heads)) is not None]
        return split, list(parts)
    if not meant:
        return [], [word]
    best, first = meant[0]
    any_of = tuple(dict.fromkeys(phrase for _, found in meant for phrase in found.any_of))[:ALTERNATIVES]
    merged = replace(first, any_of=any_of, products=sum(found.products for _, found in meant))
    return [merged], [word if best.completed else best.word]


def _split(word: str, words: Lexicon) -> tuple[str, str] | None:
    """Two words that were written as one ("tenispreto")."""
    if len(word) < 7:
        return None
    for cut in range(3, len(word) - 2):
        first, second = word[:cut], word[cut:]
        if words.count(stem(first)) and words.count(stem(second)):
            return first, second
    return None


def _group(key: Phrase, words: Lexicon, heads: set[str]) -> Group | None:
    """The phrase and its synonyms, as far as the products have them; None when they have none."""
    any_of = tuple(phrase for phrase in (key, *synonyms.table().get(key, ())) if words.has(phrase))
    if not any_of:
        return None
    any_of = any_of[:ALTERNATIVES]
    return Group(
        any_of=any_of,
        kind="color" if key in synonyms.colors() else "word",
        head=any(set(phrase) <= heads for phrase in any_of),
        products=sum(min(words.count(part) for part in phrase) for phrase in any_of),
    )


def color_phrases(color: str, words: Lexicon) -> tuple[Phrase, ...]:
    """A colour filter with its names in other languages and its shades; typos mended."""
    key = tuple(stems(color))
    known = synonyms.colors()
    if key not in known and not words.has(key):
        mended: list[str] = []
        for part in key:
            guesses = [guess for guess in words.guess(part) if (stem(guess.word),) in known]
            mended.append(stem(guesses[0].word) if guesses else part)
        key = tuple(mended)
    return (key, *known.get(key, ()))[:COLORS] if key else ()


def maker_group(maker: str, words: Lexicon) -> Group | None:
    """A maker filter: all words of its name, typos mended. None when nothing is left of it."""
    key: list[str] = []
    for word in stems(maker):
        guesses = () if words.count(word) else words.guess(word)
        key.append(stem(guesses[0].word) if guesses else word)
    return Group(any_of=(tuple(key),), field="maker") if key else None


def category_slugs(category: str, known: Iterable[str]) -> tuple[str, ...]:
    """The categories that are meant: by id, by words, by words of another language. Empty when it is none."""
    slugs = tuple(known)
    if category in slugs:
        return (category,)
    key = tuple(stems(category))
    if not key:
        return ()
    for phrase in (key, *synonyms.table().get(key, ())):
        meant = tuple(slug for slug in slugs if set(phrase) <= set(stems(slug)))
        if meant:
            return meant
    return ()


def ladder(groups: Sequence[Group]) -> list[Match]:
    """The ways to ask, strictest first: all words; what kind of product it is with any of the other words; then that
    alone, or any word at all."""
    if not groups:
        return []
    steps = [Match(every=tuple(groups))]
    heads = tuple(group for group in groups if group.head)
    rest = tuple(group for group in groups if not group.head)
    if heads and rest:
        if len(rest) > 1:
            steps.append(Match(every=heads, some=_rarest(rest)))
        steps.append(Match(every=heads))
    elif not heads and len(groups) > 2:
        least = max(groups, key=lambda group: (group.kind == "color", group.products))
        steps.append(Match(every=tuple(group for group in groups if group is not least)))
    if len(groups) > 1:
        steps.append(Match(some=_rarest(heads if len(heads) > 1 else groups)))
    return steps


def _rarest(groups: Sequence[Group]) -> tuple[Group, ...]:
    """As many of the rarest groups as stay within BROAD products, at least one."""
    kept: list[Group] = []
    touched = 0
    for group in sorted(groups, key=lambda group: group.products):
        touched += group.products
        if kept and touched > BROAD:
            break
        kept.append(group)
    return tuple(kept)


def relaxations(filters: Filters) -> list[tuple[str, ...]]:
    """What may be let go: nothing, one filter, then ever more; the category last."""
    named = filters.named()
    single = [(name,) for name in named if name != "category"]
    growing = [tuple(named[: count + 1]) for count in range(1, len(named))]
    return [(), *single, *(step for step in growing if step not in single)]


RANKED_FIELDS: tuple[tuple[str, float], ...] = (
    ("name", 10.0), ("category", 8.0), ("tags", 5.0), ("color", 4.0), ("maker", 4.0), ("attributes", 2.0),
)  # fmt: skip
"""What a search ranks by, the most telling field first, with what a word in it weighs; in the description alone it
weighs 1."""

_WEIGHTS = tuple(weight for _, weight in RANKED_FIELDS)
_SATURATION = 1.2
"""BM25's k1: how soon more of the same stops counting."""

_SYNONYM = 0.85
"""What a synonym weighs beside the word itself."""

_COLOR_BOOST, _HEAD_BOOST = 1.3, 2.0


def ranked_terms(document: Document) -> str:
    """The stems by field, in the order of RANKED_FIELDS, each between spaces: " vestid aurora | vestid | festa | "."""
    return f" {' | '.join(document.fields.get(name, '') for name, _ in RANKED_FIELDS)} "


def rank(found: Iterable[Candidate], groups: Sequence[Group], products: int) -> list[Candidate]:
    """Best first: a BM25 whose term frequency is the weight of the fields that have the word, out of `products`.

    Not the index's own bm25(): that walks through all products that have any of the words, to count them, and adds
    synonyms up as if each were another thing asked for. The vocabulary knows the counts already.
    """
    heads = tuple(frozenset(phrase) for group in groups if group.head for phrase in group.any_of)
    colors = tuple(frozenset(phrase) for group in groups if group.kind == "color" for phrase in group.any_of)
    asked = [
        (log(1 + products / (1 + group.products)), [tuple(f" {part} " for part in phrase) for phrase in group.any_of])
        for group in groups
    ]
    ranked = list(found)
    for candidate in ranked:
        terms = candidate.terms
        score = sum(rarity * _weight(terms, phrases) for rarity, phrases in asked) * (1 - len(terms) / 20_000)
        if colors and any(color <= shown for shown in _color_sets(candidate.colors) for color in colors):
            score *= _COLOR_BOOST
        if heads and any(phrase <= _stem_set(candidate.category) for phrase in heads):
            score *= _HEAD_BOOST
        candidate.score = score
    ranked.sort(key=lambda candidate: (-candidate.score, -candidate.number))
    return ranked


def _weight(terms: str, phrases: Sequence[tuple[str, ...]]) -> float:
    """How well the best of the phrases fits, saturated; the first phrase is the word itself."""
    best = 0.0
    share = 1.0
    for phrase in phrases:
        weight = 0.0
        for part in phrase:
            at = terms.find(part)
            weight += 1.0 if at < 0 else _WEIGHTS[terms.count("|", 0, at)] + terms.count(part, at + 1)
        weight *= share / len(phrase)
        if weight > best:
            best = weight
            if best >= _WEIGHTS[0]:
                break  # it is in the name: no synonym says more
        share = _SYNONYM
    return best * (1 + _SATURATION) / (best + _SATURATION)


@lru_cache(maxsize=4096)
def _stem_set(text: str) -> frozenset[str]:
    """Categories are few: their stems are worked out once."""
    return frozenset(stems(text))


@lru_cache(maxsize=16384)
def _color_sets(colors: str) -> tuple[frozenset[str], ...]:
    """So are the colours that products come in together."""
    return tuple(frozenset(stems(color)) for color in colors.split("|"))
