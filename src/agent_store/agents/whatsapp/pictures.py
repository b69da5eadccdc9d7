"""The form in which WhatsApp takes a picture: JPEG or PNG, 8 bits, RGB or RGBA, at most 5 MB. Pure.

Source: WhatsApp Business Cloud API, "Media", supported media types, images. Of the forms: see `sniffing`.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent_store.agents.whatsapp.ports import MEDIA_LIMITS
from agent_store.agents.whatsapp.sniffing import mime_of

MOST_BYTES = MEDIA_LIMITS["image"]
LONGEST_SIDE = 1600
"""Pixels of a picture that is made smaller: what WhatsApp itself shows."""
MOST_PIXELS = 24_000_000
"""Of a picture that is drawn anew: four bytes each are held in memory."""

_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})


@dataclass(frozen=True)
class Look:
    """What is known of a picture from its first bytes."""

    mime_type: str
    width: int
    height: int
    plain: bool
    """JPEG or PNG with 8 bits a channel, RGB or RGBA."""

    @property
    def too_many_pixels(self) -> bool:
        return self.width * self.height > MOST_PIXELS


def look(content: bytes) -> Look | None:
    """None: no picture, or one without a size."""
    mime_type = mime_of(content)
    try:
        match mime_type:
            case "image/png":
                found = _png(content)
            case "image/jpeg":
                found = _jpeg(content)
            case "image/webp":
                found = _webp(content)
            case "image/gif":
                width, height = (int.from_bytes(content[at : at + 2], "little") for at in (6, 8))
                found = Look("image/gif", width, height, plain=False)
            case _:
                return None
    except IndexError:
        return None
    return found if found is not None and found.width > 0 and found.height > 0 else None


def goes_out(seen: Look, size: int) -> bool:
    return seen.plain and size <= MOST_BYTES


def smaller(seen: Look, longest: int = LONGEST_SIDE) -> tuple[int, int]:
    """Width and height with the same proportions, no side over `longest`."""
    scale = min(1.0, longest / max(seen.width, seen.height))
    return max(1, round(seen.width * scale)), max(1, round(seen.height * scale))


def _png(content: bytes) -> Look | None:
    if content[12:16] != b"IHDR" or len(content) < 33:
        return None
    width, height = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    depth, colour = content[24], content[25]
    return Look("image/png", width, height, plain=depth == 8 and colour in (2, 6))


def _jpeg(content: bytes) -> Look | None:
    """Walk the segments to the frame header."""
    at = 2
    while at + 4 <= len(content):
        if content[at] != 0xFF:
            return None
        marker = content[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _ALONE:
            at += 2
            continue
        if marker in _SOF:
            height, width = (int.from_bytes(content[place : place + 2], "big") for place in (at + 5, at + 7))
            return Look("image/jpeg", width, height, plain=content[at + 4] == 8 and content[at + 9] == 3)
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return None


def _webp(content: bytes) -> Look | None:
    chunk, body = content[12:16], content[20:30]
    if len(body) < 10:
        return None
    if chunk == b"VP8X":
        width, height = int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    elif chunk == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif chunk == b"VP8 ":
        width, height = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    else:
        return None
    return Look("image/webp", width, height, plain=False)
