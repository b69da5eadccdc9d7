"""Identifiers: UUIDv7 for what is new, uuid5 for what must come out the same when it is worked out twice."""

from __future__ import annotations

import os
import time
import uuid
from typing import NewType

CustomerId = NewType("CustomerId", str)
ConversationId = NewType("ConversationId", str)
OrderId = NewType("OrderId", str)
ProductId = NewType("ProductId", str)
Sku = NewType("Sku", str)
BrandId = NewType("BrandId", str)

_NAMESPACE = uuid.UUID("6b1f3c52-6c5e-5b0a-9f5e-2a4f9c1d7e10")


def new_id() -> str:
    """A UUIDv7 (RFC 9562): 48 bits of milliseconds, then random; sorts by the time it was made."""
    stamp = time.time_ns() // 1_000_000
    tail = int.from_bytes(os.urandom(10), "big")
    head = (stamp << 16) | 0x7000 | (tail >> 68)
    low = (tail & ((1 << 62) - 1)) | (1 << 63)
    text = f"{head:016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def derived_id(*parts: object) -> str:
    """The same parts give the same uuid5, in any process and at any time (ticks, sends, replies)."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(str(part) for part in parts)))


_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


def short_code(length: int = 6) -> str:
    """Random letters and digits that are not mistaken for one another (no 0/O, 1/I); 5 bits a character."""
    return "".join(_ALPHABET[byte & 31] for byte in os.urandom(length))
