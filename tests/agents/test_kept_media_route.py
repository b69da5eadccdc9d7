"""`GET /media/whatsapp/<key>`: staff see what customers sent, as what it is, and nobody else does."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from agent_store.adapters.http import problems
from agent_store.adapters.http.auth import COOKIE, StaffAuth
from agent_store.adapters.http.kept_media import kept_media_router
from agent_store.agents.whatsapp.agent import whatsapp
from agent_store.agents.whatsapp.ports import MediaSettings, WhatsAppApi, WhatsAppSettings
from agent_store.contracts.brands import Directory
from agent_store.contracts.whatsapp import WhatsAppMediaReceived
from tests.agents.test_whatsapp import SETTINGS, Brands, Graph
from tests.agents.test_whatsapp_media import due
from tests.support import media as made
from tests.support.media import Platform, Shelf, media_ports
from tests.support.store import TestStore

AUTH = StaffAuth("the-staff-token")
STAFF = {"authorization": "Bearer the-staff-token"}


@asynccontextmanager
async def shop(*contents: bytes) -> AsyncGenerator[tuple[TestStore, httpx.AsyncClient, Shelf]]:
    shelf = Shelf()
    settings = replace(SETTINGS, media=MediaSettings(keep=timedelta(days=3)))
    ports: dict[type[Any], object] = {
        Directory: Brands(), WhatsAppApi: Graph(), WhatsAppSettings: settings, **media_ports(Platform(*contents), shelf),
    }  # fmt: skip
    async with TestStore([whatsapp], ports=ports) as store:
        app = FastAPI()
        problems.install(app)
        app.include_router(kept_media_router(store.runtime, shelf, authorize=AUTH))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
            yield store, client, shelf


async def kept(store: TestStore, kind: Any = "image", filename: str | None = None) -> str:
    await store.publish(due(kind, filename=filename))
    await store.settle()
    return store.events(WhatsAppMediaReceived)[-1].key


async def test_a_picture_is_shown_with_the_type_of_its_content_and_is_nobodys_page() -> None:
    async with shop(made.png()) as (store, client, _):
        answer = await client.get(f"/media/whatsapp/{await kept(store)}", headers=STAFF)
        assert (answer.status_code, answer.content) == (200, made.png())
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-disposition"] == "inline"
        assert answer.headers["cache-control"] == "private, max-age=3600"
        assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("filename", "disposition"),
    [
        ("nota fiscal.pdf", "attachment; filename*=UTF-8''nota%20fiscal.pdf"),
        ('../../a"b\r\nx: y.pdf', "attachment; filename*=UTF-8''abx%20y.pdf"),
        (None, "attachment"),
        ("..", "attachment"),
    ],
)
async def test_a_document_is_saved_and_not_shown(filename: str | None, disposition: str) -> None:
    async with shop(made.PDF) as (store, client, _):
        answer = await client.get(f"/media/whatsapp/{await kept(store, 'document', filename)}", headers=STAFF)
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.headers["content-disposition"] == disposition


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-1", 206, 0, 2),
        ("bytes=2-", 206, 2, None),
        ("bytes=-3", 206, -3, None),
        ("bytes=-999999", 206, 0, None),
        ("Bytes=4-999999", 206, 4, None),
        ("bytes=5-4", 200, 0, None),
        ("bytes=-", 200, 0, None),
        ("bytes=0-1,3-4", 200, 0, None),
        ("seconds=0-1", 200, 0, None),
        ("bytes=" + "9" * 40 + "-", 200, 0, None),
        ("bytes=999999-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
    ],
)
async def test_a_player_gets_the_part_that_it_asks_for(asked: str, status: int, start: int, end: int | None) -> None:
    async with shop(made.OPUS) as (store, client, _):
        address = f"/media/whatsapp/{await kept(store, 'audio')}"
        answer = await client.get(address, headers={**STAFF, "range": asked})
        assert (answer.status_code, answer.content) == (status, made.OPUS[start:end])
        size = len(made.OPUS)
        first = size + start if start < 0 else start
        ranges = {
            200: None, 206: f"bytes {first}-{first + len(answer.content) - 1}/{size}", 416: f"bytes */{size}",
        }  # fmt: skip
        assert answer.headers.get("content-range") == ranges[status]
        assert answer.headers["accept-ranges"] == "bytes"
        with_validator = await client.get(address, headers={**STAFF, "range": asked, "if-range": '"x"'})
        assert (with_validator.status_code, with_validator.content) == (200, made.OPUS)


async def test_a_text_is_no_page() -> None:
    async with shop(made.TEXT) as (store, client, _):
        answer = await client.get(f"/media/whatsapp/{await kept(store, 'document')}", headers=STAFF)
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["content-disposition"] == "attachment"


async def test_only_staff_see_it() -> None:
    async with shop(made.png()) as (store, client, _):
        path = f"/media/whatsapp/{await kept(store)}"
        assert (await client.get(path)).status_code == 401
        assert (await client.get(path, headers={"authorization": "Bearer another"})).status_code == 401
        client.cookies.set(COOKIE, AUTH.cookie_value)  # as a page of the console has it, for its pictures
        assert (await client.get(path)).status_code == 200


async def test_what_is_not_there_or_has_expired_is_not_found() -> None:
    async with shop(made.png()) as (store, client, shelf):
        key = await kept(store)
        for wrong in ("0" * 64, "x", "..%2F..%2Fetc%2Fpasswd", key.upper(), key + "0", "x" * 150, "x" * 500):
            assert (await client.get(f"/media/whatsapp/{wrong}", headers=STAFF)).status_code == 404
        store.clock.move(timedelta(days=2, hours=23, minutes=59))
        answer = await client.get(f"/media/whatsapp/{key}", headers=STAFF)
        assert answer.headers["cache-control"] == "private, max-age=60"
        store.clock.move(timedelta(minutes=1))
        assert (await client.get(f"/media/whatsapp/{key}", headers=STAFF)).status_code == 404
        assert shelf.held  # it goes with the next tick, and is not shown any more before


async def test_what_the_store_of_media_has_lost_is_not_found() -> None:
    async with shop(made.png()) as (store, client, shelf):
        key = await kept(store)
        shelf.held.clear()
        assert (await client.get(f"/media/whatsapp/{key}", headers=STAFF)).status_code == 404
