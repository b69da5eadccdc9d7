"""`/simulator` in a real browser: write, tap, pick from a list, be somebody else; on a desk and on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.simulator_server import TOKEN

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def server(serve: Callable[..., str], tmp_path: Path) -> str:
    return serve("tests.browser.simulator_server", str(tmp_path))


def opened(browser: Browser, server: str, width: int = 1280, height: int = 860) -> Page:
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(f"{server}/simulator?token={TOKEN}")
    expect(page).to_have_url(f"{server}/simulator")
    return page


def test_without_the_token_the_page_is_closed(browser: Browser, server: str) -> None:
    page = browser.new_page()
    for address in ("/simulator", "/simulator?token=wrong"):
        answer = page.goto(f"{server}{address}")
        assert answer is not None
        assert answer.status == 401
        expect(page.get_by_role("heading")).to_have_text("This page is for staff")


@pytest.mark.parametrize(("width", "height"), [(1280, 860), (390, 844)])
def test_a_chat_from_the_first_word_to_a_pick_from_a_list(
    browser: Browser, server: str, width: int, height: int
) -> None:
    page = opened(browser, server, width, height)
    page.locator(".sim-chat", has_text="Moda").click()
    expect(page.locator(".sim-bar")).to_contain_text("Luna · +55 11 3000-0001")
    box = page.get_by_label("Message", exact=True)
    box.fill("Quero um vestido")
    box.press("Enter")
    expect(box).to_have_value("")
    mine = page.locator(".sim-row.mine")
    expect(mine).to_contain_text("Quero um vestido")
    picture = page.locator(".sim-bubble img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
    expect(page.locator(".sim-bubble.picture")).to_contain_text("Vestido Aurora")
    expect(mine.locator("[aria-label=read]")).to_be_visible()

    page.get_by_role("button", name="Tamanhos", exact=True).click()
    expect(mine.last).to_contain_text("Tamanhos")
    page.get_by_role("button", name="Ver tamanhos").click()
    page.locator(".sim-sheet").get_by_role("button", name="Tamanho M").click()
    answer = page.locator(".sim-row:not(.mine)").last
    expect(answer.locator("b")).to_have_text("Tamanho M")
    expect(answer).to_contain_text("<script>alert(1)</script>")
    assert answer.locator("script").count() == 0
    expect(answer).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_news_of_another_chat_show_at_once_and_count_as_unread(browser: Browser, server: str) -> None:
    page = opened(browser, server)
    expect(page.locator(".sim-chat").first).to_contain_text("Moda")
    for text in ("Seu pedido saiu!", "Chega amanhã."):
        httpx.post(f"{server}/speak", params={"text": text}).raise_for_status()
    first = page.locator(".sim-chat").first
    expect(first).to_contain_text("Livros")
    expect(first).to_contain_text("Chega amanhã.")
    expect(first.locator("i")).to_have_text("2")
    first.click()
    expect(page.locator(".sim-row")).to_have_count(2)
    page.get_by_role("button", name="Back to the chats").click()
    expect(first.locator("i")).to_have_count(0)


def test_another_customer_has_chats_of_their_own_and_may_hide_the_number(browser: Browser, server: str) -> None:
    page = opened(browser, server, 390, 844)
    page.get_by_role("button", name="Write as another customer").click()
    page.locator(".sim-sheet").get_by_text("Another customer").click()
    page.get_by_label("Name").fill("Zilda <b>")
    page.locator(".sim-sheet").get_by_text("Shows a phone number").click()
    page.locator(".sim-sheet").get_by_role("button", name="Add").click()
    expect(page.locator(".sim-bar")).to_contain_text("Zilda <b>")
    page.locator(".sim-chat", has_text="Livros").click()
    page.locator(".sim-flow").get_by_text("Oi! Tem gibis?").click()
    expect(page.locator(".sim-row.mine")).to_contain_text("Oi! Tem gibis?")
    expect(page.get_by_role("button", name="Tamanhos", exact=True)).to_be_visible()
    page.reload()
    page.get_by_role("button", name="Write as another customer").click()
    zilda = page.locator(".sim-sheet .sim-rowitem", has_text="Zilda")
    expect(zilda).to_contain_text(re.compile(r"no number · BR\.\d+"))
    zilda.click()
    expect(page.locator(".sim-chat", has_text="Livros")).not_to_contain_text("Say hello")
