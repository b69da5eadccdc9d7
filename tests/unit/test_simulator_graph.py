"""The simulator's Graph side: what a bot may call, what is refused and with which code, and what becomes of a send."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent_store.adapters.whatsapp.simulator import Behaviour, Pace
from agent_store.adapters.whatsapp.simulator_account import AccountSide
from agent_store.contracts.templates import CODES, TEMPLATES
from tests.support.bot import CATALOG, NUMBER, Bot, Json, bot, text
from tests.unit.test_simulator_customers import stocked


def code(answer: Any) -> int:
    return answer.json()["error"]["code"]


def last(it: Bot) -> Any:
    return it.simulator.bubbles(it.ana.id, NUMBER)[-1]


# --- messages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "kind", "seen"),
    [
        (text("Olá *Ana*"), "text", {"text": "Olá *Ana*"}),
        ({"type": "image", "image": {"link": "https://p.example/a.png", "caption": "pão"}}, "image",
         {"image": "https://p.example/a.png", "text": "pão"}),
        ({"type": "location", "location": {"latitude": "-23.5", "longitude": -46.6, "name": "Padaria"}}, "location", {}),
        ({"type": "contacts", "contacts": [{"name": {"formatted_name": "Rui"}}]}, "contacts", {}),
        ({"type": "interactive", "interactive": {
            "type": "button", "header": {"type": "text", "text": "Pães"}, "body": {"text": "Qual?"},
            "footer": {"text": "até 18h"},
            "action": {"buttons": [{"type": "reply", "reply": {"id": "a", "title": "Francês"}}]}}}, "buttons",
         {"header": "Pães", "footer": "até 18h", "text": "Qual?"}),
        ({"type": "interactive", "interactive": {
            "type": "list", "body": {"text": "Qual?"}, "action": {"button": "Ver", "sections": [
                {"title": "Doces", "rows": [{"id": "a", "title": "Sonho"}]},
                {"title": "Salgados", "rows": [{"id": "b", "title": "Coxinha"}]}]}}}, "list", {"button": "Ver"}),
        ({"type": "interactive", "interactive": {
            "type": "cta_url", "body": {"text": "Pague"}, "action": {"name": "cta_url", "parameters": {
                "display_text": "Pagar", "url": "https://p.example/pay"}}}}, "link", {"text": "Pague"}),
    ],
)  # fmt: skip
async def test_every_kind_of_message_is_shown(tmp_path: Path, message: Json, kind: str, seen: Json) -> None:
    async with bot(tmp_path) as it:
        await it.opened()
        answer = await it.send(**message)
        assert answer.status_code == 200, answer.text
        bubble = last(it)
        assert (bubble.kind, bubble.wamid) == (kind, answer.json()["messages"][0]["id"])
        assert {name: getattr(bubble, name) for name in seen} == seen
        await it.quiet()
        assert [status["status"] for status in it.statuses()] == ["sent", "delivered", "read"]


def product_list(*ids: str, catalog: str = CATALOG) -> Json:
    items = [{"product_retailer_id": id} for id in ids]
    action = {"catalog_id": catalog, "sections": [{"title": "Hoje", "product_items": items}]}
    return {
        "type": "product_list", "header": {"type": "text", "text": "Pães"}, "body": {"text": "Veja"}, "action": action,
    }  # fmt: skip


async def test_products_are_shown_from_the_catalogue_and_unknown_ones_left_out(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await it.opened()
        await stocked(it, "SKU-1", "SKU-2")
        await it.send(type="interactive", interactive=product_list("SKU-1", "SKU-9", "SKU-2"))
        assert [(one.retailer_id, one.price, one.section) for one in last(it).products] == [
            ("SKU-1", 1590, "Hoje"), ("SKU-2", 1590, "Hoje"),
        ]  # fmt: skip
        single = {"type": "product", "action": {"catalog_id": CATALOG, "product_retailer_id": "SKU-2"}}
        await it.send(type="interactive", interactive=single)
        assert [one.retailer_id for one in last(it).products] == ["SKU-2"]
        nothing = await it.send(type="interactive", interactive=product_list("SKU-9"))
        assert code(nothing) == 131009
        elsewhere = await it.send(type="interactive", interactive=product_list("SKU-1", catalog="99"))
        assert code(elsewhere) == 131009


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"type": "audio", "audio": {"link": "https://p.example/a.ogg", "caption": "x"}}, 100),
        ({"type": "image", "image": {"id": "1", "link": "https://p.example/a.png"}}, 100),
        ({"type": "image", "image": {}}, 131008),
        ({"type": "image", "image": {"id": "4711"}}, 131009),
        ({"type": "location", "location": {"latitude": 91, "longitude": 0}}, 131009),
        ({"type": "reaction", "reaction": {"emoji": "x"}}, 131008),
        ({"type": "interactive", "interactive": product_list(*(f"S{n}" for n in range(31)))}, 131009),
        ({"type": "interactive", "interactive": {"type": "cta_url", "body": {"text": "x"}, "action": {
            "name": "cta_url", "parameters": {"display_text": "x" * 21, "url": "https://p.example"}}}}, 131009),
        ({"type": "text", "text": {"body": "x"}, "to": "551130001001"}, 131021),
        ({"type": "template", "template": {"name": "nobody", "language": {"code": "pt_BR"}}}, 132001),
    ],
)  # fmt: skip
async def test_what_is_over_a_limit_is_refused_by_its_code(tmp_path: Path, message: Json, expected: int) -> None:
    async with bot(tmp_path) as it:
        await it.opened()
        answer = await it.send(**message)
        assert answer.status_code >= 400
        assert code(answer) == expected


async def test_a_receipt_with_typing_shows_both_until_the_answer(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        bubble = await it.simulator.say(it.ana.id, NUMBER, "oi")
        await it.quiet()
        receipt = {
            "messaging_product": "whatsapp", "status": "read", "message_id": bubble.wamid,
            "typing_indicator": {"type": "text"},
        }  # fmt: skip
        assert (await it.graph("POST", f"/{NUMBER}/messages", receipt)).json() == {"success": True}
        assert it.simulator.bubble(bubble.wamid).status == "read"
        state = await it.api("GET", f"/customers/{it.ana.id}/chats/{NUMBER}")
        assert state["typing"] is True
        await it.send(**text("Olá"))
        assert it.simulator.state(it.ana.id, NUMBER).typing is False


# --- the window ------------------------------------------------------------------------------------------------------


async def test_outside_of_24_hours_only_a_template_arrives(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await it.opened()
        await it.send(**text("dentro"))
        clock = await it.api("POST", "/clock", {"seconds": 25 * 3600})
        assert clock["ahead"] == 25 * 3600
        assert (await it.send(**text("fora"))).status_code == 200
        await it.quiet()
        failed = [status for status in it.statuses() if status["status"] == "failed"]
        assert [status["errors"][0]["code"] for status in failed] == [131047]
        assert (last(it).status, last(it).error_code) == ("failed", 131047)
        template = {"name": "order_delivered", "language": {"code": "pt_BR"},
                    "components": [{"type": "body", "parameters": [{"type": "text", "text": "AS-1"}]}]}  # fmt: skip
        await it.send(type="template", template=template)
        await it.quiet()
        assert last(it).status == "read"
        assert it.statuses()[-1]["pricing"] | {"pricing_model": ""} == {
            "billable": True, "category": "utility", "type": "regular", "pricing_model": "",
        }  # fmt: skip
        await it.simulator.say(it.ana.id, NUMBER, "oi de novo")
        assert (await it.send(**text("dentro"))).status_code == 200
        await it.quiet()
        assert last(it).status == "read"


async def test_the_window_can_refuse_at_once_or_not_at_all(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await it.behave(window="answer")
        assert code(await it.send(**text())) == 131047
        await it.behave(window="open")
        assert (await it.send(**text())).status_code == 200
        await it.quiet()
        assert last(it).status == "read"


async def test_the_clock_survives_a_restart_and_can_be_set_right(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        it.simulator.move_clock(timedelta(hours=30))
    async with bot(tmp_path) as it:
        assert it.simulator.hub.shift == timedelta(hours=30)
        assert (await it.api("DELETE", "/clock"))["ahead"] == 0


# --- media -----------------------------------------------------------------------------------------------------------


async def test_a_file_is_uploaded_sent_and_deleted(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await it.opened()
        data = {"messaging_product": "whatsapp", "type": "image/png"}
        answer = await it.graph("POST", f"/{NUMBER}/media", data=data, files={"file": ("a.png", b"png", "image/png")})
        id = answer.json()["id"]
        await it.send(type="image", image={"id": id, "caption": "pão"})
        assert last(it).image == f"/simulator/api/media/{id}"
        wrong = await it.send(type="audio", audio={"id": id})
        assert code(wrong) == 131053
        assert (await it.graph("DELETE", f"/{id}")).json() == {"success": True}
        assert code(await it.graph("GET", f"/{id}")) == 100
        bad = await it.graph("POST", f"/{NUMBER}/media", data=data | {"type": "image/gif"}, files={"file": ("a", b"x")})
        assert code(bad) == 100


async def test_an_address_of_a_medium_is_good_for_five_minutes_and_the_medium_for_a_week(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        bubble = await it.simulator.send_file(it.ana.id, NUMBER, b"png", mime_type="image/png")
        assert bubble.medium is not None
        url = (await it.graph("GET", f"/{bubble.medium.id}")).json()["url"]
        token = {"Authorization": "Bearer bot-token"}
        assert (await it.http.get(url, headers={"Authorization": "Bearer x"})).status_code == 401
        assert (await it.http.get(url.replace("hash=", "hash=0"), headers=token)).status_code == 404
        it.simulator.move_clock(timedelta(minutes=6))
        assert (await it.http.get(url, headers=token)).status_code == 404
        it.simulator.move_clock(timedelta(days=7))
        assert (await it.graph("GET", f"/{bubble.medium.id}")).status_code == 400


# --- templates -------------------------------------------------------------------------------------------------------

BODY = {"type": "BODY", "text": "Seu bolo {{1}} está pronto.", "example": {"body_text": [["de milho"]]}}
CAKE: Json = {"name": "cake_ready", "language": "pt_BR", "category": "UTILITY", "components": [BODY]}


async def test_the_stores_own_templates_are_approved_from_the_start(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        shown = (await it.graph("GET", "/1/message_templates", params={"limit": "100"})).json()["data"]
        approved = {(one["name"], one["language"]) for one in shown if one["status"] == "APPROVED"}
        assert {(name, language) for name in TEMPLATES for language in CODES.values()} <= approved


async def test_a_template_is_pending_then_approved_and_the_account_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    review, let_go = AccountSide._review, asyncio.Event()

    async def held(self: AccountSide, id: str, due: float) -> None:
        await let_go.wait()
        await review(self, id, due)

    monkeypatch.setattr(AccountSide, "_review", held)
    async with bot(tmp_path) as it:
        await it.behave(review={"seconds": 0.01})
        made = (await it.graph("POST", "/1/message_templates", CAKE)).json()
        assert made["status"] == "PENDING"
        send = {"name": "cake_ready", "language": {"code": "pt_BR"},
                "components": [{"type": "body", "parameters": [{"type": "text", "text": "de fubá"}]}]}  # fmt: skip
        assert code(await it.send(type="template", template=send)) == 132001
        let_go.set()
        async with asyncio.timeout(5):
            while not it.values("message_template_status_update"):
                await asyncio.sleep(0.01)
        (news,) = it.values("message_template_status_update")
        assert (news["event"], news["message_template_name"]) == ("APPROVED", "cake_ready")
        sent = await it.send(type="template", template=send)
        assert sent.json()["messages"][0]["message_status"] == "accepted"
        assert last(it).text == "Seu bolo de fubá está pronto."
        assert code(await it.graph("POST", "/1/message_templates", CAKE)) == 100
        assert (await it.graph("GET", f"/{made['id']}")).json()["name"] == "cake_ready"
        assert (await it.graph("DELETE", "/1/message_templates", params={"name": "cake_ready"})).json()["success"]
        assert code(await it.send(type="template", template=send)) == 132001


async def test_a_template_can_be_rejected_on_purpose_and_edited(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await it.behave(review={"seconds": 0, "verdict": "REJECTED", "reason": "INVALID_FORMAT"})
        made = (await it.graph("POST", "/1/message_templates", CAKE)).json()
        async with asyncio.timeout(5):
            while not it.values("message_template_status_update"):
                await asyncio.sleep(0.01)
        assert (await it.graph("GET", f"/{made['id']}")).json()["rejected_reason"] == "INVALID_FORMAT"
        await it.behave(review={"seconds": 3600})
        assert (await it.graph("POST", f"/{made['id']}", {"components": [BODY]})).json() == {"success": True}
        assert (await it.graph("GET", f"/{made['id']}")).json()["status"] == "PENDING"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Cake"},
        {"language": "portuguese"},
        {"category": "FUN"},
        {"components": [{"type": "BODY", "text": "x" * 1025}]},
        {"components": [{"type": "BODY", "text": "{{1}} está pronto.", "example": {}}]},
        {"components": [{"type": "BODY", "text": "Bolo {{2}} pronto.", "example": {}}]},
        {"components": [{"type": "BODY", "text": "Bolo {{1}} pronto."}]},
        {"components": [BODY, {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "x" * 26}]}]},
        {"components": [BODY, {"type": "FOOTER", "text": "x" * 61}]},
    ],
)
async def test_a_template_that_breaks_a_rule_is_not_taken(tmp_path: Path, change: Json) -> None:
    async with bot(tmp_path) as it:
        answer = await it.graph("POST", "/1/message_templates", CAKE | change)
        assert (answer.status_code, code(answer)) == (400, 100)
        assert answer.json()["error"]["error_user_msg"]


@pytest.mark.parametrize(
    ("status", "parameters", "expected"),
    [
        ("APPROVED", [], 132000),
        ("APPROVED", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], 132000),
        ("APPROVED", [{"type": "image", "image": {"link": "https://p.example/a.png"}}], 132012),
        ("APPROVED", [{"type": "text", "text": "a\nb"}], 132018),
        ("APPROVED", [{"type": "text", "text": "a" * 1025}], 132005),
        ("PAUSED", [{"type": "text", "text": "a"}], 132015),
        ("DISABLED", [{"type": "text", "text": "a"}], 132016),
        ("REJECTED", [{"type": "text", "text": "a"}], 132001),
    ],
)
async def test_a_template_send_is_checked(tmp_path: Path, status: str, parameters: list[Json], expected: int) -> None:
    async with bot(tmp_path) as it:
        await it.api("PUT", "/templates/order_delivered", {"status": status, "language": "pt_BR"})
        template = {"name": "order_delivered", "language": {"code": "pt_BR"},
                    "components": [{"type": "body", "parameters": parameters}]}  # fmt: skip
        assert code(await it.send(type="template", template=template)) == expected


async def test_header_and_link_buttons_of_a_template_are_filled_in(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await it.behave(review={"seconds": 0})
        components = [
            {"type": "HEADER", "format": "IMAGE"}, BODY,
            {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Ver", "url": "https://p.example/{{1}}"}]},
        ]  # fmt: skip
        await it.graph("POST", "/1/message_templates", CAKE | {"components": components})
        async with asyncio.timeout(5):
            while not it.values("message_template_status_update"):
                await asyncio.sleep(0.01)
        body = {"type": "body", "parameters": [{"type": "text", "text": "de milho"}]}
        image = {"type": "image", "image": {"link": "https://p.example/a.png"}}
        header = {"type": "header", "parameters": [image]}
        button = {"type": "button", "sub_type": "url", "index": 0, "parameters": [{"type": "text", "text": "77"}]}
        template = {"name": "cake_ready", "language": {"code": "pt_BR"}, "components": [header, body, button]}
        assert (await it.send(type="template", template=template)).status_code == 200
        assert (last(it).image, last(it).links[0].url) == ("https://p.example/a.png", "https://p.example/77")
        assert code(await it.send(type="template", template=template | {"components": [body, button]})) == 132012
        assert code(await it.send(type="template", template=template | {"components": [header, body]})) == 131008


# --- catalogue, numbers, profile, token ------------------------------------------------------------------------------


async def test_a_batch_of_items_is_checked_item_by_item(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await stocked(it, *(f"SKU-{n}" for n in range(3)))
        requests = [
            {"method": "UPDATE", "data": {"id": "SKU-0", "price": "9.50 BRL", "sale_price": ""}},
            {"method": "UPDATE", "data": {"id": "NEW", "title": "só isto"}},
            {"method": "DELETE", "data": {"id": "SKU-1"}},
        ]
        answer = (
            await it.graph("POST", f"/{CATALOG}/items_batch", {"item_type": "PRODUCT_ITEM", "requests": requests})
        ).json()
        assert [one["retailer_id"] for one in answer["validation_status"]] == ["NEW"]
        (handle,) = answer["handles"]
        path = f"/{CATALOG}/check_batch_request_status"
        assert (await it.graph("GET", path, params={"handle": handle})).json()["data"][0]["status"] == "finished"
        first = (
            await it.graph("GET", f"/{CATALOG}/products", params={"fields": "retailer_id,price", "limit": "1"})
        ).json()
        assert (first["data"][0]["retailer_id"], first["data"][0]["price"]) == ("SKU-0", "9.50 BRL")
        after = first["paging"]["cursors"]["after"]
        rest = (await it.graph("GET", f"/{CATALOG}/products", params={"after": after})).json()
        assert [one["retailer_id"] for one in rest["data"]] == ["SKU-2"]
        assert "next" not in rest["paging"]


async def test_a_number_tells_its_standing(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        asked = {"fields": "quality_rating,throughput,name_status"}
        node = (await it.graph("GET", f"/{NUMBER}", params=asked)).json()
        assert node == {
            "id": NUMBER, "quality_rating": "GREEN", "throughput": {"level": "STANDARD"}, "name_status": "APPROVED",
        }  # fmt: skip
        await it.api("PUT", f"/numbers/{NUMBER}/standing", {"quality": "RED"})
        await it.api("PUT", f"/numbers/{NUMBER}/standing", {"limit": "TIER_10K"})
        assert (await it.graph("GET", f"/{NUMBER}")).json()["quality_rating"] == "RED"
        await it.quiet()
        told = it.values("phone_number_quality_update")
        assert [(one["event"], one["current_limit"]) for one in told] == [
            ("FLAGGED", "TIER_1K"),
            ("UPGRADE", "TIER_10K"),
        ]
        listed = (await it.graph("GET", "/1/phone_numbers")).json()["data"]
        assert [one["id"] for one in listed] == ["1001", "1002"]
        assert code(await it.graph("GET", "/4711")) == 100


async def test_the_business_profile_is_kept_and_checked(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        path = f"/{NUMBER}/whatsapp_business_profile"
        profile = {
            "messaging_product": "whatsapp",
            "about": "Pão quente",
            "websites": ["https://p.example"],
            "vertical": "RETAIL",
        }
        assert (await it.graph("POST", path, profile)).json() == {"success": True}
        (shown,) = (await it.graph("GET", path, params={"fields": "about,websites"})).json()["data"]
        assert shown == {"messaging_product": "whatsapp", "about": "Pão quente", "websites": ["https://p.example"]}
        for wrong in ({"about": "x" * 140}, {"vertical": "BAKERY"}, {"websites": ["a", "b", "c"]}, {"colour": "red"}):
            assert code(await it.graph("POST", path, {"messaging_product": "whatsapp", **wrong})) == 100


async def test_a_token_that_has_expired_is_refused_everywhere(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        assert (await it.graph("GET", "/debug_token", params={"input_token": "bot-token"})).json()["data"]["is_valid"]
        assert not (await it.graph("GET", "/debug_token", params={"input_token": "other"})).json()["data"]["is_valid"]
        await it.behave(access="expired")
        for answer in (await it.send(**text()), await it.graph("GET", f"/{NUMBER}")):
            assert (answer.status_code, code(answer), answer.json()["error"]["error_subcode"]) == (401, 190, 463)


async def test_apps_are_subscribed_and_numbers_registered(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await it.graph("DELETE", "/1/subscribed_apps")
        assert (await it.graph("GET", "/1/subscribed_apps")).json()["data"] == []
        await it.graph("POST", "/1/subscribed_apps")
        assert len((await it.graph("GET", "/1/subscribed_apps")).json()["data"]) == 1
        body = {"messaging_product": "whatsapp", "pin": "123456"}
        assert (await it.graph("POST", f"/{NUMBER}/register", body)).json() == {"success": True}
        assert code(await it.graph("POST", f"/{NUMBER}/register", body | {"pin": "1"})) == 100


# --- on purpose ------------------------------------------------------------------------------------------------------


async def test_a_send_fails_on_purpose_at_once_or_later_as_often_as_set(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await it.opened()
        await it.behave(
            failures=[
                {"code": 130429, "where": "answer", "times": 1, "retry_after": 7},
                {"code": 131026, "where": "status", "times": 1, "type": "text"},
            ]
        )
        refused = await it.send(**text())
        assert (refused.status_code, code(refused), refused.headers["retry-after"]) == (429, 130429, "7")
        assert (await it.send(**text())).status_code == 200
        await it.quiet()
        assert [(one["status"], one["errors"][0]["code"]) for one in it.statuses()] == [("failed", 131026)]
        it.deliveries.clear()
        await it.send(**text())
        await it.quiet()
        assert it.statuses()[-1]["status"] == "read"


async def test_throughput_and_pair_are_limited_when_set(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await it.opened()
        await it.behave(limits={"pair_seconds": 60, "pair_burst": 2})
        codes = [code(answer) if answer.is_error else 0 for answer in [await it.send(**text()) for _ in range(3)]]
        assert codes == [0, 0, 131056]
        assert (await it.send(**text(), to="5521900000002")).status_code == 200
        await it.behave(limits={"per_second": 1})
        codes = [code(answer) if answer.is_error else 0 for answer in [await it.send(**text()) for _ in range(4)]]
        assert 130429 in codes


@pytest.mark.parametrize(("outage", "status", "shown"), [("busy", 503, 0), ("lost", 504, 1), ("garbage", 200, 1)])
async def test_an_outage_takes_the_message_or_does_not(tmp_path: Path, outage: str, status: int, shown: int) -> None:
    async with bot(tmp_path) as it:
        await it.opened()
        await it.behave(outage=outage)
        assert (await it.send(**text())).status_code == status
        assert sum(not bubble.mine for bubble in it.simulator.bubbles(it.ana.id, NUMBER)) == shown


async def test_webhooks_are_doubled_overtaken_and_lost_on_purpose_and_all_arrive(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        webhooks = {
            "duplicated": 0.5, "overtaken": 0.5, "overtaken_by": 0.1, "lost": 0.5, "first_wait": 0.01, "jitter": 0.01,
        }  # fmt: skip
        await it.behave(seed=3, webhooks=webhooks)
        for number in range(20):
            await it.simulator.say(it.ana.id, NUMBER, f"{number:02}")
        await it.quiet()
        got = [message["text"]["body"] for message in it.messages()]
        assert set(got) == {f"{number:02}" for number in range(20)}
        assert len(got) > 20
        assert got != sorted(got)


async def test_webhooks_that_are_under_way_are_shown(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await it.behave(webhooks={"delay": 60})
        bubble = await it.simulator.say(it.ana.id, NUMBER, "oi")
        assert [one["wamid"] for one in await it.api("GET", "/deliveries")] == [bubble.wamid]


async def test_the_same_seed_has_the_same_chances(tmp_path: Path) -> None:
    counts: list[int] = []
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        async with bot(tmp_path / run) as it:
            await it.behave(seed=11, webhooks={"duplicated": 0.4})
            for number in range(15):
                await it.simulator.say(it.ana.id, NUMBER, str(number))
            await it.quiet()
            counts.append(len(it.messages()))
    assert counts[0] == counts[1] > 15


async def test_what_is_not_answered_200_comes_again(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await it.behave(webhooks={"first_wait": 0.01})
        it.answers += [500, 404]
        bubble = await it.simulator.say(it.ana.id, NUMBER, "oi")
        await it.quiet()
        assert len(it.messages()) == 1
        assert it.simulator.bubble(bubble.wamid).status == "delivered"


async def test_a_phone_that_is_off_gets_nothing_and_one_that_nobody_looks_at_is_not_read(tmp_path: Path) -> None:
    async with bot(tmp_path, Behaviour(pace=Pace(delivered=None))) as it:
        await it.opened()
        await it.send(**text())
        await it.quiet()
        assert last(it).status == "sent"
        await it.api("PUT", "/behaviour", {"pace": {"delivered": 0, "read": None}})
        await it.send(**text())
        await it.quiet()
        assert last(it).status == "delivered"
        assert await it.api("POST", f"/customers/{it.ana.id}/chats/{NUMBER}/look") == {"read": 1}
        await it.quiet()
        assert (last(it).status, it.statuses()[-1]["status"]) == ("read", "read")


async def test_news_of_the_account_is_told_on_purpose(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await it.api("POST", "/account", {"event": "ACCOUNT_RESTRICTION", "phone_number_id": NUMBER})
        await it.api("POST", "/webhooks", {"field": "account_alerts", "value": {"entity_type": "WABA"}})
        await it.quiet()
        (restricted,) = it.values("account_update")
        assert restricted["restriction_info"][0]["restriction_type"] == "RESTRICTED_BIZ_INITIATED_MESSAGING"
        assert it.values("account_alerts") == [{"entity_type": "WABA"}]


async def test_behaviour_is_shown_replaced_and_reset(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await it.behave(outage="busy")
        await it.behave(access="revoked")
        shown = await it.api("GET", "/behaviour")
        assert (shown["outage"], shown["access"]) == ("none", "revoked")
        assert (await it.api("DELETE", "/behaviour"))["access"] == "valid"
        assert (await it.http.put("/simulator/api/behaviour", json={"outage": "meteor"})).status_code == 422


async def test_a_reset_begins_anew(tmp_path: Path) -> None:
    async with bot(tmp_path) as it:
        await it.simulator.send_file(it.ana.id, NUMBER, b"png", mime_type="image/png")
        await stocked(it, "SKU-1")
        await it.behave(access="expired")
        it.simulator.move_clock(timedelta(days=2))
        await it.api("POST", "/reset")
        assert [person.name for person in it.simulator.people()][:1] == ["Ana Souza"]
        assert it.simulator.bubbles(it.ana.id, NUMBER) == []
        assert list(it.simulator.hub.store.folder.iterdir()) == []
        assert it.simulator.hub.shift == timedelta(0)
        assert (await it.graph("GET", f"/{CATALOG}/products")).json()["data"] == []


async def test_the_handshake_knows_the_right_token(tmp_path: Path) -> None:
    from agent_store.kernel.errors import PermanentError

    async with bot(tmp_path) as it:
        await it.simulator.hub.deliveries.verify("open sesame")
        with pytest.raises(PermanentError, match="verify token"):
            await it.simulator.hub.deliveries.verify("wrong")
