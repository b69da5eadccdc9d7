"""Scripted conversations (`rules_pt.yaml`) played against the shop in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_store.adapters.brains.rules import RulesBrain
from agent_store.contracts.common import Address
from agent_store.kernel.brain import Line
from agent_store.kernel.money import Money
from tests.support.rules_shop import Chat, FakeShop, Reply

SCRIPTS: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("rules_pt.yaml").read_text("utf-8"))


def shop_of(script: dict[str, Any]) -> FakeShop:
    lines: dict[str, int] = script.get("cart", {}) if "profile" in script else {}
    shop = FakeShop(cart=dict(lines), version=len(lines))
    known = script.get("profile", {})
    address = Address(cep=known["cep"], street=known["street"]) if "cep" in known else None
    news = {
        "name": known.get("name"),
        "delivery": known.get("delivery"),
        "address": address,
        "pickup_location": known.get("store"),
    }
    shop.profile = shop.profile.model_copy(update=news)
    return shop


def judge(expected: dict[str, Any], reply: Reply) -> None:
    seen = reply.text.lower()
    said = f"{expected.get('say', expected.get('tap'))!r} → {reply.tools} {reply.text!r} {reply.cards} {reply.payloads}"
    assert [word for word in expected.get("has", ()) if word.lower() not in seen] == [], said
    assert [word for word in expected.get("lacks", ()) if word.lower() in seen] == [], said
    assert [tool for tool in expected.get("tools", ()) if tool not in reply.tools] == [], said
    assert [tool for tool in expected.get("no_tools", ()) if tool in reply.tools] == [], said
    assert [card for card in expected.get("cards", ()) if card not in reply.cards] == [], said
    assert [payload for payload in expected.get("payloads", ()) if payload not in reply.payloads] == [], said
    assert reply.answer.understood is expected.get("understood", True), said
    assert (reply.answer.escalate is not None) is expected.get("escalates", False), said


@pytest.mark.parametrize("script", SCRIPTS, ids=[script["name"] for script in SCRIPTS])
def test_a_conversation_goes_as_written(script: dict[str, Any]) -> None:
    shop = shop_of(script)
    chat = Chat(RulesBrain(), shop)
    for line in script["lines"]:
        for sku, stock in line.get("stock", {}).items():
            shop.set_stock(sku, stock)
        for sku, price in line.get("price", {}).items():
            shop.set_price(sku, Money.parse(price))
        if "tap" in line:
            reply = chat.tap(line["tap"])
        else:
            texts = [line["say"]] if isinstance(line["say"], str) else line["say"]
            reply = chat.turn([Line(role="customer", text=text) for text in texts])
        judge(line, reply)
    assert len(shop.orders) == script["orders"]
    if "total" in script:
        assert shop.orders[0].total.minor == script["total"]
    if "cart" in script and "profile" not in script:
        assert shop.cart == script["cart"]


def test_there_are_enough_scripts() -> None:
    assert len(SCRIPTS) >= 15
