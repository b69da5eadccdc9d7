"""Small files of the types that WhatsApp carries, made here, and the ports of media as fakes."""

from __future__ import annotations

import base64
import io
import struct
import zipfile
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agent_store.agents.whatsapp.ports import (
    MediaApi,
    MediaSlots,
    MediaStore,
    Pictures,
    Senses,
)
from agent_store.kernel.errors import NotFound

GIF = base64.b64decode("R0lGODlhAQABAIAAAAUEBAAAACwAAAAAAQABAAACAkQBADs=")
WEBP = base64.b64decode("UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA")
OPUS = b"OggS\x00\x02" + bytes(20) + b"\x01\x13" + b"OpusHead\x01\x01" + bytes(40)
MP3 = b"\xff\xfb\x90\x64" + bytes(400)
AAC = b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(60)
AMR = b"#!AMR\n\x3c" + bytes(31)
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
TEXT = "Lista: duas canecas, um açucareiro.\n".encode()


def png(width: int = 2, height: int = 2, depth: int = 8, colour: int = 2) -> bytes:
    """A black PNG."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row = b"\x00" + bytes((width * channels * depth + 7) // 8)
    palette = chunk(b"PLTE", bytes(3)) if colour == 3 else b""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + palette + chunk(b"IDAT", zlib.compress(row * height))
        + chunk(b"IEND", b"")
    )  # fmt: skip


def jpeg(width: int = 16, height: int = 8, channels: int = 3, padding: int = 0) -> bytes:
    """The segments of a JPEG up to its frame header: enough to be known, not to be drawn."""
    frame = struct.pack(">BHHB", 8, height, width, channels) + b"\x01\x11\x00" * channels
    app = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    return b"\xff\xd8" + app + b"\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + b"\xff\xd9" + bytes(padding)


def iso(brand: bytes, *handlers: bytes) -> bytes:
    """An ISO base media file of this brand with tracks of these kinds."""
    head = struct.pack(">I", 20) + b"ftyp" + brand + bytes(4) + brand
    tracks = b"".join(struct.pack(">I", 28) + b"hdlr" + bytes(8) + kind + bytes(8) for kind in handlers)
    return head + tracks


M4A = iso(b"M4A ", b"soun")
MP4 = iso(b"isom", b"vide", b"soun")
THREE_GP = iso(b"3gp4", b"vide")


def office(name: str, *more: str) -> bytes:
    """A zip file as office programs make them; of a fixed date, so that it is the same in every process."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        for entry in ("[Content_Types].xml", name, *more):
            file.writestr(zipfile.ZipInfo(entry), "<x/>")
    return held.getvalue()


class Platform:
    """`MediaApi`: does what it is told, then has `content` for every id."""

    def __init__(self, *script: Exception | bytes | Callable[[], Awaitable[bytes]], content: bytes = b"") -> None:
        self.script = list(script)
        self.content = content or png()
        self.asked: list[tuple[str, int]] = []
        self.uploaded: list[tuple[str, bytes, str]] = []
        self.refusals: list[Exception] = []
        """What uploads raise, one after the other."""

    async def download(self, media_id: str, limit: int) -> bytes:
        self.asked.append((media_id, limit))
        answer = self.script.pop(0) if self.script else self.content
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, bytes) else await answer()

    async def upload(self, phone_number_id: str, content: bytes, mime_type: str, filename: str) -> str:
        if self.refusals:
            raise self.refusals.pop(0)
        self.uploaded.append((phone_number_id, content, mime_type))
        return f"upload-{len(self.uploaded)}"


class Shelf:
    """`MediaStore` in memory. `failures`: what the next calls raise."""

    def __init__(self, *failures: Exception) -> None:
        self.held: dict[str, tuple[bytes, str]] = {}
        self.failures = list(failures)

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)

    async def put(self, key: str, content: bytes, mime_type: str) -> None:
        self._fail()
        self.held[key] = (content, mime_type)

    async def open(self, key: str) -> bytes:
        self._fail()
        if key not in self.held:
            raise NotFound("there is nothing under this key")
        return self.held[key][0]

    async def delete(self, key: str) -> None:
        self._fail()
        self.held.pop(key, None)


class Gallery:
    """`Pictures` by link; what is drawn anew is a PNG of that size."""

    def __init__(self, pictures: Mapping[str, bytes | Exception]) -> None:
        self.pictures = dict(pictures)
        self.drawn: list[tuple[str, int, int]] = []

    async def fetch(self, link: str, limit: int) -> bytes:
        found = self.pictures.get(link, NotFound("there is no picture at its address"))
        if isinstance(found, Exception):
            raise found
        return found

    async def as_png(self, content: bytes, mime_type: str, width: int, height: int) -> bytes:
        self.drawn.append((mime_type, width, height))
        return png(width, height, colour=6)


def media_ports(
    platform: Platform | None = None,
    shelf: Shelf | None = None,
    senses: Senses | None = None,
    gallery: Gallery | None = None,
) -> dict[type[Any], object]:
    return {
        MediaApi: platform or Platform(),
        MediaStore: shelf or Shelf(),
        MediaSlots: MediaSlots(2),
        Senses: senses or Senses(),
        Pictures: gallery or Gallery({}),
    }
