"""Words of a chat message: folded, cut into tokens, stemmed, compared with one typo. Portuguese, English, Spanish."""

from __future__ import annotations

import re
import unicodedata

_TOKEN = re.compile(r"[^\W_]+")


def fold(text: str) -> str:
    """Lower case without accents: "Calça" is "calca", "AÑO" is "ano"."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def tokens(text: str) -> list[str]:
    """Folded words and numbers, in order; punctuation and emoji are left out."""
    return _TOKEN.findall(fold(text))


def squeeze(word: str) -> str:
    """Letters held down ("oiiii", "sooocorro") once; a double letter of the language stays."""
    return re.sub(r"([^\W\d_])\1{2,}", r"\1", word)


def stems(word: str) -> frozenset[str]:
    """A folded word and what it may be the plural of: "batons" → "batom", "pincéis" → "pincel", "calças" → "calça"."""
    found = {word}
    if len(word) <= 3 or not word.endswith("s"):
        return frozenset(found)
    found.add(word[:-1])
    if word.endswith("es"):
        found.add(word[:-2])
    if word.endswith("ies"):
        found.add(word[:-3] + "y")
    if word.endswith("ns"):
        found.add(word[:-2] + "m")
    if word.endswith(("oes", "aes")):
        found.add(word[:-3] + "ao")
    for plural, single in (("ais", "al"), ("eis", "el"), ("ois", "ol"), ("uis", "ul")):
        if word.endswith(plural):
            found.add(word[:-3] + single)
    return frozenset(found)


def one_typo(said: str, meant: str) -> bool:
    """True when one letter was missed, added, changed or swapped with its neighbour (and not more)."""
    if said == meant or abs(len(said) - len(meant)) > 1:
        return False
    start = 0
    while start < min(len(said), len(meant)) and said[start] == meant[start]:
        start += 1
    left, right = said[start:], meant[start:]
    if len(left) == len(right):
        return left[1:] == right[1:] or (left[1::-1] == right[:2] and left[2:] == right[2:])
    return left[1:] == right if len(left) > len(right) else left == right[1:]
