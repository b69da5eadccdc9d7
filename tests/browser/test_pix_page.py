"""The payment page in a browser: the Pix code can be copied, its picture is there, and the page turns by itself."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Browser, expect

from agent_store.agents.payments import pix
from tests.browser.pictures import shot


@pytest.mark.parametrize("width", [390, 1280])
def test_a_customer_copies_the_code_pays_and_sees_it_without_doing_anything(
    browser: Browser, serve: Callable[..., str], width: int
) -> None:
    address = serve("tests.browser.pix_server")
    context = browser.new_context(
        viewport={"width": width, "height": 1020}, permissions=["clipboard-read", "clipboard-write"], locale="pt-BR"
    )
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if "Security Policy" in message.text else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(address + httpx.get(f"{address}/link").json())

    picture = page.get_by_role("img", name="QR code Pix")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 300
    code = page.locator("#code").input_value()
    assert pix.read(code).amount is not None
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the screen"
    shot(page, f"pix-{width}")
    page.get_by_role("button", name="Copiar código Pix").click()
    expect(page.get_by_role("button", name="Código copiado")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == code

    page.get_by_role("button", name="Simular pagamento do Pix").click()
    expect(page.get_by_role("heading", name="Pagamento aprovado!")).to_be_visible()
    shot(page, f"pix-paid-{width}")
    assert wrong == []
    context.close()
