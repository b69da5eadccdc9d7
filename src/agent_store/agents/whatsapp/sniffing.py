"""What a file is, by its content; nobody's word for it counts. Pure.

Source of the types that WhatsApp carries: WhatsApp Business Cloud API, "Media", supported media types. Of the forms: PNG (W3C),
JPEG (ITU T.81), WebP container (Google), GIF89a, Ogg (RFC 3533) with Opus (RFC 7845), MPEG audio frames (ISO 11172-3),
ADTS (ISO 14496-3), AMR storage format (RFC 4867), ISO base media files (ISO 14496-12), office files ([MS-CFB], ECMA-376).
"""

from __future__ import annotations

from collections.abc import Mapping

PICTURES = frozenset({"image/jpeg", "image/png", "image/webp"})
SOUNDS = frozenset({"audio/ogg", "audio/mpeg", "audio/aac", "audio/amr", "audio/mp4"})
FILMS = frozenset({"video/mp4", "video/3gpp"})
_OPEN = "application/vnd.openxmlformats-officedocument."
PAPERS = frozenset(
    {
        "application/pdf",
        "application/msword",
        "application/vnd.ms-excel",
        "application/vnd.ms-powerpoint",
        f"{_OPEN}wordprocessingml.document",
        f"{_OPEN}spreadsheetml.sheet",
        f"{_OPEN}presentationml.presentation",
        "text/plain",
    }
)
ALLOWED: Mapping[str, frozenset[str]] = {
    "image": PICTURES,
    "sticker": frozenset({"image/webp"}),
    "audio": SOUNDS,
    "video": FILMS,
    "document": PAPERS | PICTURES | SOUNDS | FILMS,
}
"""By kind of message. What is sent as a document may be of any type that is known here."""

_TEXT_SAMPLE = 64 * 1024
_CONTROLS = bytes(set(range(32)) - {9, 10, 12, 13, 27})
_MARKUP = ("<!doctype", "<html", "<?xml", "<svg", "<script", "<head", "<body", "<?php", "<iframe")
_OFFICE: tuple[tuple[bytes, str], ...] = (
    (b"word/document.xml", f"{_OPEN}wordprocessingml.document"),
    (b"xl/workbook.", f"{_OPEN}spreadsheetml.sheet"),
    (b"ppt/presentation.xml", f"{_OPEN}presentationml.presentation"),
)
_STREAMS: tuple[tuple[str, str], ...] = (
    ("WordDocument", "application/msword"),
    ("Workbook", "application/vnd.ms-excel"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
)


def mime_of(content: bytes) -> str | None:
    """The type of a whole file; None for what is not known here."""
    head = content[:16]
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith(b"OggS"):
        return "audio/ogg" if content[28:36] == b"OpusHead" else None
    if head.startswith((b"#!AMR\n", b"#!AMR-WB\n")):
        return "audio/amr"
    if head[4:8] == b"ftyp":
        return _iso_media(content)
    if head.startswith(b"ID3"):
        return "audio/mpeg"
    if head[:1] == b"\xff" and len(head) > 3 and head[1] & 0xE0 == 0xE0:
        return _frames(head)
    if head.startswith(b"%PDF-"):
        return "application/pdf"
    if head.startswith(b"PK\x03\x04"):
        return _open_office(content)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return next((mime for name, mime in _STREAMS if name.encode("utf-16-le") in content), None)
    return "text/plain" if _is_text(content) else None


def fits(kind: str, mime_type: str | None) -> bool:
    """May a message of this kind carry a file of this type?"""
    return mime_type in ALLOWED.get(kind, frozenset())


def _frames(head: bytes) -> str | None:
    """MPEG audio layer III and ADTS begin with the same eleven bits; the layer tells them apart."""
    layer = head[1] >> 1 & 3
    if layer == 0 and head[1] & 0xF0 == 0xF0:
        return "audio/aac" if head[2] >> 2 & 0xF <= 12 else None
    if layer == 1 and head[1] >> 3 & 3 != 1 and head[2] >> 4 != 0xF and head[2] >> 2 & 3 != 3:
        return "audio/mpeg"
    return None


def _iso_media(content: bytes) -> str | None:
    """By the brand; a general one holds a film when it has a track that is seen, else sound."""
    brand = content[8:12]
    if brand in (b"M4A ", b"M4B "):
        return "audio/mp4"
    if brand[:3] in (b"3gp", b"3g2"):
        return "video/3gpp"
    if brand in (b"heic", b"heix", b"mif1", b"avif", b"qt  "):
        return None
    handlers = _handlers(content)
    if b"vide" in handlers:
        return "video/mp4"
    return "audio/mp4" if b"soun" in handlers else None


def _handlers(content: bytes) -> set[bytes]:
    """What the tracks are for: after `hdlr` come four bytes of version and flags, and four that are zero."""
    found: set[bytes] = set()
    at = content.find(b"hdlr")
    while at >= 0:
        found.add(content[at + 12 : at + 16])
        at = content.find(b"hdlr", at + 4)
    return found


def _open_office(content: bytes) -> str | None:
    """The names in a zip file stand in clear. One with macros is none of the types that WhatsApp names."""
    if b"[Content_Types].xml" not in content or b"vbaProject.bin" in content:
        return None
    return next((mime for name, mime in _OFFICE if name in content), None)


def _is_text(content: bytes) -> bool:
    """Words in UTF-8 or Latin-1 without control characters, and no markup that a browser would run."""
    if not content:
        return False
    sample = content[:_TEXT_SAMPLE].removeprefix(b"\xef\xbb\xbf")
    if len(content.translate(None, _CONTROLS)) < len(content):
        return False
    opening = sample.lstrip()[:64].lower().decode("latin-1")
    return not opening.startswith(_MARKUP)
