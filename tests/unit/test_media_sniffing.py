"""What a file is, by its content, and the form in which a picture goes out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.agents.whatsapp import pictures
from agent_store.agents.whatsapp.sniffing import ALLOWED, fits, mime_of
from tests.support import media as made

OPEN = "application/vnd.openxmlformats-officedocument."
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)


@pytest.mark.parametrize(
    ("content", "mime_type"),
    [
        (made.jpeg(), "image/jpeg"),
        (made.png(), "image/png"),
        (made.WEBP, "image/webp"),
        (made.GIF, "image/gif"),
        (made.OPUS, "audio/ogg"),
        (made.MP3, "audio/mpeg"),
        (b"ID3\x04\x00" + bytes(100), "audio/mpeg"),
        (made.AAC, "audio/aac"),
        (made.AMR, "audio/amr"),
        (made.M4A, "audio/mp4"),
        (made.iso(b"mp42", b"soun"), "audio/mp4"),
        (made.MP4, "video/mp4"),
        (made.THREE_GP, "video/3gpp"),
        (made.PDF, "application/pdf"),
        (made.office("word/document.xml"), f"{OPEN}wordprocessingml.document"),
        (made.office("xl/workbook.xml"), f"{OPEN}spreadsheetml.sheet"),
        (made.office("ppt/presentation.xml"), f"{OPEN}presentationml.presentation"),
        (OLE + "WordDocument".encode("utf-16-le"), "application/msword"),
        (OLE + "Workbook".encode("utf-16-le"), "application/vnd.ms-excel"),
        (OLE + "PowerPoint Document".encode("utf-16-le"), "application/vnd.ms-powerpoint"),
        (made.TEXT, "text/plain"),
        ("olá".encode("latin-1"), "text/plain"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_type_is_told_by_the_content(content: bytes, mime_type: str) -> None:
    assert mime_of(content) == mime_type


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"MZ\x90\x00" + bytes(200),
        b"\x7fELF" + bytes(200),
        b"OggS\x00\x02" + bytes(22) + b"\x01vorbis" + bytes(40),
        made.office("word/document.xml", "word/vbaProject.bin"),
        made.office("classes.dex"),
        made.iso(b"heic"),
        made.iso(b"isom"),
        OLE,
        b"  <!DOCTYPE html><script>alert(1)</script>",
        b"\xef\xbb\xbf<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>",
        b"<?xml version='1.0'?>",
    ],
    ids=[
        "empty", "exe", "elf", "vorbis", "macros", "zip", "heic", "no tracks", "ole", "html", "svg", "xml",
    ],
)  # fmt: skip
def test_what_whatsapp_does_not_name_has_no_type(content: bytes) -> None:
    assert mime_of(content) is None


def test_a_message_carries_files_of_its_own_kind_only() -> None:
    assert fits("image", "image/jpeg")
    assert not fits("image", "application/pdf")
    assert not fits("image", "image/gif")
    assert fits("document", "image/jpeg")
    assert not fits("audio", "video/mp4")
    assert not fits("text", "text/plain")
    assert not fits("document", None)


@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xfb", b"\xff\xd8\xff", b"RIFF0000WEBP", b"PK\x03\x04", b"0000ftyp",
                                                 b"\x89PNG\r\n\x1a\n", b"GIF89a", b"OggS", b"\xff\xf1"]))  # fmt: skip
def test_any_bytes_have_a_known_type_or_none(content: bytes, head: bytes) -> None:
    found = mime_of(head + content)
    assert found is None or found == "image/gif" or any(found in types for types in ALLOWED.values())
    seen = pictures.look(head + content)
    assert seen is None or (seen.width > 0 and seen.height > 0)


# --- what goes out ---------------------------------------------------------------------------------------------------


def test_jpeg_and_png_of_eight_bits_go_out_as_they_are() -> None:
    for content in (made.jpeg(640, 480), made.png(3, 5), made.png(3, 5, colour=6)):
        seen = pictures.look(content)
        assert seen is not None
        assert pictures.goes_out(seen, len(content))


@pytest.mark.parametrize(
    "content",
    [
        made.png(4, 4, depth=16),
        made.png(4, 4, colour=3),
        made.png(4, 4, colour=0),
        made.jpeg(channels=4),
        made.GIF,
        made.WEBP,
    ],
    ids=["16 bits", "palette", "grey", "cmyk", "gif", "webp"],
)
def test_other_pictures_are_drawn_anew(content: bytes) -> None:
    seen = pictures.look(content)
    assert seen is not None
    assert not pictures.goes_out(seen, len(content))


def test_a_picture_over_five_megabytes_is_made_smaller() -> None:
    seen = pictures.look(made.jpeg(4000, 3000))
    assert seen is not None
    assert seen == pictures.Look("image/jpeg", 4000, 3000, plain=True)
    assert not pictures.goes_out(seen, pictures.MOST_BYTES + 1)
    assert pictures.smaller(seen) == (1600, 1200)
    assert pictures.smaller(pictures.Look("image/gif", 10, 4000, plain=False)) == (4, 1600)


def test_a_picture_of_too_many_pixels_is_not_drawn() -> None:
    seen = pictures.look(made.jpeg(60_000, 60_000))
    assert seen is not None
    assert seen.too_many_pixels


def test_sizes_are_read_from_every_form() -> None:
    for content, size in (
        (made.png(7, 3), (7, 3)),
        (made.jpeg(32, 9), (32, 9)),
        (made.GIF, (1, 1)),
        (made.WEBP, (1, 1)),
    ):
        seen = pictures.look(content)
        assert seen is not None
        assert (seen.width, seen.height) == size
