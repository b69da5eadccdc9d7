"""The seller's voice: texts by language, a persona's own turns of phrase, names of colours, sizes and days."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache

from agent_store.adapters.brains.rules.texts import en, es, pt
from agent_store.kernel.brain import BrainRequest

Text = str | tuple[str, ...]
_TEXTS: Mapping[str, Mapping[str, Text]] = {"pt": pt.TEXTS, "en": en.TEXTS, "es": es.TEXTS}
_PERSONAS: Mapping[str, Mapping[str, Mapping[str, Text]]] = {"pt": pt.PERSONAS, "en": en.PERSONAS, "es": es.PERSONAS}
_DIMENSIONS: Mapping[str, Mapping[str, str]] = {"pt": pt.DIMENSIONS, "en": en.DIMENSIONS, "es": es.DIMENSIONS}
_CATEGORIES: Mapping[str, Mapping[str, str]] = {"pt": {}, "en": en.CATEGORIES, "es": es.CATEGORIES}
_COLORS: Mapping[str, Mapping[str, str]] = {"pt": {}, "en": en.COLORS, "es": es.COLORS}


_PIECES = re.compile(r"(?<=[.!?…])\s+|(?<=[^\w\s.,;:!?…'\"()¡¿-])\s+(?=[¿¡A-ZÀ-ÖØ-Ý])")
"""Between sentences; an emoji ends one as well when a capital follows."""
_LONGEST_GREETING = 400


def without_questions(greeting: str) -> str:
    """ "Oi! Eu sou a Luna ✨ O que você procura?" → "Oi! Eu sou a Luna ✨": what to say before an answer."""
    return " ".join(piece for piece in _PIECES.split(greeting) if piece and not piece.endswith("?"))


class Voice:
    """Says things in one language as one persona; an unknown persona speaks plainly and kindly."""

    def __init__(self, language: str, seller: str, greeting: str = "") -> None:
        self.greeting = " ".join(greeting.split())[:_LONGEST_GREETING]
        """The brand's own greeting; "" when it has none."""
        self.language = language if language in _TEXTS else "pt"
        self.seller = seller
        self._texts = _TEXTS[self.language]
        self._own = _PERSONAS[self.language].get(seller.strip().lower(), {})

    def say(self, key: str, turn: int = 0, **values: object) -> str:
        """The text of a key; with variants, the turn's number picks one, so that the same request says the same."""
        text = self._own.get(key) or self._texts[key]
        if isinstance(text, tuple):
            text = text[turn % len(text)]
        return text.format(seller=self.seller, **values)

    def introduction(self, turn: int = 0) -> str:
        """Who speaks, before the answer to a new customer's first wish: the brand's greeting, else plain words."""
        return without_questions(self.greeting) or self.hello(turn)

    def hello(self, turn: int = 0) -> str:
        return self.say("hello" if self.seller.strip() else "hello_short", turn)

    def welcome(self, turn: int = 0) -> str:
        """Who speaks, and an open question: the answer to a new customer's "oi"."""
        greeting = self.greeting or self.introduction(turn)
        return greeting if "?" in greeting else f"{greeting} {self.say('ask_need', turn)}"

    def dimension(self, name: str) -> str:
        """ "color" → "Cor"; a catalogue's own option ("voltage", "memoria_ram") is shown as it is named."""
        known = _DIMENSIONS[self.language].get(name.lower())
        return known or name.replace("_", " ").capitalize()

    def color(self, name: str) -> str:
        return _COLORS[self.language].get(name, name)

    def category(self, name: str) -> str:
        """A category's id as people read it ("cama-e-banho" → "Cama e banho"); one that is not known as it is."""
        known = _CATEGORIES[self.language].get(name)
        if known:
            return known
        return " ".join(pt.ACCENTS.get(word, word) for word in name.split("-")).capitalize()

    def date(self, day: date) -> str:
        """Day and month as they are written in Brazil and Spain (28/11); in English with the month's name."""
        if self.language == "en":
            return f"{_MONTHS[day.month - 1]} {day.day}"
        return f"{day.day:02d}/{day.month:02d}"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=256)
def _voice(language: str, seller: str, greeting: str) -> Voice:
    return Voice(language, seller, greeting)


def voice(request: BrainRequest) -> Voice:
    return _voice(request.language, request.seller[:40], request.greeting[:_LONGEST_GREETING])
