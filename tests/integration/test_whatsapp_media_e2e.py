"""A photo and a voice note from the simulator's phone through the whole store, and product pictures out as uploads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from agent_store.adapters.storage.disk import DiskStore
from agent_store.adapters.whatsapp.simulator import Simulator
from agent_store.agents.whatsapp.media import key_of
from agent_store.agents.whatsapp.repository import Media
from agent_store.contracts.catalog import SearchProducts
from agent_store.contracts.whatsapp import (
    InboundMedia,
    OutImage,
    WhatsAppMediaDue,
    WhatsAppMediaReceived,
    WhatsAppMessageSend,
)
from agent_store.entrypoints.embedded import EmbeddedStore, FrontDoor
from agent_store.entrypoints.served import ServedProcess
from agent_store.entrypoints.settings import Settings, load
from agent_store.entrypoints.up import bind
from agent_store.kernel import journal
from agent_store.kernel.context import Context
from agent_store.kernel.ids import ConversationId, CustomerId
from agent_store.kernel.tool import Principal
from tests.support import media as made
from tests.support.directory import brand, directory_text, put
from tests.support.plain_http import answers, plain_server
from tests.support.remote import serving

FASHION = "100000000000001"
STAFF = {"authorization": "Bearer staff-token-of-the-tests"}


@asynccontextmanager
async def shop(data: Path, **settings: Any) -> AsyncGenerator[tuple[EmbeddedStore, Simulator, httpx.AsyncClient]]:
    """The embedded store with its built-in simulator, on a real port."""
    listener = bind("127.0.0.1", 0)
    options: dict[str, Any] = {"burst_window": timedelta(0), "staff_token": "staff-token-of-the-tests", **settings}
    store = EmbeddedStore(load({}, data=data, port=listener.getsockname()[1], **options))
    server = uvicorn.Server(
        uvicorn.Config(FrontDoor(store), interface="asgi3", log_config=None, access_log=False, lifespan="off")
    )
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await store.start()
    while not server.started:
        await asyncio.sleep(0.005)
    assert store.simulator is not None
    try:
        async with httpx.AsyncClient(base_url=store.url, trust_env=False, timeout=30) as client:
            yield store, store.simulator, client
    finally:
        server.should_exit = True
        await serving
        await store.stop()


async def told(store: EmbeddedStore, simulator: Simulator, count: int = 1) -> list[WhatsAppMediaReceived]:
    async with asyncio.timeout(30):
        while True:
            await simulator.idle()
            await store.runtime.settle()
            rows = await store.runtime.store.reader.all(journal.EVENTS_AFTER, {"after": 0, "most": 100_000})
            found = [
                journal.envelope_of(row).read(WhatsAppMediaReceived)
                for row in rows
                if row["type"] == WhatsAppMediaReceived.event_type
            ]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.02)


async def test_a_photo_is_fetched_from_the_simulator_kept_and_shown_to_staff(tmp_path: Path) -> None:
    async with shop(tmp_path) as (store, simulator, client):
        person = simulator.add_person("Ana")
        await simulator.send_file(person.id, FASHION, made.png(12, 12), filename="foto.png", mime_type="image/png")
        (event,) = await told(store, simulator)
        assert event.problem is None
        assert event.mime_type == "image/png"
        assert (await client.get(f"/media/whatsapp/{event.key}")).status_code == 401
        answer = await client.get(f"/media/whatsapp/{event.key}", headers=STAFF)
        assert (answer.status_code, answer.content) == (200, made.png(12, 12))
        assert (tmp_path / "media" / event.key[:2] / event.key).read_bytes() == made.png(12, 12)


async def test_a_photo_that_is_taken_back_is_gone_from_the_disk(tmp_path: Path) -> None:
    async with shop(tmp_path) as (store, simulator, client):
        person = simulator.add_person("Ana")
        bubble = await simulator.send_file(person.id, FASHION, made.png(), filename="foto.png", mime_type="image/png")
        (event,) = await told(store, simulator)
        await simulator.delete(bubble.wamid)
        async with asyncio.timeout(20):
            while (tmp_path / "media" / event.key[:2] / event.key).exists():
                await asyncio.sleep(0.02)
        assert (await client.get(f"/media/whatsapp/{event.key}", headers=STAFF)).status_code == 404


async def test_a_voice_note_is_written_down_by_a_whisper_server(tmp_path: Path) -> None:
    async with plain_server(inference=answers({"text": " Quero um vestido vermelho. "})) as whisper:
        async with shop(tmp_path, transcriber="whisper", transcriber_url=whisper.url) as (store, simulator, _):
            person = simulator.add_person("Ana")
            await simulator.send_file(
                person.id, FASHION, made.OPUS, filename="voice.ogg", mime_type="audio/ogg", voice=True
            )
            (event,) = await told(store, simulator)
            assert event.words == "Quero um vestido vermelho."
        assert made.OPUS in whisper.heard[0].body


@pytest.mark.parametrize(("mode", "uploaded"), [("upload", True), ("auto", False)])
async def test_a_product_picture_goes_out_as_an_upload_when_it_is_said_and_as_a_link_to_the_simulator_else(
    tmp_path: Path, mode: str, uploaded: bool
) -> None:
    async with shop(tmp_path, whatsapp_media=mode) as (store, simulator, _):
        person = simulator.add_person("Ana")
        await simulator.say(person.id, FASHION, "oi")
        assert person.wa_id is not None
        async with asyncio.timeout(30):
            while len(simulator.bubbles(person.id, FASHION)) < 2:  # until Luna has greeted: she may write now
                await asyncio.sleep(0.02)
        found = await store.runtime.call(SearchProducts(brand="fashion", text="vestido", limit=1), Principal())
        link = f"/media/products/{found.hits[0].product.id}.png"
        for number in (1, 2):
            await store.runtime.publish(
                WhatsAppMessageSend(
                    send_id=f"picture-{number}", conversation_id=ConversationId("pictures"),
                    customer_id=CustomerId("pictures"), number=number, phone_number_id=FASHION, to=person.wa_id,
                    content=OutImage(link=link, caption="Olha só"),
                )
            )  # fmt: skip
        shown: list[str] = []
        async with asyncio.timeout(30):
            while len(shown) < 2:
                await simulator.idle()
                await store.runtime.settle()
                shown = [
                    one.image for one in simulator.bubbles(person.id, FASHION) if one.image and one.text == "Olha só"
                ]
                await asyncio.sleep(0.02)
        if uploaded:
            assert len(set(shown)) == 1, "the second goes out with the id of the first"
            assert "/simulator/api/media/" in shown[0]
        else:
            assert set(shown) == {f"{store.url}{link}"}


async def test_the_pages_process_shows_what_the_gateways_process_has_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes that share a place for media: the one asks the other what a key is."""
    monkeypatch.setenv("K_SINK", "http://127.0.0.1:9/")
    path, data = tmp_path / "directory.yaml", tmp_path / "data"
    put(path, directory_text(brand("fashion", FASHION), services={}))

    def settings() -> Settings:
        return load(
            {"AGENT_STORE_DATA": str(data), "AGENT_STORE_BUS": "knative", "AGENT_STORE_DIRECTORY": str(path),
             "AGENT_STORE_STAFF_TOKEN": "staff-token-of-the-tests", "AGENT_STORE_WHATSAPP_GRAPH_URL": "http://127.0.0.1:9"}
        )  # fmt: skip

    gateway = ServedProcess(settings(), ["whatsapp"])
    async with serving(gateway.door()) as url:
        services = {"whatsapp-gateway": {"url": url, "consumers": ["whatsapp"]}}
        put(path, directory_text(brand("fashion", FASHION), services=services))
        await gateway.start()
        pages = ServedProcess(settings(), ["assistant"])
        await pages.start()
        try:
            due = WhatsAppMediaDue(
                wamid="wamid.1", phone_number_id=FASHION, sender="5511", kind="image", media=InboundMedia(id="1")
            )
            key = key_of(due.wamid)

            async def keep(tx: Context) -> None:
                media = tx.get(Media)
                await media.begin(due, tx.now())
                until = tx.now() + timedelta(days=1)
                await media.keep("wamid.1", key=key, mime_type="image/png", sha256="", bytes=1, until=until)

            await gateway.runtime.transact("whatsapp", keep)
            await DiskStore(data / "media").put(key, made.png(), "image/png")
            async with serving(pages.door()) as front, httpx.AsyncClient(trust_env=False, timeout=30) as client:
                for at in (front, url):
                    answer = await client.get(f"{at}/media/whatsapp/{key}", headers=STAFF)
                    assert (answer.status_code, answer.content) == (200, made.png())
                    assert (await client.get(f"{at}/media/whatsapp/{key}")).status_code == 401
                    assert (await client.get(f"{at}/media/whatsapp/{'0' * 64}", headers=STAFF)).status_code == 404
        finally:
            await pages.stop()
            await gateway.stop()
