"""From what people type to what the rules read: lower case, no accents, slang written out, typos of known words mended.

>>> plain("Qro ver uns VESTIDOS vermelhão!!! até R$ 300,00 😍")
'quero ver uns vestidos vermelhao!!! ate r$ 300,00'
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from agent_store.adapters.brains.rules.words import EMOJI, KEYWORDS, KNOWN, SLANG, SLANG_BY_LANGUAGE

LONGEST = 600
"""Characters of one message that are read; a wish that takes more is read up to here."""

_LONG = re.compile(r"([a-fh-jl-wyz])\1{2,}")
"""Three and more of a letter are one: "oiiii". Not g, k and x: GGG and XXXL are sizes, kkk is a laugh."""
_ODD = re.compile(r"[^a-z0-9$.,;:!?%#/+\n\"-]+")
_SPACES = re.compile(r"[^\S\n]+")
_UNIT = re.compile(r"(?<![\d.,])(\d{1,4}) (gb|tb|v|ml|kg|cm|hz|mah)\b")
"""A unit belongs to its number before slang is written out: "1 tb" is no "também"."""
_TOKEN = re.compile(r"[a-z0-9$%#/+-]+(?:[.,][0-9]+)*|[.,;:!?\n\"]")
_APOSTROPHES = str.maketrans("", "", "'’‘`´ʼ")
_FOLD = str.maketrans({"“": '"', "”": '"', "–": "-", "—": "-", "º": "o", "ª": "a", "″": '"'})


def strip_accents(text: str) -> str:
    """`"Vestido ção Ñ"` → `"vestido cao n"`: case folded, marks gone."""
    folded = text.casefold()
    if folded.isascii():
        return folded
    return "".join(c for c in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(c))


@lru_cache(maxsize=2048)
def plain(text: str, language: str = "pt") -> str:
    """The text as the patterns expect it; line breaks and sentence marks are kept, everything odd is a space."""
    text = text[:LONGEST]
    for emoji, word in EMOJI.items():
        if emoji in text:
            text = text.replace(emoji, f" {word} ")
    text = strip_accents(text.translate(_APOSTROPHES).translate(_FOLD))
    text = _LONG.sub(r"\1", text).replace("p/ ", "para ").replace("c/ ", "com ")
    text = _UNIT.sub(r"\1\2", _ODD.sub(" ", text))
    slang, own = SLANG, SLANG_BY_LANGUAGE.get(language, {})
    words: list[str] = []
    for token in _TOKEN.findall(text):
        meant = own.get(token) or slang.get(token)
        words.append(meant if meant is not None else mend(token))
    joined = " ".join(words)
    for mark in (".", ",", "!", "?", ";", ":"):
        joined = joined.replace(" " + mark, mark)
    return _SPACES.sub(" ", joined.replace(" \n ", "\n")).strip()


@lru_cache(maxsize=4096)
def mend(token: str) -> str:
    """A mistyped key word as it is written ("carirnho" → "carrinho"); any other token as it came.

    Only words that the rules themselves need are mended: product words are the search engine's business.
    """
    if len(token) < 5 or token in KNOWN or not token.isalpha():
        return token
    from rapidfuzz.distance import OSA

    allowed = 1 if len(token) < 8 else 2
    best, distance = token, allowed + 1
    for word in KEYWORDS.get(token[0], ()):
        if abs(len(word) - len(token)) > allowed:
            continue
        found = OSA.distance(token, word, score_cutoff=distance - 1)
        if found < distance:
            best, distance = word, found
    return best


def tokens(text: str) -> list[str]:
    """Words and numbers of a text that `plain` has made."""
    return [word for word in _TOKEN.findall(text) if word[0].isalnum()]


def same(left: str, right: str) -> bool:
    """Do two labels say the same to a customer ("128 GB" and "128gb", "Médio" and "medio")?"""
    return _squeeze(left) == _squeeze(right)


def nearly(left: str, right: str) -> bool:
    """The same but for a letter or two ("expreso" and "Expresso"); short labels must be written right."""
    one, other = _squeeze(left), _squeeze(right)
    allowed = 0 if len(one) < 5 else 1 if len(one) < 8 else 2
    if abs(len(one) - len(other)) > allowed:
        return False
    from rapidfuzz.distance import OSA

    return OSA.distance(one, other, score_cutoff=allowed) <= allowed


def _squeeze(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", strip_accents(text))
