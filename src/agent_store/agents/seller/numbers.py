"""Numbers as people write them in Portuguese, English and Spanish: "1.299,90", "1,299.90", "2 mil", "vinte e cinco"."""

from __future__ import annotations

import re
from collections.abc import Sequence

NUMBER = r"(?:\d{1,3}(?:\.\d{3})+(?:,\d{1,2})?|\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d+(?:[.,]\d{1,2})?)(?!\d)"
"""A regular expression for an amount or a count in figures."""

_WORDS: dict[str, int] = {
    "um": 1, "uma": 1, "dois": 2, "duas": 2, "tres": 3, "quatro": 4, "cinco": 5, "seis": 6, "sete": 7, "oito": 8,
    "nove": 9, "dez": 10, "onze": 11, "doze": 12, "treze": 13, "quatorze": 14, "catorze": 14, "quinze": 15,
    "dezesseis": 16, "dezessete": 17, "dezoito": 18, "dezenove": 19, "vinte": 20, "trinta": 30, "quarenta": 40,
    "cinquenta": 50, "sessenta": 60, "setenta": 70, "oitenta": 80, "noventa": 90, "cem": 100, "cento": 100,
    "duzentos": 200, "duzentas": 200, "trezentos": 300, "trezentas": 300, "quatrocentos": 400, "quinhentos": 500,
    "seiscentos": 600, "setecentos": 700, "oitocentos": 800, "novecentos": 900,
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
    "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
    "eighty": 80, "ninety": 90,
    "uno": 1, "un": 1, "una": 1, "dos": 2, "cuatro": 4, "siete": 7, "ocho": 8, "nueve": 9, "diez": 10, "once": 11,
    "doce": 12, "trece": 13, "catorce": 14, "quince": 15, "dieciseis": 16, "diecisiete": 17, "dieciocho": 18,
    "diecinueve": 19, "veinte": 20, "veinticinco": 25, "treinta": 30, "cuarenta": 40, "cincuenta": 50, "sesenta": 60,
    "ochenta": 80, "cien": 100, "ciento": 100, "doscientos": 200, "trescientos": 300,
    "cuatrocientos": 400, "quinientos": 500, "seiscientos": 600, "setecientos": 700, "ochocientos": 800,
    "novecientos": 900,
}  # fmt: skip
_HUNDRED = {"hundred"}
_THOUSAND = {"mil", "thousand"}
_JOINTS = {"e", "y", "and"}

_ALTERNATIVES = "|".join(sorted({*_WORDS, *_HUNDRED, *_THOUSAND}, key=len, reverse=True))
IN_WORDS = rf"(?:(?:{_ALTERNATIVES})\b(?:\s+(?:e|y|and)\s+(?=(?:{_ALTERNATIVES})\b)|-(?=(?:{_ALTERNATIVES})\b)|\s+(?=(?:{_ALTERNATIVES})\b))?)+"
"""A regular expression for a number in words, in folded text."""

COUNT = rf"(?:\d{{1,5}}(?![\d]|[.,]\d)|(?:{_ALTERNATIVES})\b)"
"""A whole number in figures or one word."""


def minor_of(text: str) -> int:
    """An amount in figures as minor units: "1.299,90" and "1,299.90" are 129990, "199" is 19900."""
    sign = -1 if text.startswith("-") else 1
    text = text.lstrip("-")
    cut = max(text.rfind("."), text.rfind(","))
    if cut >= 0 and len(text) - cut - 1 in (1, 2):
        whole, cents = text[:cut], text[cut + 1 :].ljust(2, "0")
    else:
        whole, cents = text, "00"
    return sign * (int(re.sub(r"[.,]", "", whole) or "0") * 100 + int(cents))


def from_words(words: Sequence[str]) -> int:
    """The value of folded number words; joints ("e", "y", "and") are passed over. Raises KeyError for other words."""
    total = current = 0
    for word in words:
        if word in _JOINTS:
            continue
        if word in _THOUSAND:
            total += max(current, 1) * 1000
            current = 0
        elif word in _HUNDRED:
            current = max(current, 1) * 100
        else:
            current += _WORDS[word]
    return total + current


def count_of(text: str) -> int:
    """A whole number in figures or in one folded word."""
    return int(text) if text[0].isdigit() else from_words([text])


_AMOUNT = re.compile(rf"(?<![\w.,])({NUMBER})(\s*(?:mil|k)\b)?")
_SPELLED = re.compile(rf"\b({IN_WORDS})")


def amounts_in(folded: str) -> frozenset[int]:
    """Every number that stands in a customer's words, as if it were an amount, in minor units."""
    found = {minor_of(match[1]) * (1000 if match[2] else 1) for match in _AMOUNT.finditer(folded)}
    found |= {from_words(re.findall(r"[a-z]+", match[1])) * 100 for match in _SPELLED.finditer(folded)}
    return frozenset(found)
