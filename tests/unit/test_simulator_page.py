"""How the simulated phone shows messages: words, bubbles, sheets; and how a recording becomes a voice note."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.adapters.whatsapp.simulator_behaviour import Behaviour, Limits
from agent_store.adapters.whatsapp.simulator_trouble import behaviour_of, trouble_of
from agent_store.agents.whatsapp.phone import (
    Ad,
    Bubble,
    ContactCard,
    LinkButton,
    Medium,
    Option,
    OrderLine,
    Product,
    Reaction,
    ShopNumber,
    Spot,
    Trouble,
)
from agent_store.console.simulator import bubbles, experiments, recording, sheets
from agent_store.console.simulator.words import codes, formatted, plain
from agent_store.kernel.errors import InvalidInput

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PIX = "00020126330014br.gov.bcb.pix0111123456789095204000053039865406259.905802BR5904LOJA6006RECIFE62070503***6304B14D"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("*Vestido* por _só_ R$ 10", "<b>Vestido</b> por <i>só</i> R$\u00a010"),
        ("de ~R$ 20~\npor R$ 10", "de <s>R$\u00a020</s><br>por R$\u00a010"),
        ("3*4*5 e snake_case_nome", "3*4*5 e snake_case_nome"),
        ("```*cru*``` e `curto`", "<code>*cru*</code> e <code>curto</code>"),
        ("<b onclick='x'>&", "&lt;b onclick=&#x27;x&#x27;&gt;&amp;"),
        (
            "pague: https://loja.example/p?a=1&b=_2_.",
            'pague: <a href="https://loja.example/p?a=1&amp;b=_2_" target="_blank" rel="noopener noreferrer">'
            "https://loja.example/p?a=1&amp;b=_2_</a>.",
        ),
    ],
)
def test_marks_and_links_are_shown_and_markup_is_not(text: str, shown: str) -> None:
    assert formatted(text) == shown


@given(st.text(alphabet=st.sampled_from("<>\"'&*_~`ab0123456789 \nhttps://x.y"), max_size=90))
def test_no_text_becomes_markup_of_its_own(text: str) -> None:
    allowed = (
        r'<br>|</?(?:b|i|s|code)>|<code class="long">|</a>'
        r'|<a href="https?://[^"<>]+" target="_blank" rel="noopener noreferrer">'
    )
    left = re.sub(allowed, "", formatted(text))
    assert not re.search(r"[<>\"']", left)


def test_a_pix_code_is_found_whole_with_its_spaces_and_stars() -> None:
    assert codes(f"Pague assim:\n{PIX}\nObrigada!") == [PIX]
    assert bubbles.is_pix(PIX)
    assert "***" in formatted(PIX)


@pytest.mark.parametrize("text", ["Oi!", "https://loja.example/pay/0123456789abcdef0123456789abcdef", "AS-10293"])
def test_what_is_short_or_a_link_is_no_code_to_copy(text: str) -> None:
    assert codes(text) == []


def test_other_long_codes_are_copied_too() -> None:
    assert codes("Use ```AURORA-2026-DESCONTO-20``` ou 4f9c2a7b8d1e4f6a9b3c5d7e8f0a1b2c") == [
        "AURORA-2026-DESCONTO-20",
        "4f9c2a7b8d1e4f6a9b3c5d7e8f0a1b2c",
    ]


def bubble(kind: Any = "text", text: str = "Oi", **more: Any) -> Bubble:
    values: dict[str, Any] = {"mine": False, "status": "read", **more}
    return Bubble(seq=1, wamid="wamid.1", person_id="ana", phone_number_id="1", kind=kind, text=text, at=AT, **values)


EVIL = "<img src=x onerror='alert(1)'>\"&'"
SHOWN: Sequence[Bubble] = (
    bubble(text=EVIL, header=EVIL, footer=EVIL, options=(Option(EVIL, EVIL, EVIL, EVIL),), kind="buttons"),
    bubble("list", EVIL, button=EVIL, options=(Option(EVIL, EVIL, EVIL, EVIL),)),
    bubble("products", EVIL, products=(Product(EVIL, EVIL, 100, "BRL", EVIL, EVIL, section=EVIL),), button=EVIL),
    bubble("products", EVIL, products=(Product(EVIL, EVIL, image=EVIL),) * 3),
    bubble("order", EVIL, mine=True, lines=(OrderLine(EVIL, 2, EVIL, 100),)),
    bubble("document", EVIL, medium=Medium("1", "document", EVIL, EVIL, EVIL, 5000)),
    bubble("audio", "", medium=Medium("1", "audio", EVIL, EVIL, EVIL, voice=True)),
    bubble("video", "", medium=Medium("1", "video", EVIL)),
    bubble("sticker", "", medium=Medium("1", "sticker", EVIL)),
    bubble("image", EVIL, image=EVIL),
    bubble("location", "", mine=True, spot=Spot(-23.5, -46.6, EVIL, EVIL)),
    bubble("contacts", "", mine=True, cards=(ContactCard(EVIL, EVIL),)),
    bubble("link", EVIL, links=(LinkButton(EVIL, EVIL), LinkButton(EVIL, "javascript:alert(1)"), LinkButton(EVIL, "", EVIL))),
    bubble("form", EVIL, mine=True, form={EVIL: EVIL}),
    bubble("system", EVIL),
    bubble(text=EVIL, mine=True, ad=Ad(EVIL, EVIL, EVIL), about=Product(EVIL, EVIL, image=EVIL)),
    bubble(text=EVIL, mine=True, status="failed", error=EVIL, reactions=(Reaction(EVIL, True), Reaction("👍", False))),
    bubble("template", EVIL, template=EVIL, edited=True, forwarded=True),
    bubble(text="", deleted=True),
)  # fmt: skip


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.urls: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.urls += [value or "" for name, value in attrs if name == "href"]
        if tag not in ("img", "br", "input", "rect", "path", "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("path", "rect", "circle"):
            assert self.open.pop() == tag


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: shown.kind)
def test_whatever_a_message_holds_is_shown_as_text(shown: Bubble) -> None:
    quoted = SHOWN[0]
    for markup in (
        bubbles.row(shown, quoted, whom=EVIL), sheets.menu(shown), sheets.why(shown), sheets.options(shown), sheets.flow(shown),
        sheets.catalogue(shown.products, ShopNumber("1", EVIL)),
    ):  # fmt: skip
        tags = _Tags()
        tags.feed(markup)
        tags.close()
        assert tags.open == []
        assert not any(name.startswith("on") for name in tags.attributes)
        assert not any(url.startswith("javascript") for url in tags.urls)
        assert "script" not in tags.names


@pytest.mark.parametrize(
    ("text", "large"),
    [("🥰", True), ("❤️👍🏽", True), ("👩‍❤️‍👩", True), ("😀😀😀😀", False), ("oi 🥰", False), ("1", False)],
)
def test_a_few_emoji_alone_are_large(text: str, large: bool) -> None:
    assert ("jumbo" in bubbles.row(bubble(text=text))) is large


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        (bubble(text="*Oi*\nvocê"), "Oi você"),
        (bubble("image", "", image="/media/a.png"), "📷 Photo"),
        (bubble("audio", "", medium=Medium("1", "audio", "/a", voice=True)), "🎤 Voice note"),
        (bubble("document", "", medium=Medium("1", "document", "/a", filename="nota.pdf")), "📄 nota.pdf"),
        (bubble("order", "", lines=(OrderLine("a", 1),)), "🛒 Cart"),
        (bubble(text="", deleted=True), "🚫 This message was deleted"),
    ],
)
def test_a_message_in_one_line(shown: Bubble, line: str) -> None:
    assert bubbles.snippet(shown) == line


def test_what_the_store_serves_is_fetched_from_where_the_page_came_from() -> None:
    assert bubbles.own("https://public.example/media/products/a.png?v=2") == "/media/products/a.png?v=2"
    assert bubbles.own("https://elsewhere.example/a.png") == "https://elsewhere.example/a.png"


def test_a_cart_is_what_was_counted() -> None:
    assert sheets.wanted({"q:V-1": "2", "q:V-2": "0", "q:V-3": "-1", "q:V-4": "x", "note": "5"}) == {"V-1": 2}


def test_a_form_is_read_line_by_line() -> None:
    assert sheets.answers("name: Ana\nnothing here\ncity : São Paulo: SP\n: x") == {
        "name": "Ana",
        "city": "São Paulo: SP",
    }


def test_how_long_the_store_may_answer_freely() -> None:
    assert sheets.window(None, AT) == "no: the customer has not written yet"
    assert sheets.window(AT, AT) == "no: only templates"
    assert sheets.window(AT + timedelta(hours=1), AT).startswith("until to")


# --- the laboratory --------------------------------------------------------------------------------------------------

TROUBLES = st.builds(
    Trouble,
    delay=st.sampled_from([0.0, 2.0, 60.0]),
    twice=st.booleans(),
    reorder=st.booleans(),
    lost=st.booleans(),
    refuse=st.none() | st.sampled_from(list(experiments.REFUSALS)),
    fail=st.none() | st.sampled_from(list(experiments.FAILURES)),
    outage=st.sampled_from(["none", "busy", "lost", "garbage"]),
    token_expired=st.booleans(),
)


@given(TROUBLES)
def test_trouble_is_what_the_simulator_then_does(trouble: Trouble) -> None:
    before = Behaviour(limits=Limits(per_second=80))
    after = behaviour_of(trouble, before)
    assert trouble_of(after) == trouble
    assert after.limits == before.limits
    assert Behaviour.model_validate(after.model_dump()) == after
    assert behaviour_of(Trouble(), after) == before


@given(TROUBLES)
def test_the_form_of_the_laboratory_shows_and_reads_the_same_trouble(trouble: Trouble) -> None:
    fields: dict[str, str] = {}
    markup = experiments.trouble_part(trouble)
    for name, choices in re.findall(r"<select name='(\w+)'>(.*?)</select>", markup):
        chosen = re.findall(r"<option value='([^']*)' selected>", choices)
        assert len(chosen) == 1
        fields[name] = chosen[0]
    fields |= dict.fromkeys(re.findall(r"name='(\w+)' value='1' checked", markup), "1")
    assert experiments.trouble_of(fields) == trouble


def test_a_laboratory_form_that_is_not_the_pages_own_is_refused() -> None:
    for fields in ({"delay": "soon"}, {"outage": "flood"}):
        with pytest.raises(InvalidInput):
            experiments.trouble_of(fields)
    with pytest.raises(InvalidInput):
        experiments.news_of({"news": "quality:PURPLE"})
    assert experiments.news_of({"news": "quality:RED"}) == ("quality", "RED")


# --- recordings ------------------------------------------------------------------------------------------------------

HEAD = b"OpusHead" + struct.pack("<BBHIHB", 1, 1, 312, 48000, 0, 0)


def element(name: bytes, body: bytes, *, endless: bool = False) -> bytes:
    size = b"\x01" + b"\xff" * 7 if endless else (len(body) | 1 << 28).to_bytes(4, "big")
    return name + size + body


def webm(packets: Sequence[bytes], head: bytes = HEAD) -> bytes:
    tracks = element(b"\x16\x54\xae\x6b", element(b"\xae", element(b"\x63\xa2", head)))
    blocks = b"".join(element(b"\xa3", b"\x81\x00\x00\x80" + packet) for packet in packets)
    cluster = element(b"\x1f\x43\xb6\x75", element(b"\xe7", b"\x00") + blocks, endless=True)
    return element(b"\x1a\x45\xdf\xa3", b"") + element(b"\x18\x53\x80\x67", tracks + cluster, endless=True)


def packets_of(ogg: bytes) -> tuple[list[bytes], int]:
    """The packets of an Ogg file, and the position that its last page names."""
    found, part, at, position = list[bytes](), b"", 0, 0
    while at < len(ogg):
        assert ogg[at : at + 4] == b"OggS"
        position = struct.unpack("<q", ogg[at + 6 : at + 14])[0]
        count = ogg[at + 26]
        laces, at = ogg[at + 27 : at + 27 + count], at + 27 + count
        for lace in laces:
            part, at = part + ogg[at : at + lace], at + lace
            if lace < 255:
                found.append(part)
                part = b""
    return found, position


@given(st.lists(st.binary(min_size=1, max_size=400).map(lambda rest: b"\x78" + rest), min_size=1, max_size=120))
def test_a_recording_becomes_a_voice_note_with_every_packet_in_its_place(packets: list[bytes]) -> None:
    found, position = packets_of(recording.ogg_of(webm(packets)))
    assert found[0] == HEAD
    assert found[1].startswith(b"OpusTags")
    assert found[2:] == packets
    assert position == 960 * len(packets)


@pytest.mark.parametrize("content", [b"", b"\x1a\x45\xdf\xa3\x00", webm([]), webm([b"\x78x"], head=b"Vorbis")])
def test_what_holds_no_sound_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="it"):
        recording.ogg_of(content)


def test_marks_are_left_out_of_a_line() -> None:
    assert plain("*a*  _b_\n~c~ ```d```") == "a b c d"
