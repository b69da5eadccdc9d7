"""A customer's medium in the gateway: fetched, kept, understood and told exactly once; and pictures that go out as uploads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from agent_store.agents.whatsapp import media, tables
from agent_store.agents.whatsapp.agent import whatsapp
from agent_store.agents.whatsapp.ports import (
    MEGABYTE,
    MediaRefused,
    MediaSettings,
    Senses,
    WhatsAppApi,
    WhatsAppSettings,
)
from agent_store.contracts.brands import Directory
from agent_store.contracts.whatsapp import (
    InboundMedia,
    MediaProblem,
    MessageKind,
    WhatsAppMediaDue,
    WhatsAppMediaReceived,
    WhatsAppMessageDeleted,
)
from agent_store.kernel.agent import Agent
from agent_store.kernel.context import Context
from agent_store.kernel.errors import PermanentError, TemporaryError
from agent_store.kernel.event import Event
from agent_store.kernel.sql import insert
from agent_store.kernel.store import Unit
from tests.agents.test_whatsapp import FASHION, SETTINGS, Brands, Graph
from tests.support import media as made
from tests.support.media import Gallery, Platform, Shelf, media_ports
from tests.support.store import TestStore

SENDER = "5511988880001"
WAMID = "wamid.MEDIUM1"
CARD = "4111 1111 1111 1111"


def gateway(
    platform: Platform | None = None,
    shelf: Shelf | None = None,
    senses: Senses | None = None,
    settings: WhatsAppSettings = SETTINGS,
) -> TestStore:
    ports = {
        Directory: Brands(), WhatsAppApi: Graph(), WhatsAppSettings: settings, **media_ports(platform, shelf, senses),
    }  # fmt: skip
    return TestStore([whatsapp], ports=ports)


def due(kind: MessageKind = "image", wamid: str = WAMID, **medium: Any) -> WhatsAppMediaDue:
    return WhatsAppMediaDue(
        wamid=wamid, phone_number_id=FASHION, sender=SENDER, kind=kind, media=InboundMedia(id="7001", **medium)
    )


def taken_back(wamid: str = WAMID) -> WhatsAppMessageDeleted:
    return WhatsAppMessageDeleted(
        wamid=wamid, phone_number_id=FASHION, sender=SENDER, wa_id=SENDER, at=TestStore([whatsapp]).clock.now()
    )


def told(store: TestStore) -> list[WhatsAppMediaReceived]:
    return store.events(WhatsAppMediaReceived)


def problems(store: TestStore) -> list[MediaProblem | None]:
    return [event.problem for event in told(store)]


async def rows(store: TestStore) -> Sequence[Any]:
    return await store.rows(select(tables.media).order_by(tables.media.c.wamid))


async def put_message(store: TestStore, wamid: str = WAMID, *, deleted: bool = False) -> None:
    """The message's row, as intake writes it."""
    now = store.clock.now()

    async def work(unit: Unit) -> None:
        await unit.db.run(
            insert(tables.messages),
            {
                "wamid": wamid, "phone_number_id": FASHION, "sender": SENDER, "kind": "image", "raw": "{}", "sent_at": now,
                "received_at": now, "deleted_at": now if deleted else None,
            },
        )  # fmt: skip

    await store.runtime.store.run(work)


async def patiently(store: TestStore, by: timedelta = timedelta(minutes=6), times: int = 20) -> None:
    for _ in range(times):
        await store.move(by)


# --- kept ------------------------------------------------------------------------------------------------------------


async def test_a_medium_is_fetched_kept_and_told_once() -> None:
    platform, shelf = Platform(content=made.png()), Shelf()
    async with gateway(platform, shelf) as store:
        await store.publish(due(filename="foto.png", mime_type="image/jpeg"), brand="fashion")
        await store.settle()
        (event,) = told(store)
        (row,) = await rows(store)
        assert shelf.held == {event.key: (made.png(), "image/png")}
        assert event.mime_type == "image/png"  # its content's, and not the one that was told
        assert event.bytes == len(made.png())
        assert event.problem is event.words is event.seen is None
        assert event.expires_at == store.clock.now() + timedelta(days=30)
        assert (row["state"], row["key"], row["filename"], row["sha256"]) == (
            "kept",
            event.key,
            "foto.png",
            event.sha256,
        )
        assert platform.asked == [("7001", 5 * MEGABYTE)]
        envelope = next(e for e in store.envelopes if e.type == WhatsAppMediaReceived.event_type)
        assert (envelope.brand, envelope.channel, envelope.partitionkey) == ("fashion", "whatsapp", SENDER)


async def test_the_same_medium_in_a_second_event_is_not_told_again() -> None:
    platform = Platform()
    async with gateway(platform) as store:
        await store.publish(due())
        await store.publish(due())
        await store.settle()
        assert len(told(store)) == 1
        assert len(platform.asked) == 1


async def test_two_messages_with_the_same_content_keep_a_copy_each() -> None:
    shelf = Shelf()
    async with gateway(shelf=shelf) as store:
        await store.publish(due(wamid="wamid.A"))
        await store.publish(due(wamid="wamid.B"))
        await store.settle()
        assert len(shelf.held) == 2
        await store.publish(taken_back("wamid.A"))
        await store.settle()
        (kept,) = [event.key for event in told(store) if event.wamid == "wamid.B"]
        assert list(shelf.held) == [kept]


@pytest.mark.parametrize(("kind", "limit"), [("image", 5), ("audio", 16), ("video", 16), ("document", 25)])
async def test_the_limit_is_the_kinds_and_never_more_than_the_shops_own(kind: MessageKind, limit: int) -> None:
    platform = Platform()
    async with gateway(platform) as store:
        await store.publish(due(kind))
        await store.settle()
        assert platform.asked == [("7001", limit * MEGABYTE)]


# --- problems --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", ["too_large", "gone", "unsafe", "unreadable"])
async def test_what_the_platform_cannot_give_is_told_with_its_problem(problem: MediaProblem) -> None:
    shelf = Shelf()
    async with gateway(Platform(MediaRefused(problem, "no")), shelf) as store:
        await store.publish(due())
        await store.settle()
        assert problems(store) == [problem]
        assert told(store)[0].key == ""
        assert [(row["state"], row["problem"]) for row in await rows(store)] == [("refused", problem)]
        assert not shelf.held
        assert await store.dead() == []


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("image", made.PDF),
        ("image", made.GIF),
        ("audio", made.png()),
        ("document", b"MZ" + bytes(99)),
        ("sticker", made.png()),
    ],
)
async def test_a_file_of_another_type_is_refused(kind: MessageKind, content: bytes) -> None:
    shelf = Shelf()
    async with gateway(Platform(content=content), shelf) as store:
        await store.publish(due(kind, mime_type="image/jpeg"))
        await store.settle()
        assert problems(store) == ["forbidden_type"]
        assert not shelf.held


async def test_an_empty_file_is_unreadable() -> None:
    async with gateway(Platform(b"")) as store:
        await store.publish(due())
        await store.settle()
        assert problems(store) == ["unreadable"]


async def test_a_download_that_fails_by_itself_is_told_as_failed_after_a_few_tries() -> None:
    platform = Platform(*[TemporaryError("slow", code="slow") for _ in range(20)])
    async with gateway(platform) as store:
        await store.publish(due())
        await store.settle()
        assert problems(store) == []
        await patiently(store)
        assert problems(store) == ["failed"]
        assert len(platform.asked) == media.BAD_TRIES
        assert await store.dead() == []


async def test_what_never_is_what_was_told_is_unreadable_in_the_end() -> None:
    failures = [TemporaryError("what came is not what was told", problem="unreadable") for _ in range(20)]
    async with gateway(Platform(*failures)) as store:
        await store.publish(due())
        await patiently(store)
        assert problems(store) == ["unreadable"]


async def test_an_outage_of_the_platform_costs_no_medium() -> None:
    platform = Platform(*[TemporaryError("away", code="unreachable") for _ in range(8)])
    async with gateway(platform) as store:
        await store.publish(due())
        await patiently(store)
        assert problems(store) == [None]
        assert len(platform.asked) == 9


async def test_an_outage_that_does_not_end_is_told_as_failed() -> None:
    platform = Platform(*[TemporaryError("away", code="unreachable") for _ in range(99)])
    async with gateway(platform) as store:
        await store.publish(due())
        await patiently(store)
        assert problems(store) == ["failed"]
        assert len(platform.asked) == media.MOST_TRIES
        assert await store.dead() == []


async def test_a_store_of_media_that_is_away_for_a_while_costs_no_medium() -> None:
    shelf = Shelf(*[TemporaryError("no room", code="unavailable") for _ in range(5)])
    async with gateway(shelf=shelf) as store:
        await store.publish(due())
        await patiently(store)
        assert problems(store) == [None]
        assert len(shelf.held) == 1


async def test_a_store_of_media_that_refuses_for_good_is_told_as_failed() -> None:
    async with gateway(shelf=Shelf(PermanentError("no such bucket"))) as store:
        await store.publish(due())
        await store.settle()
        assert problems(store) == ["failed"]


async def test_a_failure_that_nobody_foresaw_becomes_a_dead_letter_and_is_told_all_the_same() -> None:
    """The process gives up, the message does not wait for ever."""
    platform = Platform(*[RuntimeError("a mistake of ours") for _ in range(99)])
    async with gateway(platform) as store:
        await put_message(store)
        await store.publish(due())
        await patiently(store, times=40)
        assert [letter.consumer for letter in await store.dead()] == ["whatsapp"]
        assert problems(store) == ["failed"]
        assert told(store)[0].sender == SENDER
        await patiently(store, timedelta(hours=3), times=3)
        assert len(told(store)) == 1


# --- crashes ---------------------------------------------------------------------------------------------------------


async def test_a_crash_while_it_is_fetched_costs_a_second_fetch_and_no_second_word() -> None:
    started = asyncio.Event()

    async def hang() -> bytes:
        started.set()
        await asyncio.Event().wait()
        return b""

    platform = Platform(hang)
    async with gateway(platform) as store:
        await store.publish(due())
        await asyncio.wait_for(started.wait(), 10)
        await store.kill_and_restart()
        await store.settle()
        assert problems(store) == [None]
        assert len(platform.asked) == 2


async def test_a_crash_while_somebody_listens_does_not_fetch_again() -> None:
    started = asyncio.Event()

    class Ear:
        calls = 0

        async def transcribe(self, content: bytes, mime_type: str, language: str | None) -> str:
            self.calls += 1
            if self.calls == 1:
                started.set()
                await asyncio.Event().wait()
            return "quero duas canecas"

    platform, ear = Platform(content=made.OPUS), Ear()
    async with gateway(platform, senses=Senses(transcriber=ear)) as store:
        await store.publish(due("audio"))
        await asyncio.wait_for(started.wait(), 10)
        await store.kill_and_restart()
        await store.settle()
        assert [event.words for event in told(store)] == ["quero duas canecas"]
        assert len(platform.asked) == 1
        assert ear.calls == 2


# --- understood ------------------------------------------------------------------------------------------------------


class Sense:
    """Hears and sees what it is told to."""

    def __init__(self, answer: str | Exception) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str | None]] = []

    async def transcribe(self, content: bytes, mime_type: str, language: str | None) -> str:
        self.asked.append((mime_type, language))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def describe(self, content: bytes, mime_type: str, language: str) -> str:
        return await self.transcribe(content, mime_type, language)


async def test_a_voice_note_is_written_down_without_card_numbers() -> None:
    ear, eye = Sense(f"  meu cartão é {CARD} "), Sense("?")
    async with gateway(Platform(content=made.OPUS), senses=Senses(ear, eye)) as store:
        await store.publish(due("audio", voice=True))
        await store.settle()
        (event,) = told(store)
        assert event.words == "meu cartão é [card number removed]"
        assert event.seen is None
        assert ear.asked == [("audio/ogg", None)]
        assert eye.asked == []


@pytest.mark.parametrize(
    ("sender", "language"), [(SENDER, "pt"), ("14155550100", "en"), ("5491155550100", "es"), ("user.AbC", "pt")]
)
async def test_a_picture_is_described_in_the_language_of_the_customers_number(sender: str, language: str) -> None:
    eye = Sense("Uma caneca azul.")
    async with gateway(senses=Senses(vision=eye)) as store:
        await store.publish(due().model_copy(update={"sender": sender}))
        await store.settle()
        assert [event.seen for event in told(store)] == ["Uma caneca azul."]
        assert eye.asked == [("image/png", language)]


@pytest.mark.parametrize("failure", [TemporaryError("slow", code="timeout"), PermanentError("no", code="refused")])
@pytest.mark.parametrize(("kind", "content"), [("audio", made.OPUS), ("image", made.png())])
async def test_who_listens_and_fails_leaves_the_message_as_if_nobody_listened(
    kind: MessageKind, content: bytes, failure: Exception
) -> None:
    sense = Sense(failure)
    async with gateway(Platform(content=content), senses=Senses(sense, sense)) as store:
        await store.publish(due(kind))
        await store.settle()
        (event,) = told(store)
        assert event.key
        assert event.words is event.seen is event.problem is None
        assert len(sense.asked) == 1
        assert await store.dead() == []


async def test_nobody_listens_to_a_film_or_looks_at_a_document() -> None:
    sense = Sense("?")
    async with gateway(Platform(made.MP4, made.png()), senses=Senses(sense, sense)) as store:
        await store.publish(due("video", "wamid.A"))
        await store.settle()
        await store.publish(due("document", "wamid.B"))
        await store.settle()
        assert problems(store) == [None, None]
        assert sense.asked == []


# --- what goes -------------------------------------------------------------------------------------------------------


async def test_content_goes_when_its_days_are_over() -> None:
    shelf = Shelf()
    settings = replace(SETTINGS, media=MediaSettings(keep=timedelta(days=2)))
    async with gateway(shelf=shelf, settings=settings) as store:
        await store.publish(due())
        await store.settle()
        await store.move(timedelta(days=1, hours=23))
        assert len(shelf.held) == 1
        await store.move(timedelta(hours=2))
        assert not shelf.held
        assert [(row["state"], row["key"]) for row in await rows(store)] == [("deleted", None)]


async def test_a_message_that_is_taken_back_takes_its_medium_with_it() -> None:
    shelf = Shelf(*[])
    async with gateway(shelf=shelf) as store:
        await store.publish(due())
        await store.settle()
        shelf.failures.append(TemporaryError("away", code="unavailable"))
        await store.publish(taken_back())
        await store.settle()
        assert [row["state"] for row in await rows(store)] == ["deleted"]  # nobody is shown it from now on
        await store.move(timedelta(minutes=1))
        assert not shelf.held
        assert len(told(store)) == 1


async def test_a_message_that_is_taken_back_while_its_medium_is_fetched_leaves_nothing() -> None:
    go_on, started = asyncio.Event(), asyncio.Event()

    async def slowly() -> bytes:
        started.set()
        await go_on.wait()
        return made.png()

    shelf = Shelf()
    async with gateway(Platform(slowly), shelf) as store:
        await store.publish(due())
        await asyncio.wait_for(started.wait(), 10)
        await put_message(store, deleted=True)
        await store.publish(taken_back())
        for _ in range(500):
            if [row["state"] for row in await rows(store)] == ["deleted"]:
                break
            await asyncio.sleep(0.01)
        go_on.set()
        await store.settle()
        assert problems(store) == ["gone"]
        assert not shelf.held


async def test_a_message_that_was_taken_back_before_leaves_nothing() -> None:
    shelf = Shelf()
    async with gateway(shelf=shelf) as store:
        await put_message(store, deleted=True)
        await store.publish(due())
        await store.settle()
        assert problems(store) == ["gone"]
        assert not shelf.held
        assert [row["state"] for row in await rows(store)] == ["deleted"]


async def test_a_text_that_is_taken_back_has_no_medium() -> None:
    async with gateway() as store:
        await store.publish(taken_back())
        await store.settle()
        assert await store.dead() == []


# --- uploads ---------------------------------------------------------------------------------------------------------

OWN = "http://shop/media/products/caneca.png"
FOREIGN = "https://pictures.example/caneca.webp"


class Outgoing(Event, type="store.test.whatsapp.outgoing", topic="test", subject="id", partition="id"):
    """A process that sends a payload, as `sending` does."""

    id: str
    payload: dict[str, Any]
    number: str = FASHION
    refused_with: int | None = None


def sender_of(sent: list[dict[str, Any]]) -> Agent:
    from agent_store.agents.whatsapp import uploads

    agent = Agent("whatsapp", tables=tables.metadata, migrations=whatsapp.migrations)

    @agent.process(Outgoing)
    async def send(event: Outgoing, ctx: Context) -> None:
        payload = await uploads.with_media(ctx, event.number, event.payload)
        if uploads.forgotten(payload, event.refused_with, "Param image.id is not a valid media attachment ID"):
            await ctx.write("forget", lambda tx: uploads.forget(tx, event.number, payload))
            payload = await uploads.with_media(ctx, event.number, event.payload, again=1)
        sent.append(payload)

    return agent


def image(link: str = OWN, caption: str = "Caneca") -> dict[str, Any]:
    return {"type": "image", "to": SENDER, "image": {"link": link, "caption": caption}}


def uploading(
    sent: list[dict[str, Any]], platform: Platform, gallery: Gallery, *, every_link: bool = False, on: bool = True
) -> TestStore:
    settings = replace(SETTINGS, media=MediaSettings(uploads=on, every_link=every_link))
    ports = {Directory: Brands(), WhatsAppSettings: settings, **media_ports(platform, gallery=gallery)}
    return TestStore([sender_of(sent)], ports=ports)


async def test_a_picture_is_uploaded_once_a_number_and_goes_out_as_its_id() -> None:
    sent: list[dict[str, Any]] = []
    platform = Platform()
    async with uploading(sent, platform, Gallery({OWN: made.png(3, 3)})) as store:
        for id, number in (("1", FASHION), ("2", FASHION), ("3", "219870000000002")):
            await store.publish(Outgoing(id=id, payload=image(), number=number))
            await store.settle()
        assert [payload["image"] for payload in sent] == [
            {"caption": "Caneca", "id": "upload-1"},
            {"caption": "Caneca", "id": "upload-1"},
            {"caption": "Caneca", "id": "upload-2"},
        ]
        assert [(number, mime_type) for number, _, mime_type in platform.uploaded] == [
            (FASHION, "image/png"),
            ("219870000000002", "image/png"),
        ]


async def test_an_upload_is_not_used_for_longer_than_the_platform_keeps_it() -> None:
    sent: list[dict[str, Any]] = []
    platform = Platform()
    async with uploading(sent, platform, Gallery({OWN: made.png()})) as store:
        for id in ("1", "2"):
            await store.publish(Outgoing(id=id, payload=image()))
            await store.settle()
            await store.move(timedelta(days=29))
        assert [payload["image"]["id"] for payload in sent] == ["upload-1", "upload-2"]


async def test_an_upload_that_the_platform_has_forgotten_is_made_anew_once() -> None:
    sent: list[dict[str, Any]] = []
    platform = Platform()
    async with uploading(sent, platform, Gallery({OWN: made.png()})) as store:
        await store.publish(Outgoing(id="1", payload=image()))
        await store.settle()
        await store.publish(Outgoing(id="2", payload=image(), refused_with=100))
        await store.settle()
        await store.publish(Outgoing(id="3", payload=image()))
        await store.settle()
        assert [payload["image"]["id"] for payload in sent] == ["upload-1", "upload-2", "upload-2"]


async def test_nothing_changes_while_uploads_are_off() -> None:
    sent: list[dict[str, Any]] = []
    platform = Platform()
    async with uploading(sent, platform, Gallery({}), on=False) as store:
        await store.publish(Outgoing(id="1", payload=image()))
        await store.settle()
        assert sent == [image()]
        assert not platform.uploaded


async def test_pictures_of_other_sites_are_left_to_the_platform_unless_everything_is_uploaded() -> None:
    for every_link, expected in ((False, {"link": FOREIGN}), (True, {"id": "upload-1"})):
        sent: list[dict[str, Any]] = []
        gallery = Gallery({FOREIGN: made.WEBP})
        async with uploading(sent, Platform(), gallery, every_link=every_link) as store:
            await store.publish(Outgoing(id="1", payload=image(FOREIGN)))
            await store.settle()
            assert [payload["image"] for payload in sent] == [{"caption": "Caneca", **expected}]
            assert gallery.drawn == ([("image/webp", 1, 1)] if every_link else [])


async def test_headers_of_buttons_and_templates_are_uploaded_too() -> None:
    sent: list[dict[str, Any]] = []
    header = {"header": {"type": "image", "image": {"link": OWN}}, "body": {"text": "?"}}
    component = {"type": "header", "parameters": [{"type": "image", "image": {"link": OWN}}]}
    async with uploading(sent, Platform(), Gallery({OWN: made.png()})) as store:
        await store.publish(Outgoing(id="1", payload={"type": "interactive", "interactive": header}))
        await store.settle()
        await store.publish(Outgoing(id="2", payload={"type": "template", "template": {"components": [component]}}))
        await store.settle()
        assert sent[0]["interactive"]["header"]["image"] == {"id": "upload-1"}
        assert sent[1]["template"]["components"][0]["parameters"][0]["image"] == {"id": "upload-1"}


@pytest.mark.parametrize(
    "content", [b"<svg/>", made.PDF, made.jpeg(60_000, 60_000, channels=4)], ids=["svg", "pdf", "vast"]
)
async def test_a_picture_that_whatsapp_would_not_take_is_left_out(content: bytes) -> None:
    sent: list[dict[str, Any]] = []
    platform = Platform()
    header = {"header": {"type": "image", "image": {"link": OWN}}, "body": {"text": "?"}}
    async with uploading(sent, platform, Gallery({OWN: content})) as store:
        await store.publish(Outgoing(id="1", payload=image()))
        await store.settle()
        await store.publish(Outgoing(id="2", payload={"type": "interactive", "interactive": header}))
        await store.settle()
        await store.publish(Outgoing(id="3", payload=image("http://shop/media/products/none.png", "Prato")))
        await store.settle()
        assert sent == [
            {"type": "text", "to": SENDER, "text": {"body": "Caneca"}},
            {"type": "interactive", "interactive": {"body": {"text": "?"}}},
            {"type": "text", "to": SENDER, "text": {"body": "Prato"}},
        ]
        assert not platform.uploaded


async def test_a_picture_that_cannot_be_had_now_or_is_refused_goes_out_as_its_link() -> None:
    sent: list[dict[str, Any]] = []
    platform = Platform()
    platform.refusals.append(PermanentError("no"))
    gallery = Gallery({OWN: TemporaryError("away")})
    async with uploading(sent, platform, gallery) as store:
        await store.publish(Outgoing(id="1", payload=image()))
        await store.settle()
        gallery.pictures[OWN] = made.png()
        await store.publish(Outgoing(id="2", payload=image()))
        await store.settle()
        assert sent == [image(), image()]


async def test_an_upload_waits_for_a_platform_that_is_away() -> None:
    sent: list[dict[str, Any]] = []
    platform = Platform()
    platform.refusals += [TemporaryError("away", code="unreachable"), TemporaryError("busy")]
    async with uploading(sent, platform, Gallery({OWN: made.png()})) as store:
        await store.publish(Outgoing(id="1", payload=image()))
        await store.settle()
        assert sent == []
        await patiently(store, timedelta(seconds=10), times=5)
        assert [payload["image"]["id"] for payload in sent] == ["upload-1"]
