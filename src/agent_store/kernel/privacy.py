"""What must never be written down: card numbers are taken out before anything is stored; phone numbers are hashed in logs."""

from __future__ import annotations

import hashlib
import hmac
import re

REMOVED = "[card number removed]"

_RUN = re.compile(r"(?<![\d+])\d(?:[ \u00a0.\-–]{0,2}\d){12,}")
_GROUP = re.compile(r"\d+")
_SCHEMES = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa, Elo
    r"|5[0-8]\d{14}|(?:50|5[6-8])\d{17}"  # Mastercard, Elo, Aura, Maestro
    r"|2(?:2[2-9]\d|[3-6]\d{2}|7[01]\d|720)\d{12}"  # Mastercard's second range
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-5]\d|095|[689]\d{2})\d{10}(?:\d{2}|\d{5})?"  # Diners Club, Hipercard's old range
    r"|35\d{14}(?:\d{3})?"  # JCB
    r"|6\d{15,18}"  # Elo, Hipercard, Discover, UnionPay, Maestro
)


def _luhn(digits: str) -> bool:
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit)
        if index % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def _is_cnpj(digits: str) -> bool:
    """A Brazilian company number has 14 digits, the last two of which check the others (modulo 11)."""
    if len(digits) != 14:
        return False
    for length in (12, 13):
        weights = [2 + (length - 1 - place) % 8 for place in range(length)]
        rest = sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False)) % 11
        if int(digits[length]) != (0 if rest < 2 else 11 - rest):
            return False
    return True


def _looks_like_a_card(digits: str) -> bool:
    return _SCHEMES.fullmatch(digits) is not None and _luhn(digits) and not _is_cnpj(digits)


def _redact(run: re.Match[str]) -> str:
    """A run of digits may hold more than the card: "4111 1111 1111 1111 12 28" ends with the month and year."""
    text = run.group()
    groups = [(found.start(), found.end()) for found in _GROUP.finditer(text)]
    result, at, first = "", 0, 0
    while first < len(groups):
        start = groups[first][0]
        for _, end in reversed(groups[first : first + 19]):
            digits = "".join(str(int(char)) for char in text[start:end] if char.isdecimal())
            if len(digits) <= 19 and _looks_like_a_card(digits):
                result, at = result + text[at:start] + REMOVED, end
                break
        first += 1
        while first < len(groups) and groups[first][0] < at:
            first += 1
    return result + text[at:]


def redact_cards(text: str) -> str:
    """Replace what looks like a payment card number (a card scheme's prefix and length, Luhn sum right).

    Digits may be grouped by spaces, points or hyphens. Phone numbers, CEPs, CPFs, CNPJs and order numbers stay.
    Source: ISO/IEC 7812-1 (number structure and Luhn check digit), the card schemes' published ranges.
    """
    return _RUN.sub(_redact, text) if len(text) > 12 else text


def pseudonym(value: str, key: str) -> str:
    """A keyed hash (12 hex digits) that stands for a phone number or user id in logs."""
    return hmac.new(key.encode(), value.encode(), hashlib.sha256).hexdigest()[:12]
