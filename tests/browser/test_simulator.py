"""`/simulator` in a real browser, driven as a customer would: on a desk and on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.fake_phone import PIX
from tests.browser.simulator_server import TOKEN, tone

pytestmark = pytest.mark.timeout(180)

DESK, PHONE = (1280, 800), (390, 844)
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360d8d0f01f00050202803c97a6b2"
    "0000000049454e44ae426082"
)


class Store:
    """The other side of the page, as the test moves it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def put(self, kind: str, text: str = "", **more: Any) -> str:
        answer = httpx.post(f"{self.url}/put", json={"kind": kind, "text": text, **more})
        answer.raise_for_status()
        return answer.json()

    def change(self, wamid: str, **values: Any) -> None:
        httpx.post(f"{self.url}/change/{wamid}", json=values).raise_for_status()

    def typing(self, on: bool) -> None:
        httpx.post(f"{self.url}/typing", params={"on": on}).raise_for_status()

    def told(self) -> dict[str, Any]:
        return httpx.get(f"{self.url}/told").json()


@pytest.fixture(scope="module")
def address(serve: Callable[..., str]) -> str:
    return serve("tests.browser.simulator_server")


@pytest.fixture
def store(address: str, browser: Browser) -> Iterator[Store]:
    httpx.post(f"{address}/reset").raise_for_status()
    yield Store(address)
    for context in browser.contexts:
        context.close()


def opened(browser: Browser, store: Store, size: tuple[int, int] = DESK) -> Page:
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(f"{store.url}/simulator?token={TOKEN}")
    expect(page).to_have_url(f"{store.url}/simulator")
    return page


def chatting(browser: Browser, store: Store, size: tuple[int, int] = DESK) -> Page:
    page = opened(browser, store, size)
    page.locator(".sim-chat", has_text="Moda").click()
    expect(page.locator(".sim-bar .title")).to_contain_text("Luna · +55 11 3000-0001")
    return page


def composer(page: Page) -> Locator:
    """Where one writes; a message's own menu, while it is open, is called "Message" too."""
    return page.get_by_role("textbox", name="Message", exact=True)


def say(page: Page, text: str) -> None:
    box = composer(page)
    box.fill(text)
    box.press("Enter")
    expect(box).to_have_value("")


def mine(page: Page) -> Locator:
    return page.locator(".sim-row.mine").last


def theirs(page: Page) -> Locator:
    return page.locator(".sim-row.theirs").last


def menu(page: Page, row: Locator, item: str) -> None:
    row.locator(".sim-bubble").click(button="right", position={"x": 8, "y": 8})
    page.locator(".sim-sheet").get_by_role("button", name=item).click()


def test_without_the_token_the_page_is_closed(browser: Browser, store: Store) -> None:
    page = browser.new_page()
    for address in ("/simulator", "/simulator?token=wrong"):
        answer = page.goto(f"{store.url}{address}")
        assert answer is not None
        assert answer.status == 401
        expect(page.get_by_role("heading")).to_have_text("This page is for staff")


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_a_chat_from_the_first_word_to_a_pick_from_a_list(
    browser: Browser, store: Store, size: tuple[int, int]
) -> None:
    page = chatting(browser, store, size)
    say(page, "Quero um vestido")
    picture = page.locator(".sim-row.image img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
    expect(page.locator(".sim-row.image")).to_contain_text("Vestido Aurora")
    expect(page.locator(".sim-row.mine [aria-label=read]")).to_be_visible()

    page.get_by_role("button", name="Pimenta", exact=True).click()
    expect(mine(page)).to_contain_text("Pimenta")
    expect(theirs(page).locator(".words b")).to_have_text("Pimenta")
    expect(theirs(page)).to_contain_text("<script>alert(1)</script>")
    assert theirs(page).locator("script").count() == 0

    say(page, "Tamanhos")
    page.get_by_role("button", name="Ver tamanhos").click()
    sheet = page.get_by_role("dialog")
    expect(sheet.get_by_role("heading", name="Médios e grandes")).to_be_visible()
    sheet.get_by_role("button", name="Tamanho M").click()
    expect(theirs(page).locator(".words b")).to_have_text("Tamanho M")
    expect(theirs(page)).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_on_a_phone_one_sees_the_chats_or_one_chat(browser: Browser, store: Store) -> None:
    page = chatting(browser, store, PHONE)
    expect(page.locator(".sim-side")).to_be_hidden()
    page.get_by_role("button", name="Back to the chats").click()
    expect(page.locator(".sim-side")).to_be_visible()
    expect(page.locator(".sim-phone")).to_be_hidden()


def test_on_a_desk_chats_stand_beside_the_open_one(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    page.locator(".sim-chat", has_text="Livros").click()
    expect(page.locator(".sim-bar .title")).to_contain_text("Livros")
    expect(page.locator(".sim-chat.on")).to_contain_text("Livros")


def test_shift_and_enter_begin_a_new_line_and_a_draft_waits_in_its_chat(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    box = composer(page)
    box.press_sequentially("um")
    box.press("Shift+Enter")
    box.press_sequentially("dois")
    page.locator(".sim-chat", has_text="Livros").click()
    expect(box).to_have_value("")
    page.locator(".sim-chat", has_text="Moda").click()
    expect(box).to_have_value("um\ndois")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(mine(page).locator(".words")).to_have_text("um\ndois", use_inner_text=True)


def test_marks_of_whatsapp_are_shown_and_markup_is_text(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    store.put("text", "*forte* _leve_ ~fora~ ```código``` <img src=x onerror=alert(1)> https://loja.example/a_b_c")
    row = theirs(page)
    for tag, text in (("b", "forte"), ("i", "leve"), ("s", "fora"), ("code", "código")):
        expect(row.locator(f".words {tag}")).to_have_text(text)
    expect(row.locator(".words a")).to_have_attribute("href", "https://loja.example/a_b_c")
    expect(row.locator(".preview")).to_contain_text("loja.example")
    assert row.locator("img").count() == 0


def test_news_of_another_chat_show_at_once_and_count_as_unread(browser: Browser, store: Store) -> None:
    page = opened(browser, store)
    store.put("text", "Oi de antes", number="1")
    page.locator(".sim-chat", has_text="Moda").click()
    for text in ("Seu pedido saiu!", "Chega amanhã."):
        store.put("text", text, number="2")
    first = page.locator(".sim-chat").first
    expect(first).to_contain_text("Livros")
    expect(first).to_contain_text("Chega amanhã.")
    expect(first.locator(".unread")).to_have_text("2")
    first.click()
    expect(page.locator(".sim-row")).to_have_count(2)
    expect(first.locator(".unread")).to_have_count(0)


def test_typing_is_shown_and_ends(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    store.typing(True)
    expect(page.locator(".sim-row.typing")).to_be_visible()
    expect(page.locator(".sim-bar .title")).to_contain_text("typing…")
    store.typing(False)
    expect(page.locator(".sim-row.typing")).to_have_count(0)


def test_ticks_go_from_sent_to_read(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    wamid = store.put("text", "Oi", mine=True, status="sent")
    for status in ("sent", "delivered", "read"):
        store.change(wamid, status=status)
        expect(mine(page).locator(f"[aria-label={status}]")).to_be_visible()


def test_a_failed_message_tells_why_on_a_tap(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    store.put("text", "Oi!", status="failed", error="Re-engagement message", error_code=131047)
    page.get_by_role("button", name="Not delivered (131047)").click()
    expect(page.get_by_role("dialog")).to_contain_text("Re-engagement message")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_reply_quotes_and_a_tap_on_the_quote_goes_there(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    store.put("text", "A primeira de muitas")
    for turn in range(30):
        store.put("text", f"mensagem {turn}")
    expect(theirs(page)).to_contain_text("mensagem 29")
    first = page.locator(".sim-row", has_text="A primeira de muitas").first
    first.scroll_into_view_if_needed()
    menu(page, first, "Reply")
    expect(page.locator(".sim-answering")).to_contain_text("A primeira de muitas")
    say(page, "Sobre isto")
    expect(page.locator(".sim-answering")).to_have_count(0)
    quote = page.get_by_role("button", name="Go to the quoted message")
    expect(quote).to_contain_text("A primeira de muitas")
    expect(quote).to_be_in_viewport()
    quote.click()
    expect(first).to_be_in_viewport()
    expect(first).to_have_class(re.compile("found"))
    page.get_by_role("button", name="Down to the newest message").click()
    expect(quote).to_be_in_viewport()


def test_a_reaction_is_given_and_taken_back(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    store.put("text", "Gostou?")
    menu(page, theirs(page), "React with ❤️")
    given = theirs(page).get_by_role("button", name="Reactions: ❤️ by you")
    given.click()
    page.get_by_role("dialog").get_by_role("button", name="React with ❤️").click()
    expect(given).to_have_count(0)


def test_the_menu_opens_by_keyboard_and_by_a_long_press(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    store.put("text", "Gostou?")
    theirs(page).get_by_role("button", name="What to do with this message").press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    theirs(page).locator(".words").dispatch_event("pointerdown", {"pointerType": "touch", "bubbles": True})
    expect(page.get_by_role("dialog")).to_be_visible()


def test_a_message_is_changed_and_taken_back(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    say(page, "Tamanho P")
    row = page.locator(".sim-row.mine")
    expect(row).to_contain_text("Tamanho P")
    menu(page, row, "Edit")
    box = composer(page)
    expect(box).to_have_value("Tamanho P")
    say(page, "Tamanho M")
    expect(row).to_contain_text("Tamanho M")
    expect(row).to_contain_text("Edited")
    menu(page, row, "Delete for everyone")
    expect(row).to_contain_text("You deleted this message")


def test_a_sheet_takes_the_keyboard_and_gives_it_back(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    store.put("list", "Qual?", button="Ver tamanhos", options=[{"id": "m", "title": "Tamanho M"}])
    opener = page.get_by_role("button", name="Ver tamanhos")
    opener.press("Enter")
    close = page.get_by_role("dialog", name="Ver tamanhos").get_by_role("button", name="Close")
    expect(close).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Tamanho M", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()


def test_what_the_phone_refuses_is_told(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    store.put("text", "Ontem", mine=True, at="2020-01-01T00:00:00Z")
    menu(page, page.locator(".sim-row.mine"), "Edit")
    expect(composer(page)).to_have_value("Ontem")
    say(page, "Hoje")
    expect(page.locator("#sim-toast")).to_contain_text("A message can be changed for 15 minutes")


def test_a_picture_is_enlarged(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    store.put("image", "Vestido", image="http://shop.example/media/products/a.svg")
    page.get_by_role("button", name="Enlarge: Vestido").click()
    large = page.get_by_role("dialog", name="Picture")
    expect(large).to_be_visible()
    page.keyboard.press("Escape")
    expect(large).to_have_count(0)


def attach(page: Page, tile: str, name: str, mime_type: str, content: bytes) -> None:
    page.get_by_role("button", name="Attach").click()
    with page.expect_file_chooser() as chosen:
        page.get_by_role("dialog").get_by_role("button", name=tile).click()
    chosen.value.set_files({"name": name, "mimeType": mime_type, "buffer": content})


def test_a_photo_is_looked_at_and_sent_with_its_caption(browser: Browser, store: Store) -> None:
    page = chatting(browser, store, PHONE)
    attach(page, "Photos", "look.png", "image/png", PIXEL)
    expect(page.get_by_alt_text("The chosen picture")).to_be_visible()
    page.get_by_label("Caption").fill("Tem igual?")
    page.get_by_role("dialog").get_by_role("button", name="Send").click()
    expect(mine(page)).to_contain_text("Tem igual?")
    assert mine(page).locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 1


def test_a_voice_note_from_a_file_has_its_waves_and_plays(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    attach(page, "Audio", "voz.wav", "audio/wav", tone(30.0))
    page.get_by_role("dialog").get_by_role("button", name="Send").click()
    row = mine(page)
    expect(row.locator(".time")).to_have_text("0:30")
    row.get_by_role("button", name="Play the voice note").click()
    expect(row.locator(".wave i.on").first).to_be_attached()


def test_a_voice_note_is_recorded(browser: Browser, store: Store) -> None:
    page = browser.new_page(viewport={"width": PHONE[0], "height": PHONE[1]})
    page.add_init_script(
        "navigator.mediaDevices.getUserMedia = async () => {"
        " const room = new AudioContext(); const end = room.createMediaStreamDestination();"
        " const tone = room.createOscillator(); tone.connect(end); tone.start(); return end.stream; };"
    )
    page.goto(f"{store.url}/simulator?token={TOKEN}")
    page.locator(".sim-chat", has_text="Moda").click()
    page.get_by_role("button", name="Record a voice note").click()
    expect(page.get_by_role("timer")).to_have_text(re.compile("0:(0[2-9]|[1-5][0-9])"))
    page.get_by_role("button", name="Send the voice note").click()
    expect(mine(page).locator(".time")).to_have_text(re.compile("0:(0[1-9]|[1-5][0-9])"))
    sound = httpx.get(f"{store.url}{mine(page).locator('.voice').get_attribute('data-sound')}")
    assert (sound.content[:4], sound.headers["content-type"]) == (b"OggS", "audio/ogg")
    page.get_by_role("button", name="Record a voice note").click()
    page.get_by_role("button", name="Throw the recording away").click()
    expect(page.get_by_role("button", name="Record a voice note")).to_be_visible()
    expect(page.locator(".sim-row.audio")).to_have_count(1)


def test_a_document_has_its_name_and_size(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    attach(page, "Document", "pedido.pdf", "application/pdf", b"%PDF-1.4" + b" " * 3000)
    expect(page.get_by_role("dialog")).to_contain_text("pedido.pdf")
    page.get_by_role("dialog").get_by_role("button", name="Send").click()
    expect(mine(page).locator(".document")).to_contain_text("PDF · 3 kB")


def test_a_sticker_goes_at_once(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    attach(page, "Sticker", "oi.webp", "image/webp", PIXEL)
    expect(mine(page).get_by_alt_text("Sticker")).to_be_visible()


def test_a_place_is_shared_from_the_list_or_typed(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    say(page, "Onde")
    page.get_by_role("button", name="Send location").click()
    page.get_by_role("dialog").get_by_role("button", name="Avenida Paulista").click()
    expect(mine(page).locator(".place")).to_contain_text("Avenida Paulista, 1578")
    page.get_by_role("button", name="Attach").click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_role("button", name="Location").click()
    sheet.get_by_text("Another place").click()
    sheet.get_by_label("Latitude").fill("123")
    sheet.get_by_label("Longitude").fill("-46,6")
    sheet.get_by_role("button", name="Send location").click()
    expect(page.locator("#sim-toast")).to_contain_text("A latitude is between -90 and 90")
    sheet.get_by_label("Latitude").fill("-23,5")
    sheet.get_by_role("button", name="Send location").click()
    expect(mine(page).locator(".place")).to_contain_text("-23.500000, -46.600000")


def test_a_contact_is_sent(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    page.get_by_role("button", name="Attach").click()
    page.get_by_role("dialog").get_by_role("button", name="Contact").click()
    page.get_by_role("dialog").get_by_role("button", name="Lucas Martins").click()
    expect(mine(page).locator(".person")).to_contain_text("+55 21 90000-0002")


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_products_become_a_cart_that_is_sent_as_an_order(browser: Browser, store: Store, size: tuple[int, int]) -> None:
    page = chatting(browser, store, size)
    say(page, "Produtos")
    page.get_by_role("button", name="Ver itens").click()
    sheet = page.get_by_role("dialog")
    send = sheet.get_by_role("button", name="Send to Luna")
    expect(send).to_be_disabled()
    sheet.get_by_role("button", name="One more of Vestido Midi Aurora").dblclick()
    sheet.get_by_role("button", name="One more of Sandália Areia").click()
    expect(send).to_have_text(re.compile(r"3 · R\$\s739,70"))
    sheet.get_by_label("Note to the shop").fill("Para presente")
    send.click()
    expect(mine(page)).to_contain_text("3 items")
    expect(mine(page)).to_contain_text("Para presente")
    expect(mine(page)).to_contain_text("R$ 739,70")
    expect(theirs(page)).to_contain_text("Seu carrinho: 3 itens.")


def test_one_asks_about_a_product_of_the_catalogue(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    page.get_by_role("button", name="Catalogue").click()
    sheet = page.get_by_role("dialog")
    expect(sheet.get_by_text("Sold out")).to_be_visible()
    sheet.get_by_role("button", name="Message about it").first.click()
    sheet.get_by_label("Your question").fill("Tem no M?")
    sheet.get_by_role("button", name="Send").click()
    expect(mine(page).locator(".asked")).to_contain_text("Vestido Midi Aurora")
    expect(mine(page)).to_contain_text("Tem no M?")


def test_a_template_has_header_body_footer_and_buttons(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    store.put(
        "template", "Seu pedido *AS-1* saiu 🚚", header="Boa notícia", footer="Moda", template="order_shipped",
        options=[{"id": "where", "title": "Onde está?"}], links=[{"title": "Rastrear", "url": "https://loja.example/r"}],
    )  # fmt: skip
    row = theirs(page)
    expect(row.locator(".header")).to_have_text("Boa notícia")
    expect(row.locator(".footer")).to_have_text("Moda")
    expect(row.get_by_role("link", name="Rastrear")).to_have_attribute("href", "https://loja.example/r")
    row.get_by_role("button", name="Onde está?").click()
    expect(mine(page)).to_contain_text("Onde está?")


def test_a_form_is_filled_in(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    say(page, "Formulário")
    page.get_by_role("button", name="Preencher").click()
    page.get_by_role("dialog").get_by_label("Answers").fill("name: Ana\ncity: Recife")
    page.get_by_role("dialog").get_by_role("button", name="Send").click()
    expect(mine(page)).to_contain_text("Recife")


def test_a_pix_code_is_copied_whole(browser: Browser, store: Store) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{store.url}/simulator?token={TOKEN}")
    page.locator(".sim-chat", has_text="Moda").click()
    say(page, "Pix")
    page.get_by_role("button", name="Copy Pix code").click()
    expect(page.locator("#sim-toast")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == PIX


def test_a_search_finds_chats_and_messages(browser: Browser, store: Store) -> None:
    page = opened(browser, store, PHONE)
    store.put("text", "O romance *Maré* chegou", number="2")
    for turn in range(40):
        store.put("text", f"outra {turn}", number="2")
    search = page.get_by_label("Search chats and messages")
    search.fill("moda")
    expect(page.locator(".sim-chat")).to_have_count(1)
    search.fill("romance maré")
    hit = page.locator(".sim-chat.hit")
    expect(hit).to_contain_text("O romance Maré chegou")
    hit.click()
    expect(page.locator(".sim-row", has_text="O romance")).to_be_in_viewport()
    page.get_by_role("button", name="Back to the chats").click()
    search.fill("nothing at all")
    expect(page.locator(".sim-list")).to_contain_text("Nothing is called or says “nothing at all”.")


def test_another_customer_has_chats_of_their_own_and_may_hide_the_number(browser: Browser, store: Store) -> None:
    page = opened(browser, store, PHONE)
    page.get_by_role("button", name="Write as another customer").click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_role("button", name="Another customer").click()
    sheet.get_by_label("Name").fill("Zilda <b>")
    sheet.get_by_label("Shows a phone number").uncheck()
    sheet.get_by_role("button", name="Add").click()
    expect(page.locator(".sim-phones .on")).to_contain_text("Zilda")
    page.locator(".sim-chat", has_text="Livros").click()
    page.locator(".sim-hello").get_by_text("Oi! Tem gibis?").click()
    expect(page.locator(".sim-row.mine")).to_contain_text("Oi! Tem gibis?")
    page.reload()
    page.get_by_role("button", name="Write as another customer").click()
    zilda = page.locator(".sim-sheet .sim-rowitem", has_text="Zilda <b>")
    expect(zilda).to_contain_text(re.compile(r"no number · BR\.\d+"))
    zilda.click()
    expect(page.locator(".sim-chat", has_text="Livros")).not_to_contain_text("Say hello")


def test_two_browsers_show_the_same_phone(browser: Browser, store: Store) -> None:
    one, other = chatting(browser, store), chatting(browser, store, PHONE)
    say(one, "Dos dois lados")
    expect(other.locator(".sim-row.mine")).to_contain_text("Dos dois lados")


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_the_laboratory_makes_trouble_and_stops_it(browser: Browser, store: Store, size: tuple[int, int]) -> None:
    page = chatting(browser, store, size)
    page.get_by_role("button", name="Laboratory", exact=True).locator("visible=true").last.click()
    lab = page.get_by_role("region", name="Laboratory")
    lab.get_by_label("Webhooks come").select_option("10")
    lab.get_by_label("It refuses sends with").select_option("130429")
    lab.get_by_label("Every webhook comes twice").check()
    lab.get_by_role("button", name="Make trouble").click()
    expect(lab.get_by_role("button", name="Stop all trouble")).to_be_visible()
    trouble = store.told()["trouble"]
    assert (trouble["delay"], trouble["refuse"], trouble["twice"]) == (10.0, 130429, True)
    lab.get_by_role("button", name="Stop all trouble").click()
    expect(lab.get_by_role("button", name="Stop all trouble")).to_have_count(0)
    assert store.told()["trouble"]["refuse"] is None


def test_the_laboratory_moves_the_clock_past_the_window(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    say(page, "Oi")
    page.get_by_role("button", name="Laboratory", exact=True).last.click()
    lab = page.get_by_role("region", name="Laboratory")
    expect(lab).to_contain_text("until tomorrow")
    lab.get_by_role("button", name="+25 h").click()
    expect(lab).to_contain_text("no: only templates")
    expect(page.locator(".sim-warning")).to_contain_text("The clock says")
    lab.get_by_role("button", name="Back to now").click()
    expect(page.locator(".sim-warning")).to_have_count(0)


def test_the_laboratory_tells_news_and_changes_the_customer(browser: Browser, store: Store) -> None:
    page = chatting(browser, store)
    page.get_by_role("button", name="Laboratory", exact=True).last.click()
    lab = page.get_by_role("region", name="Laboratory")
    lab.get_by_text("What WhatsApp tells the store").click()
    lab.get_by_label("What is told").select_option("quality:RED")
    lab.get_by_role("button", name="Tell the store").click()
    expect(page.locator("#sim-toast")).to_have_text("The store was told: RED")
    assert store.told()["news"] == [["1", "quality", "RED", ""]]
    lab.get_by_text("This customer", exact=True).click()
    lab.get_by_role("button", name="Tap the ad and write").click()
    expect(mine(page).locator(".advert")).to_contain_text("Vestidos com 20% off")
    lab.get_by_role("button", name="Take a new phone number").click()
    expect(page.locator("#sim-toast")).to_contain_text("Ana Souza has +55 11 8")
    menu(page, mine(page), "Deliver again")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert len(store.told()["again"]) == 1


def test_everything_is_reached_and_named_by_keyboard(browser: Browser, store: Store) -> None:
    page = opened(browser, store)
    expect(page.locator(".sim-chat").first).to_be_visible()
    page.keyboard.press("Tab")
    for _ in range(12):
        if page.evaluate("document.activeElement.classList.contains('sim-chat')"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    box = composer(page)
    expect(box).to_be_focused()
    nameless = page.evaluate(
        "[...document.querySelectorAll('.sim button')].filter(one => !one.textContent.trim() && !one.ariaLabel).length"
    )
    assert nameless == 0
