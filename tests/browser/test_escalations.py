"""`/escalations` in a real browser: the queue, claim, word and hand-back, on a desk and on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.escalations_server import TOKEN
from tests.browser.pictures import shot

HEADERS = {"Authorization": f"Bearer {TOKEN}"}

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def server(serve: Callable[..., str]) -> str:
    return serve("tests.browser.escalations_server")


def opened(browser: Browser, server: str, width: int = 1200) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 780}, extra_http_headers=HEADERS)
    page.goto(f"{server}/escalations")
    return page


def test_a_person_claims_writes_reads_and_hands_back(browser: Browser, server: str) -> None:
    page = opened(browser, server)
    items = page.locator(".item")
    expect(items).to_have_count(3)
    expect(items.nth(0)).to_contain_text("upset")
    expect(items.nth(0)).to_contain_text(re.compile(r"5\d min"))
    expect(page.get_by_text("3 waiting")).to_be_visible()

    items.nth(0).click()
    expect(page.locator(".line")).to_have_count(4)
    page.get_by_role("button", name="Claim").click()
    expect(page.get_by_text("Write your name first")).to_be_visible()
    page.get_by_label("Your name").fill("Rui")
    page.get_by_label("Your name").press("Tab")
    page.get_by_role("button", name="Claim").click()
    expect(page.locator(".line.notice").last).to_contain_text("Rui está com você agora")

    box = page.get_by_placeholder("Write to the customer")
    expect(box).to_be_enabled()
    box.fill("Oi Ana, aqui é o Rui.")
    box.press("Enter")
    expect(page.locator(".line.person")).to_contain_text("Oi Ana, aqui é o Rui.")
    expect(box).to_have_value("")

    httpx.post(f"{server}/write", params={"text": "obrigada, Rui", "wa_id": "551"}).raise_for_status()
    expect(page.locator(".line.customer").last).to_contain_text("obrigada, Rui")  # by itself: nobody reloads

    page.get_by_role("button", name="Hand back").click()
    page.locator(".q-dialog").get_by_placeholder("e.g.").fill("refund agreed")
    page.locator(".q-dialog").get_by_role("button", name="Hand back").click()
    expect(items).to_have_count(2)
    expect(page.get_by_text("Choose a conversation.")).to_be_visible()
    expect(page.locator(".line")).to_have_count(0)

    page.reload()
    expect(page.get_by_label("Your name")).to_have_value("Rui")


def test_a_click_that_ends_the_typing_of_the_name_claims(browser: Browser, server: str) -> None:
    page = opened(browser, server)
    page.locator(".item", has_text="human").click()
    page.get_by_label("Your name").fill("Rui")
    page.get_by_role("button", name="Claim").hover()
    page.mouse.down()
    page.wait_for_function("localStorage.getItem('agent-store-person') === 'Rui'")  # the page has heard of the name
    page.mouse.up()
    expect(page.get_by_role("button", name="Hand back")).to_be_visible()


def test_what_another_person_has_is_shown_as_theirs(browser: Browser, server: str) -> None:
    pages = [opened(browser, server), opened(browser, server)]
    for page, name in zip(pages, ("Rui", "Eva"), strict=True):
        page.locator(".item", has_text="human").click()
        page.get_by_label("Your name").fill(name)
        page.get_by_label("Your name").press("Tab")
        expect(page.get_by_role("button", name="Claim")).to_be_visible()
    pages[0].get_by_role("button", name="Claim").click()
    expect(pages[1].locator(".bar")).to_contain_text("with Rui")
    expect(pages[1].get_by_placeholder("Write to the customer")).to_be_hidden()


def test_what_the_customer_sent_is_seen_and_heard(browser: Browser, server: str) -> None:
    page = opened(browser, server)
    httpx.post(f"{server}/send-media", params={"wa_id": "551"}).raise_for_status()
    page.locator(".item", has_text="upset").click()
    photo = page.get_by_alt_text("What the customer sent")
    expect(photo).to_be_visible()
    assert photo.evaluate("image => image.decode().then(() => image.naturalWidth)") == 320
    voice = page.locator("audio")
    heard = """async sound => {
        await sound.play(); sound.pause(); sound.currentTime = 20;
        await new Promise(done => sound.addEventListener("seeked", done, {once: true}));
        return [Math.round(sound.duration), sound.currentTime];
    }"""
    assert voice.evaluate(heard) == [30, 20]
    expect(
        page.get_by_role("link", name="nota fiscal.pdf")
    ).to_be_in_viewport()  # the newest, below a picture that came late
    shot(page, "escalation-media")

    voice.evaluate("sound => { sound.loop = true; return sound.play(); }")
    httpx.post(f"{server}/write", params={"text": "ouviu?", "wa_id": "551"}).raise_for_status()
    expect(page.locator(".line.customer").last).to_contain_text("ouviu?")
    expect(page.locator(".line.customer").last).to_be_in_viewport()
    assert not voice.evaluate("sound => sound.paused"), "it goes on when something new comes"


def test_who_reads_above_is_left_there(browser: Browser, server: str) -> None:
    page = opened(browser, server)
    for turn in range(30):
        httpx.post(f"{server}/write", params={"text": f"alô {turn}", "wa_id": "551"}).raise_for_status()
    page.locator(".item", has_text="upset").click()
    newest = page.locator(".line.customer").last
    expect(newest).to_contain_text("alô 29")
    expect(newest).to_be_in_viewport()
    first = page.get_by_text("oi, tem vestido?")
    first.scroll_into_view_if_needed()
    httpx.post(f"{server}/write", params={"text": "e aí?", "wa_id": "551"}).raise_for_status()
    expect(newest).to_contain_text("e aí?")
    expect(first).to_be_in_viewport()
    expect(newest).not_to_be_in_viewport()


def test_a_phone_shows_the_queue_or_the_conversation(browser: Browser, server: str) -> None:
    page = opened(browser, server, width=390)
    item = page.locator(".item", has_text="hablar")
    item.click()
    expect(page.locator(".queue")).to_be_hidden()
    expect(page.locator(".line.customer").last).to_have_text(re.compile(r"<b>hola</b> <script>alert\(1\)</script>"))
    page.get_by_role("button", name="Back").first.click()
    expect(page.locator(".queue")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_page_is_for_staff(browser: Browser, server: str) -> None:
    page = browser.new_page()
    answer = page.goto(f"{server}/escalations")
    assert answer is not None
    assert answer.status == 401
    expect(page.get_by_text("This page is for staff")).to_be_visible()
    expect(page.locator(".item")).to_have_count(0)
