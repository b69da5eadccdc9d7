"""What a simulated customer can do, as the bot behind the webhook gets it."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent_store.agents.whatsapp.phone import Ad, ContactCard, OrderLine, Reaction, Spot
from agent_store.agents.whatsapp.reading import parse
from agent_store.kernel.errors import Conflict, InvalidInput, NotFound
from tests.support.bot import CATALOG, NUMBER, Bot, bot, text

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
ITEM = {
    "title": "Pão de queijo", "description": "Meia dúzia", "availability": "in stock", "condition": "new",
    "price": "18.00 BRL", "sale_price": "15.90 BRL", "link": "https://p.example/1", "image_link": "https://p.example/1.png",
}  # fmt: skip


async def stocked(it: Bot, *ids: str) -> None:
    requests = [{"method": "UPDATE", "data": {"id": id, **ITEM}} for id in ids]
    answer = await it.graph("POST", f"/{CATALOG}/items_batch", {"item_type": "PRODUCT_ITEM", "requests": requests})
    assert answer.json()["validation_status"] == []


async def one(it: Bot) -> dict[str, Any]:
    """The one message that was delivered, which the store's own reader understands."""
    await it.quiet()
    assert not it.bad_signatures
    (message,) = it.messages()
    read = parse(json.dumps(it.deliveries[-1]).encode())
    assert read.oddities == 0
    return message


async def test_a_quoted_reply_names_the_message_that_it_answers(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        first = await it.simulator.say(it.ana.id, NUMBER, "tem pão?")
        await it.quiet()
        it.deliveries.clear()
        await it.simulator.say(it.ana.id, NUMBER, "esse aqui", reply_to=first.wamid)
        message = await one(it)
        assert message["context"] == {"from": it.ana.wa_id, "id": first.wamid}


async def test_a_forwarded_text_says_so(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await it.api(
            "POST", "/messages", {"customer": it.ana.id, "phone_number_id": NUMBER, "text": "olha", "forwarded": True}
        )
        assert (await one(it))["context"] == {"forwarded": True}


@pytest.mark.parametrize(
    ("name", "mime_type", "kind"),
    [
        ("foto.png", "image/png", "image"),
        ("nota.ogg", "audio/ogg", "audio"),
        ("filme.mp4", "video/mp4", "video"),
        ("lista.pdf", "application/pdf", "document"),
        ("figurinha.webp", "image/webp", "sticker"),
    ],
)
async def test_a_file_is_kept_and_comes_back_by_its_id(tmp_path: Path, name: str, mime_type: str, kind: str) -> None:
    async with bot(tmp_path) as it:
        form = {"customer": it.ana.id, "phone_number_id": NUMBER, "voice": str(kind == "audio").lower()}
        sent = await it.http.post("/simulator/api/messages/file", data=form, files={"file": (name, PNG, mime_type)})
        assert sent.status_code == 201
        message = await one(it)
        medium = message[kind]
        assert message["type"] == kind
        assert medium["mime_type"].startswith(mime_type)
        assert medium["sha256"] == base64.b64encode(hashlib.sha256(PNG).digest()).decode()
        assert medium.get("voice") == (True if kind == "audio" else None)
        place = (await it.graph("GET", f"/{medium['id']}")).json()
        assert (place["file_size"], place["sha256"]) == (len(PNG), hashlib.sha256(PNG).hexdigest())
        fetched = await it.http.get(place["url"], headers={"Authorization": "Bearer bot-token"})
        assert fetched.content == PNG
        shown = await it.http.get(sent.json()["medium"]["url"])
        assert shown.content == PNG
        assert shown.headers["x-content-type-options"] == "nosniff"
        part = await it.http.get(sent.json()["medium"]["url"], headers={"Range": "bytes=0-3"})
        assert (part.status_code, part.content) == (206, PNG[:4])


async def test_a_file_that_is_too_large_or_empty_is_refused(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        for content in (b"", b"x" * (5 * 1024 * 1024 + 1)):
            with pytest.raises(InvalidInput, match="bytes"):
                await it.simulator.send_file(it.ana.id, NUMBER, content, mime_type="image/png")


async def test_a_location_answers_a_request_for_one(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await it.opened()
        interactive = {
            "type": "location_request_message", "body": {"text": "Onde você está?"}, "action": {"name": "send_location"},
        }  # fmt: skip
        await it.send(type="interactive", interactive=interactive)
        asked = it.simulator.bubbles(it.ana.id, NUMBER)[-1]
        assert (asked.kind, asked.text) == ("place_request", "Onde você está?")
        await it.quiet()
        it.deliveries.clear()
        await it.simulator.send_spot(it.ana.id, NUMBER, Spot(-23.56, -46.65, "Casa"), reply_to=asked.wamid)
        message = await one(it)
        assert message["location"] == {"latitude": -23.56, "longitude": -46.65, "name": "Casa"}
        assert message["context"]["id"] == asked.wamid


async def test_contact_cards_have_names_and_numbers(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await it.simulator.send_cards(it.ana.id, NUMBER, [ContactCard("Rui Alves", "+55 11 90000-9999")])
        (card,) = (await one(it))["contacts"]
        assert card["name"] == {"formatted_name": "Rui Alves", "first_name": "Rui", "last_name": "Alves"}
        assert card["phones"][0]["wa_id"] == "5511900009999"


async def test_a_reaction_is_added_and_taken_back(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await it.opened()
        await it.send(**text("Bom dia"))
        await it.quiet()
        it.deliveries.clear()
        wamid = it.simulator.bubbles(it.ana.id, NUMBER)[-1].wamid
        shown = await it.api("PUT", f"/messages/{wamid}/reaction", {"emoji": "👍"})
        assert shown["reactions"] == [{"emoji": "👍", "mine": True}]
        assert (await one(it))["reaction"] == {"message_id": wamid, "emoji": "👍"}
        it.deliveries.clear()
        assert (await it.simulator.react(wamid, "")).reactions == ()
        assert (await one(it))["reaction"] == {"message_id": wamid}


async def test_a_tap_on_a_templates_quick_reply_is_a_button_message(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        template = {
            "name": "cart_reminder", "language": {"code": "pt_BR"},
            "components": [
                {"type": "body", "parameters": [{"type": "text", "text": "Padaria"}, {"type": "text", "text": "pão"}]},
                {"type": "button", "sub_type": "quick_reply", "index": "0",
                 "parameters": [{"type": "payload", "payload": "show_cart"}]},
            ],
        }  # fmt: skip
        assert (await it.send(type="template", template=template)).status_code == 200
        shown = it.simulator.bubbles(it.ana.id, NUMBER)[-1]
        assert (shown.kind, shown.template) == ("template", "cart_reminder")
        assert "Padaria" in shown.text
        await it.quiet()
        it.deliveries.clear()
        await it.simulator.tap(shown.wamid, "show_cart")
        message = await one(it)
        assert message["button"] == {"text": "Ver minha sacola", "payload": "show_cart"}


async def test_the_form_of_a_flow_comes_back_with_its_token(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await it.opened()
        parameters = {"flow_message_version": "3", "flow_id": "5", "flow_cta": "Agendar", "flow_token": "t-1"}
        interactive = {
            "type": "flow",
            "body": {"text": "Quando?"},
            "action": {"name": "flow", "parameters": parameters},
        }
        await it.send(type="interactive", interactive=interactive)
        await it.quiet()
        it.deliveries.clear()
        asked = it.simulator.bubbles(it.ana.id, NUMBER)[-1]
        assert (asked.kind, asked.button) == ("flow", "Agendar")
        await it.simulator.fill_in(asked.wamid, {"day": "sexta"})
        reply = (await one(it))["interactive"]["nfm_reply"]
        assert json.loads(reply["response_json"]) == {"day": "sexta", "flow_token": "t-1"}


async def test_an_order_names_products_of_the_catalogue_and_prices_that_may_be_wrong(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await stocked(it, "SKU-1", "SKU-2")
        assert [one["retailer_id"] for one in await it.api("GET", f"/numbers/{NUMBER}/products")] == ["SKU-1", "SKU-2"]
        bubble = await it.simulator.order(it.ana.id, NUMBER, {"SKU-1": 2}, text="para viagem")
        assert bubble.lines == (OrderLine("SKU-1", 2, "Pão de queijo", 1590, "BRL"),)
        order = (await one(it))["order"]
        item = {"product_retailer_id": "SKU-1", "quantity": 2, "item_price": 15.9, "currency": "BRL"}
        assert order == {"catalog_id": CATALOG, "text": "para viagem", "product_items": [item]}
        it.deliveries.clear()
        await it.behave(wrong_order_prices=True)
        await it.simulator.order(it.ana.id, NUMBER, {"SKU-1": 1})
        assert (await one(it))["order"]["product_items"][0]["item_price"] == 0.15
        it.deliveries.clear()
        await it.simulator.order(it.ana.id, NUMBER, {"SKU-1": 1}, prices={"SKU-1": 1})
        assert (await one(it))["order"]["product_items"][0]["item_price"] == 0.01
        with pytest.raises(NotFound, match="SKU-9"):
            await it.simulator.order(it.ana.id, NUMBER, {"SKU-9": 1})


async def test_a_question_about_a_product_refers_to_it(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await stocked(it, "SKU-1")
        body = {"customer": it.ana.id, "phone_number_id": NUMBER, "text": "tem hoje?", "product": "SKU-1"}
        bubble = await it.api("POST", "/messages", body)
        assert bubble["about"]["title"] == "Pão de queijo"
        context = (await one(it))["context"]
        assert context["referred_product"] == {"catalog_id": CATALOG, "product_retailer_id": "SKU-1"}


async def test_a_message_from_an_advertisement_has_its_referral(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        ad = Ad("Pão quente", "Todo dia", "https://fb.me/x", "ad", "4711", "click-1")
        await it.simulator.come_from_ad(it.ana.id, NUMBER, ad, "vi o anúncio")
        referral = (await one(it))["referral"]
        assert (referral["source_id"], referral["ctwa_clid"], referral["headline"]) == ("4711", "click-1", "Pão quente")
        await it.send(**text())
        await it.quiet()
        assert it.statuses()[0]["pricing"]["type"] == "free_entry_point"


async def test_a_new_number_is_told_to_each_shop_that_was_written_to(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await it.opened()
        before = it.ana.wa_id
        after = await it.api("POST", f"/customers/{it.ana.id}/number", {"wa_id": "5511977770000"})
        await it.quiet()
        (value,) = it.values()
        assert "contacts" not in value
        (message,) = value["messages"]
        assert (message["from"], message["system"]["wa_id"]) == (before, "5511977770000")
        assert message["system"]["type"] == "user_changed_number"
        assert after["wa_id"] == it.ana.wa_id == "5511977770000"


async def test_a_text_can_be_changed_for_fifteen_minutes(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        bubble = await it.simulator.say(it.ana.id, NUMBER, "dois paes")
        await it.quiet()
        it.deliveries.clear()
        changed = await it.api("PATCH", f"/messages/{bubble.wamid}", {"text": "três pães"})
        assert (changed["text"], changed["edited"]) == ("três pães", True)
        edit = (await one(it))["edit"]
        assert edit == {"original_message_id": bubble.wamid, "message": text("três pães")}
        it.simulator.move_clock(timedelta(minutes=16))
        with pytest.raises(Conflict, match="15 minutes"):
            await it.simulator.edit(bubble.wamid, "quatro")


async def test_a_message_can_be_taken_back_for_two_days(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        bubble = await it.simulator.say(it.ana.id, NUMBER, "esquece")
        other = await it.simulator.say(it.ana.id, NUMBER, "isto fica")
        await it.quiet()
        it.deliveries.clear()
        gone = await it.api("DELETE", f"/messages/{bubble.wamid}")
        assert (gone["text"], gone["deleted"]) == ("", True)
        assert (await one(it))["revoke"] == {"original_message_id": bubble.wamid}
        with pytest.raises(Conflict, match="taken back"):
            await it.simulator.react(bubble.wamid, "👍")
        it.simulator.move_clock(timedelta(days=3))
        with pytest.raises(Conflict):
            await it.simulator.delete(other.wamid)


async def test_what_the_api_has_no_kind_for_arrives_as_unsupported(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        body = {"customer": it.ana.id, "phone_number_id": NUMBER, "unsupported": "poll_creation"}
        assert (await it.api("POST", "/messages", body))["kind"] == "other"
        message = await one(it)
        assert (message["type"], message["errors"][0]["code"]) == ("unsupported", 131051)


async def test_a_message_is_one_thing(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        body = {"customer": it.ana.id, "phone_number_id": NUMBER, "text": "a", "unsupported": "b"}
        assert (await it.http.post("/simulator/api/messages", json=body)).status_code == 422


async def test_a_card_number_is_in_no_file_of_the_simulator(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        card = "4111 1111 1111 1111"
        await it.simulator.say(it.ana.id, NUMBER, f"meu cartão é {card}")
        bubble = await it.simulator.send_file(it.ana.id, NUMBER, PNG, filename=f"{card}.png", caption=card)
        await it.simulator.edit(bubble.wamid, f"é {card}")
        await it.quiet()
        rows = [dict(row) for row in it.simulator.hub.store.db.execute("SELECT * FROM bubbles")]
        assert card not in json.dumps([rows, it.deliveries], default=str)


async def test_a_reaction_of_the_store_is_shown_beside_the_customers(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        bubble = await it.simulator.say(it.ana.id, NUMBER, "obrigada")
        await it.simulator.react(bubble.wamid, "🙂")
        await it.send(type="reaction", reaction={"message_id": bubble.wamid, "emoji": "❤️"})
        await it.quiet()
        assert it.simulator.bubble(bubble.wamid).reactions == (Reaction("🙂", True), Reaction("❤️", False))
        assert [status["status"] for status in it.statuses()] == ["sent"]
        it.deliveries.clear()
        await it.send(type="reaction", reaction={"message_id": "wamid.none", "emoji": "❤️"})
        await it.quiet()
        assert it.statuses()[0]["errors"][0]["code"] == 131009


async def test_a_page_that_a_customer_sends_is_never_run_in_staffs_browser(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        bubble = await it.simulator.send_file(
            it.ana.id, NUMBER, b"<script>", filename="x.html", mime_type="text/html\n"
        )
        assert bubble.medium is not None
        assert (bubble.kind, bubble.medium.mime_type) == ("document", "text/html")
        shown = await it.http.get(bubble.medium.url)
        assert shown.headers["content-disposition"] == "attachment"
        assert "sandbox" in shown.headers["content-security-policy"]
