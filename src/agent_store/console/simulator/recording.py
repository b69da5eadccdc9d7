"""A browser's recording as a voice note: Opus sound taken out of WebM and put into Ogg, not a byte of it changed. Pure.

Source: RFC 3533 (Ogg), RFC 7845 (Opus in Ogg), RFC 6716 section 3.1 (how long a packet lasts), RFC 8794 (EBML).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

_OPENED: Final = {0x18538067, 0x1654AE6B, 0xAE, 0x1F43B675, 0xA0}
"""Elements that are looked into: segment, tracks, a track, a cluster, a group of blocks."""
_PRIVATE, _BLOCK, _SIMPLE_BLOCK = 0x63A2, 0xA1, 0xA3
_LACED = 0x06
_SERIAL = 0x50484F4E
_PACKETS = 50
"""In a page: about a second."""


def is_webm(content: bytes) -> bool:
    return content.startswith(b"\x1a\x45\xdf\xa3")


def ogg_of(webm: bytes) -> bytes:
    """Raises ValueError for what holds no Opus sound."""
    head, packets = _sound(webm)
    if not head.startswith(b"OpusHead") or len(head) < 19 or not packets:
        raise ValueError("there is no Opus sound in it")
    tags = b"OpusTags" + struct.pack("<I", 9) + b"simulator" + struct.pack("<I", 0)
    pages = [_page([head], 0, 0, 2), _page([tags], 0, 1, 0)]
    played = 0
    for start in range(0, len(packets), _PACKETS):
        some = packets[start : start + _PACKETS]
        played += sum(_samples(packet) for packet in some)
        last = start + _PACKETS >= len(packets)
        pages.append(_page(some, played, len(pages), 4 if last else 0))
    return b"".join(pages)


def _sound(webm: bytes) -> tuple[bytes, list[bytes]]:
    head, packets = b"", list[bytes]()
    for name, body in _elements(webm):
        if name == _PRIVATE:
            head = body
        elif name in (_BLOCK, _SIMPLE_BLOCK) and len(body) > 4:
            _, at = _number(body, 0)
            if at + 3 < len(body) and not body[at + 2] & _LACED:
                packets.append(body[at + 3 :])
    return head, packets


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """What stands in the opened elements, in its order; sizes that are not known yet need no end then."""
    at = 0
    while at < len(data):
        name, at = _number(data, at, keep_marker=True)
        length, at = _number(data, at)
        if name in _OPENED:
            continue
        yield name, data[at : at + length]
        at += length


def _number(data: bytes, at: int, *, keep_marker: bool = False) -> tuple[int, int]:
    """A number whose first bits say how long it is; and where the next byte stands."""
    if at >= len(data) or data[at] == 0:
        raise ValueError("it is cut off or no WebM")
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length], "big")
    return (value if keep_marker else value & ((1 << 7 * length) - 1)), at + length


def _samples(packet: bytes) -> int:
    """At 48 kHz."""
    kind = packet[0] >> 3
    if kind < 12:
        each = (480, 960, 1920, 2880)[kind % 4]
    elif kind < 16:
        each = (480, 960)[kind % 2]
    else:
        each = (120, 240, 480, 960)[kind % 4]
    frames = packet[0] & 3
    return each * ((packet[1] & 63 if len(packet) > 1 else 0) if frames == 3 else 1 if frames == 0 else 2)


def _page(packets: Sequence[bytes], position: int, number: int, flags: int) -> bytes:
    laces = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    if len(laces) > 255:
        raise ValueError("the sound is too dense for a voice note")
    start = struct.pack("<4sBBqII", b"OggS", 0, flags, position, _SERIAL, number)
    rest = bytes([len(laces)]) + laces + b"".join(packets)
    return start + struct.pack("<I", _checksum(start + bytes(4) + rest)) + rest


@cache
def _table() -> tuple[int, ...]:
    made: list[int] = []
    for value in range(256):
        rest = value << 24
        for _ in range(8):
            rest = (rest << 1) ^ 0x04C11DB7 if rest & 0x80000000 else rest << 1
        made.append(rest & 0xFFFFFFFF)
    return tuple(made)


def _checksum(data: bytes) -> int:
    table, rest = _table(), 0
    for byte in data:
        rest = ((rest << 8) & 0xFFFFFFFF) ^ table[(rest >> 24) ^ byte]
    return rest
