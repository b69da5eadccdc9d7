"""The index on PostgreSQL: a tsvector a product finds, trigrams find what a mistyped word may have meant.

The vocabulary stays in the database: a pod that has just been woken answers its first search without reading it. Of the
words that a search asks for, the last ones are remembered in memory until the next import.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import select, text

from agent_store.agents.catalog import tables as t
from agent_store.agents.catalog.fulltext import FullText, Language
from agent_store.agents.catalog.search import Document, Group, Match
from agent_store.agents.catalog.vocabulary import Guess, Lexicon, Words
from agent_store.agents.catalog.words import sound, stem

R = TypeVar("R")

_STATE = select(t.state.c.generation, t.state.c.revision).where(t.state.c.name == "catalog")
_ADD = text(
    "INSERT INTO catalog_index (number, document)"
    " VALUES (:number, array_to_tsvector(string_to_array(CAST(:lexemes AS text), ' ')))"
)
_DROP = text("DELETE FROM catalog_index WHERE number = :number")
_SPELL = text(
    "INSERT INTO catalog_spelling (word, stem, sound) VALUES (:word, :stem, :sound) ON CONFLICT (word) DO NOTHING"
)
_FIRST = text(
    # Materialised: with the limit in sight the planner would rather walk through all products.
    "WITH fits AS MATERIALIZED (SELECT number FROM catalog_index"
    " WHERE document @@ CAST(CAST(:match AS text) AS tsquery)) SELECT number FROM fits LIMIT 1"
)

_OF_BRAND = (
    "w.brand = ANY(CASE WHEN CAST(:brand AS text) IS NULL THEN ARRAY(SELECT brand FROM catalog_brands)"
    ' ELSE ARRAY[CAST(:brand AS text)] END) AND w.word = s.word COLLATE "default" AND w.products > 0'
)
_STEMS = text(
    "SELECT s.stem, sum(w.products) AS products FROM catalog_spelling s"  # noqa: S608  # fixed text
    f" JOIN catalog_words w ON {_OF_BRAND}"
    " WHERE s.stem = ANY(string_to_array(CAST(:stems AS text), ' ')) GROUP BY s.stem"
)
_ALIKE = text(
    "SELECT s.word, sum(w.products) AS products FROM ("  # noqa: S608  # fixed text
    "SELECT word FROM catalog_spelling WHERE sound = CAST(:sound AS text)"
    " UNION SELECT word FROM catalog_spelling WHERE word = ANY(string_to_array(CAST(:near AS text), ' '))"
    " UNION SELECT word FROM catalog_alike(CAST(:alike AS text))"
    " UNION (SELECT word FROM catalog_spelling WHERE word > CAST(:word AS text) AND word < CAST(:word AS text) || '~'"
    " AND length(word) <= length(CAST(:word AS text)) + 6 ORDER BY word LIMIT 400)"
    f") s JOIN catalog_words w ON {_OF_BRAND} GROUP BY s.word"
)

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_SHORT = 5
"""Words up to this length have too few trigrams to go by: every word that is one letter away is looked up instead."""

_LONGEST = 200
"""Letters of a stem that are looked at: a lexeme is bounded, and so is a search."""

_REMEMBERED = 20_000
"""Stems and guesses kept in memory, all scopes together."""

_KEPT = 4
_TELLING = ("name", "category", "tags", "maker", "color")


class PostgresSearch(FullText):
    """See `search.SearchIndex`.

    A product's lexemes: its stems as they are (found anywhere), with "t:" for those outside of the description, "c:",
    "m:" and "z:" for colour, maker and size, and "b:" with its brand's number. So every question is answered by the
    GIN index alone; weights would make it look at each row again.
    """

    language = Language(
        matched=(
            "FROM catalog_products p WHERE p.number = ANY(ARRAY(SELECT number FROM catalog_index"
            " WHERE document @@ CAST(CAST(:match AS text) AS tsquery)"
            " ORDER BY number DESC LIMIT CAST(:scan AS bigint))) AND"
        ),
        newest_first=" ORDER BY p.number DESC",
        within=(
            "p.number = ANY(ARRAY(SELECT number FROM catalog_index"
            " WHERE document @@ CAST(CAST(:match AS text) AS tsquery)))"
        ),
        category="p.category = ANY(string_to_array(CAST(:categories AS text), ' '))",
        color="position(CAST(:{name} AS text) IN v.color_key) > 0",
    )

    async def ask(self, brand: str | None, question: Callable[[Lexicon], R]) -> R:
        row = await self.db.first(_STATE)
        known = _memory.of(row["generation"], row["revision"], brand) if row is not None else _Known()
        while True:
            words = _Asked(known)
            answer = question(words)
            if row is None or not await self._learn(words, known, brand):
                return answer

    async def _learn(self, words: _Asked, known: _Known, brand: str | None) -> bool:
        """Look up what was asked for and not known. False when there was nothing: the answer stands."""
        if words.stems:
            given = {"stems": " ".join(words.stems), "brand": brand}
            counts = {row["stem"]: int(row["products"]) for row in await self.db.all(_STEMS, given)}
            known.stems.update((key, counts.get(key, 0)) for key in words.stems)
        for word in words.words:
            known.guesses[word] = await self._guess(word, brand)
        return bool(words.stems or words.words)

    async def _guess(self, word: str, brand: str | None) -> tuple[Guess, ...]:
        """`Words.guess` among those words of the brand that are near enough to come into question."""
        if len(word) < 3:
            return ()
        short = len(word) <= _SHORT
        given = {
            "brand": brand,
            "sound": sound(word) if len(word) > 3 else "",
            "near": " ".join(_one_letter_away(word)) if short and len(word) > 3 else "",
            "alike": "" if short else word,
            "word": word,
        }
        near = Words()
        near.update((row["word"], int(row["products"])) for row in await self.db.all(_ALIKE, given))
        return near.guess(word)

    async def fits(self, match: Match, brand: str | None) -> bool:
        number, known = await self.brand_number(brand)
        return known and await self.db.first(_FIRST, {"match": self.expression(match, (), number)}) is not None

    async def spell(self, words: Sequence[str]) -> None:
        await self.db.many(
            _SPELL, [{"word": word[:128], "stem": stem(word)[:_LONGEST], "sound": sound(word)[:128]} for word in words]
        )

    async def put(self, documents: Sequence[Document]) -> None:
        await self.db.many(_ADD, [{"number": one.number, "lexemes": " ".join(_lexemes(one))} for one in documents])

    async def drop(self, numbers: Sequence[int]) -> None:
        await self.db.many(_DROP, [{"number": number} for number in numbers])

    def scope(self, brand: int | None) -> Mapping[str, Any]:
        return {}  # it is in the expression

    def categories(self, slugs: Sequence[str]) -> str:
        return " ".join(slugs)

    def expression(self, match: Match, narrow: Sequence[Group], brand: int | None, *, telling: bool = False) -> str:
        """A tsquery. Stems are letters and digits only, and quoted, so nothing in them is an operator."""
        prefix = "t:" if telling else ""
        parts = [_one(group, prefix) for group in match.every]
        if match.some:
            parts.append(f"({' | '.join(_one(group, prefix) for group in match.some)})")
        parts.extend(_one(group, f"{group.field[:1]}:" if group.field != "size" else "z:") for group in narrow)
        if brand is not None:
            parts.append(f"'b:{brand}'")
        return " & ".join(parts)


def _one(group: Group, prefix: str) -> str:
    phrases = (" & ".join(f"'{prefix}{part[:_LONGEST]}'" for part in phrase) for phrase in group.any_of)
    return f"({' | '.join(f'({phrase})' for phrase in phrases)})"


def _lexemes(document: Document) -> dict[str, None]:
    """What a product is found by, once each."""
    found: dict[str, None] = {f"b:{document.number >> t.BRAND_SHIFT}": None}
    for name, said in document.fields.items():
        prefixes = ["", *(["t:"] if name in _TELLING else [])]
        prefixes += {"color": ["c:"], "maker": ["m:"], "size": ["z:"]}.get(name, [])
        for part in said.split():
            found.update((f"{prefix}{part[:_LONGEST]}", None) for prefix in prefixes)
    return found


def _one_letter_away(word: str) -> set[str]:
    """All spellings with one letter more, fewer, other, or two swapped."""
    cuts = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    near = {head + tail[1:] for head, tail in cuts if tail}
    near |= {head + tail[1] + tail[0] + tail[2:] for head, tail in cuts if len(tail) > 1}
    near |= {head + letter + tail[1:] for head, tail in cuts if tail for letter in _LETTERS}
    near |= {head + letter + tail for head, tail in cuts for letter in _LETTERS}
    return near


class _Known:
    """What has been looked up in one scope of one state of the catalogue."""

    def __init__(self) -> None:
        self.stems: dict[str, int] = {}
        self.guesses: dict[str, tuple[Guess, ...]] = {}

    def __len__(self) -> int:
        return len(self.stems) + len(self.guesses)


class _Asked:
    """A `Lexicon` that takes what it doesn't know yet for known, and writes down what that was.

    Taken for known, a word leads no further: so only what is really unknown is guessed at, in the next round.
    """

    def __init__(self, known: _Known) -> None:
        self._known = known
        self.stems: dict[str, None] = {}
        self.words: dict[str, None] = {}

    def count(self, stem: str) -> int:
        known = self._known.stems.get(stem)
        if known is None:
            self.stems[stem] = None
            return 1
        return known

    def has(self, stems: Iterable[str]) -> bool:
        return all(self.count(key) > 0 for key in stems)

    def guess(self, word: str) -> tuple[Guess, ...]:
        known = self._known.guesses.get(word)
        if known is None:
            self.words[word] = None
            return ()
        return known


class _Memory:
    """The last catalogues' words by scope. A catalogue in another state begins anew."""

    def __init__(self) -> None:
        self._catalogues: OrderedDict[str, tuple[int, dict[str | None, _Known]]] = OrderedDict()

    def of(self, generation: str, revision: int, brand: str | None) -> _Known:
        found = self._catalogues.get(generation)
        if found is None or found[0] != revision or sum(map(len, found[1].values())) > _REMEMBERED:
            found = self._catalogues[generation] = (revision, {})
        self._catalogues.move_to_end(generation)
        while len(self._catalogues) > _KEPT:
            self._catalogues.popitem(last=False)
        return found[1].setdefault(brand, _Known())


_memory = _Memory()
