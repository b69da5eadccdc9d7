"""Media over HTTP against real local servers that answer well, badly, late, too much or not at all."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from email.parser import BytesParser
from typing import Any

import pytest

from agent_store.adapters.whatsapp.media import GraphMedia
from agent_store.adapters.whatsapp.pictures import WebPictures
from agent_store.agents.whatsapp import pictures
from agent_store.agents.whatsapp.ports import MediaRefused, WhatsAppSettings
from agent_store.kernel.errors import NotFound, PermanentError, TemporaryError
from tests.support import media as made
from tests.support.plain_http import (
    Answer,
    Heard,
    PlainServer,
    answers,
    hang_up,
    plain_server,
    silence,
    trickle,
    without_end,
)

TOKEN = "token-that-nobody-may-see"
NUMBER = "219870000000001"
CONTENT = made.png(9, 9)
LIMIT = 50_000
LONG = timedelta(seconds=30)


def settings(url: str, patience: timedelta = LONG) -> WhatsAppSettings:
    return WhatsAppSettings(
        app_secret="s", verify_token="v", access_token=TOKEN, graph_url=url, public_url="http://shop",
        send_timeout=patience, connect_timeout=LONG,
    )  # fmt: skip


@asynccontextmanager
async def platform(
    file: Answer | None = None, *, url: str = "", patience: timedelta = LONG, timeout: timedelta = LONG, **told: Any
) -> AsyncGenerator[tuple[GraphMedia, PlainServer]]:
    """A Graph API that names `<its own address>/file` (or `url`) for every medium, with what is `told` of it."""
    async with plain_server(file=file or answers(CONTENT)) as server:
        place = {
            "messaging_product": "whatsapp", "url": url or f"{server.url}/file", "mime_type": "image/png",
            "sha256": hashlib.sha256(CONTENT).hexdigest(), "file_size": len(CONTENT), "id": "7001", **told,
        }  # fmt: skip
        server.routes["/v23.0/7001"] = answers({name: value for name, value in place.items() if value is not None})
        async with GraphMedia(settings(server.url, patience), timeout=timeout) as api:
            yield api, server


def fault(code: int, status: int = 400, message: str = "(#100) no") -> Answer:
    return answers({"error": {"message": message, "code": code, "fbtrace_id": "A1"}}, status)


# --- download --------------------------------------------------------------------------------------------------------


async def test_a_medium_is_downloaded_in_two_steps_with_the_token() -> None:
    async with platform() as (api, server):
        assert await api.download("7001", LIMIT) == CONTENT
    ask, fetch = server.heard
    assert (ask.method, ask.target) == ("GET", "/v23.0/7001")
    assert (fetch.method, fetch.target) == ("GET", "/file")
    assert ask.headers["authorization"] == fetch.headers["authorization"] == f"Bearer {TOKEN}"
    assert fetch.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "told",
    [
        {"sha256": base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()},
        {"sha256": None},
        {"sha256": "?", "file_size": str(len(CONTENT))},
        {"sha256": None, "file_size": None},
    ],
    ids=["base64", "no hash", "odd hash", "nothing"],
)
async def test_a_hash_is_compared_when_there_is_one(told: dict[str, Any]) -> None:
    async with platform(**told) as (api, _):
        assert await api.download("7001", LIMIT) == CONTENT


@pytest.mark.parametrize("told", [{"sha256": "0" * 64}, {"sha256": None, "file_size": len(CONTENT) + 1}])
async def test_what_is_not_what_was_told_is_not_taken(told: dict[str, Any]) -> None:
    async with platform(**told) as (api, _):
        with pytest.raises(TemporaryError) as failure:
            await api.download("7001", LIMIT)
    assert failure.value.details["problem"] == "unreadable"
    assert not failure.value.away


async def test_what_is_said_to_be_too_large_is_not_even_fetched() -> None:
    async with platform(file_size=LIMIT + 1) as (api, server):
        with pytest.raises(MediaRefused) as refusal:
            await api.download("7001", LIMIT)
    assert refusal.value.problem == "too_large"
    assert len(server.heard) == 1


@pytest.mark.parametrize(
    "file",
    [answers(b"x" * (LIMIT + 1)), without_end, answers(b"x", content_length=str(10**9))],
    ids=["told", "untold", "lie"],
)
async def test_what_is_larger_than_it_was_said_to_be_is_not_read_to_its_end(file: Answer) -> None:
    async with platform(file, sha256=None, file_size=None) as (api, _):
        with pytest.raises(MediaRefused) as refusal:
            await api.download("7001", LIMIT)
    assert refusal.value.problem == "too_large"


@pytest.mark.parametrize(
    "file",
    [hang_up, answers(b"half", content_length="8"), answers(b"", content_length="500")],
    ids=["at once", "half", "head"],
)
async def test_an_answer_that_breaks_off_may_come_whole_the_next_time(file: Answer) -> None:
    async with platform(file, sha256=None, file_size=None) as (api, _):
        with pytest.raises(TemporaryError) as failure:
            await api.download("7001", LIMIT)
    assert not failure.value.away


@pytest.mark.parametrize("file", [silence, trickle])
async def test_an_answer_that_does_not_end_is_ended(file: Answer) -> None:
    started = time.perf_counter()
    async with platform(file, timeout=timedelta(seconds=0.5), sha256=None, file_size=None) as (api, server):
        with pytest.raises(TemporaryError) as failure:
            await api.download("7001", LIMIT)
    assert time.perf_counter() - started < 15, "silence lasts a minute, and a trickle twenty seconds"
    assert len(server.heard) <= 2, "asked once"
    assert not failure.value.away


async def test_a_redirect_is_not_followed_and_the_token_stays_here() -> None:
    async with plain_server() as elsewhere:
        redirect = answers(status=302, location=f"{elsewhere.url}/secret")
        async with platform(redirect) as (api, _):
            with pytest.raises(MediaRefused) as refusal:
                await api.download("7001", LIMIT)
    assert refusal.value.problem == "unsafe"
    assert not elsewhere.heard


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0"])
async def test_an_address_in_our_own_network_is_not_called(host: str) -> None:
    async with plain_server(file=answers(CONTENT)) as elsewhere:
        for scheme in ("http", "https"):
            async with platform(url=f"{scheme}://{host}:{elsewhere.port}/file") as (api, _):
                with pytest.raises(MediaRefused) as refusal:
                    await api.download("7001", LIMIT)
                assert refusal.value.problem == "unsafe"
    assert not elsewhere.heard


async def test_a_name_that_is_allowed_and_leads_into_our_own_network_is_not_called() -> None:
    async def to_loopback(host: str) -> list[str]:
        return ["127.0.0.1"]

    async with plain_server() as server:
        server.routes["/v23.0/7001"] = answers({"url": "https://lookaside.fbsbx.com/x"})
        async with GraphMedia(settings(server.url), resolve=to_loopback) as api:
            with pytest.raises(MediaRefused) as refusal:
                await api.download("7001", LIMIT)
    assert refusal.value.problem == "unsafe"


async def test_an_address_that_has_grown_old_is_asked_for_once_more() -> None:
    calls = 0

    async def file(heard: Heard, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        await (answers(status=404) if calls == 1 else answers(CONTENT))(heard, writer)

    async with platform(file) as (api, server):
        assert await api.download("7001", LIMIT) == CONTENT
    assert [heard.target for heard in server.heard] == ["/v23.0/7001", "/file"] * 2


async def test_a_medium_that_is_not_there_any_more_is_gone() -> None:
    for file, answer in (
        (answers(status=404), None),
        (None, fault(100, message="Unsupported get request. Object with ID '7001' does not exist")),
        (None, answers(status=404)),
        (None, fault(131052)),
    ):
        async with platform(file) as (api, server):
            if answer is not None:
                server.routes["/v23.0/7001"] = answer
            with pytest.raises(MediaRefused) as refusal:
                await api.download("7001", LIMIT)
            assert refusal.value.problem == "gone"


async def test_an_id_is_no_path() -> None:
    async with platform() as (api, server):
        for id in ("../../me", "7001/x", "7001?fields=x", ""):
            with pytest.raises(MediaRefused):
                await api.download(id, LIMIT)
    assert not server.heard


@pytest.mark.parametrize(
    "answer", [fault(190, 401), fault(130429, 429), fault(2, 500), answers(status=503), silence, hang_up]
)
async def test_a_platform_that_is_away_says_nothing_of_the_medium(answer: Answer) -> None:
    async with platform(patience=timedelta(milliseconds=400)) as (api, server):
        server.routes["/v23.0/7001"] = answer
        with pytest.raises(TemporaryError) as failure:
            await api.download("7001", LIMIT)
    assert failure.value.away
    assert TOKEN not in str(failure.value)


@pytest.mark.parametrize("answer", [answers(b"<html>"), answers({"id": "7001"}), answers({"url": 5}), answers([1])])
async def test_an_answer_without_an_address_may_be_better_the_next_time(answer: Answer) -> None:
    async with platform() as (api, server):
        server.routes["/v23.0/7001"] = answer
        with pytest.raises(TemporaryError):
            await api.download("7001", LIMIT)


@pytest.mark.parametrize("status", [401, 403, 429, 500])
async def test_a_media_host_that_refuses_for_now_is_asked_again_later(status: int) -> None:
    async with platform(answers(status=status)) as (api, _):
        with pytest.raises(TemporaryError) as failure:
            await api.download("7001", LIMIT)
    assert failure.value.away


async def test_a_compressed_file_is_unreadable() -> None:
    async with platform(answers(CONTENT, content_encoding="gzip")) as (api, _):
        with pytest.raises(MediaRefused) as refusal:
            await api.download("7001", LIMIT)
    assert refusal.value.problem == "unreadable"


# --- upload ----------------------------------------------------------------------------------------------------------


async def test_an_upload_is_one_form_with_file_type_and_product() -> None:
    async with platform() as (api, server):
        server.routes[f"/v23.0/{NUMBER}/media"] = answers({"id": "900100"})
        assert await api.upload(NUMBER, CONTENT, "image/png", "picture.png") == "900100"
    (heard,) = server.heard
    assert heard.method == "POST"
    assert heard.headers["authorization"] == f"Bearer {TOKEN}"
    form = BytesParser().parsebytes(f"content-type: {heard.headers['content-type']}\r\n\r\n".encode() + heard.body)
    parts = {str(part.get_param("name", header="content-disposition")): part for part in form.get_payload()}  # type: ignore[union-attr]
    assert parts["messaging_product"].get_payload() == "whatsapp"  # type: ignore[union-attr]
    assert parts["type"].get_payload() == "image/png"  # type: ignore[union-attr]
    assert parts["file"].get_content_type() == "image/png"  # type: ignore[union-attr]
    assert parts["file"].get_payload(decode=True) == CONTENT  # type: ignore[union-attr]


async def test_an_upload_that_is_refused_says_why_and_one_that_fails_may_be_tried_again() -> None:
    async with platform() as (api, server):
        path = f"/v23.0/{NUMBER}/media"
        server.routes[path] = fault(100, message="(#100) Param file must be a file of another type")
        with pytest.raises(PermanentError, match="another type"):
            await api.upload(NUMBER, CONTENT, "image/png", "picture.png")
        for answer in (fault(131016, 500), fault(190, 401), fault(80007), hang_up, answers({})):
            server.routes[path] = answer
            with pytest.raises(TemporaryError):
                await api.upload(NUMBER, CONTENT, "image/png", "picture.png")


# --- pictures --------------------------------------------------------------------------------------------------------


async def test_the_stores_own_pictures_are_fetched_from_where_the_store_is_without_a_token() -> None:
    async with plain_server(media=answers(CONTENT)) as shop:
        port = WebPictures(shop.url)
        assert await port.fetch(f"{shop.url}/media/caneca.png", LIMIT) == CONTENT
        with pytest.raises(NotFound):
            await port.fetch(f"{shop.url}/none", LIMIT)
        shop.routes["/media"] = answers(status=503)
        with pytest.raises(TemporaryError):
            await port.fetch(f"{shop.url}/media/caneca.png", LIMIT)
        shop.routes["/media"] = answers(b"x" * 11)
        with pytest.raises(MediaRefused):
            await port.fetch(f"{shop.url}/media/caneca.png", 10)
        await port.close()
        assert all("authorization" not in heard.headers for heard in shop.heard)


async def test_another_sites_picture_is_not_fetched_from_our_own_network() -> None:
    async with plain_server(secret=answers(CONTENT)) as inside:
        port = WebPictures("http://shop")
        with pytest.raises(MediaRefused):
            await port.fetch(f"{inside.url}/secret", LIMIT)
        await port.close()
        assert not inside.heard


@pytest.mark.parametrize(
    ("content", "mime_type"),
    [(made.GIF, "image/gif"), (made.WEBP, "image/webp"), (made.png(40, 20, depth=16), "image/png"), (made.png(40, 20, colour=3), "image/png")],
    ids=["gif", "webp", "16 bits", "palette"],
)  # fmt: skip
async def test_a_picture_is_drawn_anew_in_the_form_that_whatsapp_takes(content: bytes, mime_type: str) -> None:
    port = WebPictures("http://shop")
    drawn = await port.as_png(content, mime_type, 20, 10)
    assert pictures.look(drawn) == pictures.Look("image/png", 20, 10, plain=True)
