"""What must never be written down: card numbers are taken out before anything is stored; phone numbers are hashed in logs."""

from __future__ import annotations

import hashlib
import hmac
import re

REMOVED = "[card number removed]"

_CANDIDATE = re.compile(r"(?<![\w+])\d(?:[ .\-]?\d){12,18}(?!\w)")
_LENGTHS = {"3": (14, 15, 16), "4": (13, 16, 19), "5": (16,), "2": (16,), "6": (16, 17, 18, 19)}


def _luhn(digits: str) -> bool:
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit)
        if index % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def _looks_like_a_card(digits: str) -> bool:
    return len(digits) in _LENGTHS.get(digits[0], ()) and len(set(digits)) > 1 and _luhn(digits)


def redact_cards(text: str) -> str:
    """Replace what looks like a payment card number (13–19 digits, a card scheme's prefix and length, Luhn sum right).

    Digits may be grouped by single spaces, points or hyphens. Phone numbers, CEPs, CPFs and order numbers stay.
    Source: ISO/IEC 7812-1 (number structure and Luhn check digit).
    """

    def replace(match: re.Match[str]) -> str:
        return REMOVED if _looks_like_a_card(re.sub(r"\D", "", match.group())) else match.group()

    return _CANDIDATE.sub(replace, text) if len(text) > 12 else text


def pseudonym(value: str, key: str) -> str:
    """A keyed hash (12 hex digits) that stands for a phone number or user id in logs."""
    return hmac.new(key.encode(), value.encode(), hashlib.sha256).hexdigest()[:12]
