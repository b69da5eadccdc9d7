"""The payment page over HTTP: what a customer's browser gets, and what it must never do."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI

from agent_store.agents.payments.api import router
from agent_store.agents.payments.texts import TEXTS
from agent_store.contracts.common import Language
from agent_store.contracts.payments import CardSubmitted, PaymentFailed, PaymentSucceeded
from tests.agents.test_payments import Till, slow_till


@asynccontextmanager
async def browser(till: Till) -> AsyncGenerator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(router(till.store.runtime))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://shop.test") as client:
        yield client


def form(till: Till, code: str, attempt: int = 1) -> dict[str, str]:
    return {"t": till.token, "code": code, "attempt": str(attempt)}


def path(till: Till) -> str:
    return f"/pay/{till.link.payment_id}"


async def test_the_page_shows_what_is_to_be_paid_and_the_test_cards() -> None:
    async with Till() as till, browser(till) as client:
        await till.ask()
        answer = await client.get(till.link.link)
        assert answer.status_code == 200
        for word in ("Moda Aurora", "AS-O1", "R$ 123,45", "30:00", "4242", "1111", "2222", "3333", 'lang="pt-BR"'):
            assert word in answer.text
        assert '<input type="text"' not in answer.text  # there is no place to type a card number into


@pytest.mark.parametrize("language", ["pt", "en", "es"])
async def test_the_page_speaks_the_payments_language(language: Language) -> None:
    async with Till() as till, browser(till) as client:
        await till.ask(language=language)
        text = TEXTS[language]
        answer = await client.get(till.link.link)
        assert text["or_card"] in answer.text
        assert text["pix_title"] in answer.text
        assert f'<html lang="{text["lang"]}">' in answer.text


def test_every_text_stands_in_every_language() -> None:
    keys = {language: set(texts) for language, texts in TEXTS.items()}
    assert keys["pt"] == keys["en"] == keys["es"]
    assert all(text.strip() for texts in TEXTS.values() for text in texts.values())


async def test_the_answer_is_private_and_runs_nothing_but_its_own_script() -> None:
    async with Till() as till, browser(till) as client:
        await till.ask()
        for answer in (
            await client.get(till.link.link),
            await client.get(f"{path(till)}/status", params={"t": till.token}),
            await client.post(path(till), data=form(till, "1111")),
        ):
            headers = answer.headers
            assert headers["cache-control"] == "no-store"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in headers["content-security-policy"]
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
        first, second = await client.get(till.link.link), await client.get(till.link.link)
        (nonce,) = set(re.findall(r'nonce="([^"]+)"', first.text))
        assert f"'nonce-{nonce}'" in first.headers["content-security-policy"]
        assert nonce not in second.text
        assert " style=" not in first.text
        assert " onclick=" not in first.text


async def test_paying_shows_the_outcome_on_the_same_page() -> None:
    async with Till() as till, browser(till) as client:
        await till.ask()
        answer = await client.post(path(till), data=form(till, "4242"))
        assert answer.status_code == 303
        await till.store.settle()
        page = await client.get(path(till) + answer.headers["location"])
        assert "Pagamento aprovado!" in page.text
        assert "<form" not in page.text
        assert len(till.store.events(PaymentSucceeded)) == 1


async def test_a_failed_card_is_explained_with_ways_out_and_can_be_tried_anew() -> None:
    async with Till() as till, browser(till) as client:
        await till.ask()
        await client.post(path(till), data=form(till, "1111"))
        await till.store.settle()
        page = await client.get(till.link.link)
        assert TEXTS["pt"]["insufficient_funds"] in page.text
        assert TEXTS["pt"]["check_limit"] in page.text
        assert TEXTS["pt"]["pay_on_page"] not in page.text
        assert 'name="attempt" value="2"' in page.text
        await client.post(path(till), data=form(till, "4242", 2))
        await till.store.settle()
        assert len(till.store.events(PaymentSucceeded)) == 1


async def test_a_form_that_is_sent_twice_pays_once() -> None:
    async with Till() as till, browser(till) as client:
        await till.ask()
        for _ in range(3):
            assert (await client.post(path(till), data=form(till, "1111"))).status_code == 303
            await till.store.settle()
        other = await client.post(path(till), data=form(till, "4242"))
        assert other.headers["location"].endswith("n=late")
        await till.store.settle()
        assert len(till.store.events(PaymentFailed)) == 1
        assert till.store.events(PaymentSucceeded) == []


async def test_while_a_charge_runs_the_page_waits_and_offers_nothing() -> None:
    till, provider = await slow_till()
    async with till, browser(till) as client:
        await till.ask()
        await client.post(path(till), data=form(till, "4242"))
        await provider.asked.wait()
        page = await client.get(till.link.link)
        assert TEXTS["pt"]["processing"] in page.text
        assert "<form" not in page.text
        assert '<meta http-equiv="refresh"' in page.text
        again = await client.post(path(till), data=form(till, "4242", 2))
        assert again.status_code == 303
        status = (await client.get(f"{path(till)}/status", params={"t": till.token})).json()
        assert status["state"] == "processing"
        provider.go.set()
        await till.store.settle()
        status = (await client.get(f"{path(till)}/status", params={"t": till.token})).json()
        assert (status["state"], status["attempts"]) == ("paid", 1)
        assert len(await till.mock.captures()) == 1


async def test_a_link_that_has_expired_says_so_also_before_its_timer_did() -> None:
    async with Till() as till, browser(till) as client:
        await till.ask()
        till.clock.move(timedelta(minutes=31))
        for _ in range(2):
            page = await client.get(till.link.link)
            assert TEXTS["pt"]["expired"] in page.text
            assert "<form" not in page.text
            status = (await client.get(f"{path(till)}/status", params={"t": till.token})).json()
            assert status["state"] == "expired"
            await till.store.move(timedelta(seconds=1))


@pytest.mark.parametrize("code", ["4111111111111111", "42", "9999", "４２４２", "<i>x</i>"])
async def test_anything_but_a_test_code_is_refused_and_stored_nowhere(code: str) -> None:
    async with Till() as till, browser(till) as client:
        await till.ask()
        answer = await client.post(path(till), data=form(till, code))
        assert answer.headers["location"].endswith("n=code")
        page = await client.get(till.link.link, params={"t": till.token, "n": "code"})
        assert TEXTS["pt"]["note_code"] in page.text
        assert "<i>" not in page.text
        assert till.store.events(CardSubmitted) == []
        assert all(b"4111111111111111" not in envelope.data for envelope in till.store.envelopes)
        assert await till.mock.journal() == []


@pytest.mark.parametrize(
    ("wish", "language"), [("es-MX,es;q=0.9", "es"), ("pt-BR", "pt"), ("fr, en;q=0.5", "en"), ("fr", "pt"), ("", "pt")]
)
async def test_a_page_without_a_payment_speaks_what_the_browser_likes_best(wish: str, language: Language) -> None:
    async with Till() as till, browser(till) as client:
        answer = await client.get("/pay/unknown", headers={"accept-language": wish})
        assert TEXTS[language]["unknown"] in answer.text


async def test_a_wrong_token_is_as_good_as_no_payment() -> None:
    async with Till() as till, browser(till) as client:
        await till.ask()
        for url in (f"{path(till)}?t=wrong", f"{path(till)}", "/pay/unknown?t=x"):
            answer = await client.get(url, headers={"accept-language": "en-US,en;q=0.9"})
            assert answer.status_code == 404
            assert "Link not valid" in answer.text
            assert "R$" not in answer.text
        answer = await client.post(path(till), data={**form(till, "4242"), "t": "wrong"})
        assert answer.status_code == 404
        answer = await client.get(f"{path(till)}/status?t=wrong")
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
        assert await till.mock.journal() == []


async def test_what_comes_from_outside_is_escaped() -> None:
    async with Till() as till, browser(till) as client:
        await till.ask('"><script>')
        page = await client.get(till.link.link, params={"t": till.token, "n": "<script>"})
        assert 'AS-"><SCRIPT>' not in page.text
        assert "&lt;SCRIPT&gt;" in page.text
