"""What goes to Meta's catalogue and template review, and how its answers are taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from agent_store.adapters.whatsapp import commerce
from agent_store.adapters.whatsapp.management import GraphManagement, Refused
from agent_store.contracts.catalog import ProductView, VariantView
from agent_store.contracts.templates import TEMPLATES
from agent_store.kernel.errors import TemporaryError
from agent_store.kernel.ids import ProductId, Sku
from agent_store.kernel.money import Money

SHOP = commerce.Shop("Moda Aurora", "https://loja.example", "551155500001")


def brl(minor: int) -> Money:
    return Money(minor=minor, currency="BRL")


def product(*, list_price: Money | None = None, available: int = 3) -> ProductView:
    shown = VariantView(
        sku=Sku("VES-1-P"), color="vermelho", size="P", price=brl(19990), list_price=list_price, available=available
    )
    return ProductView(
        id=ProductId("vestido"), brand="fashion", name="Vestido Midi", category="vestidos", image="/media/products/vestido.png",
        variants=(shown,),
    )  # fmt: skip


def item(found: ProductView) -> dict[str, Any]:
    (request,) = commerce.updates([found], SHOP)
    assert request["method"] == "UPDATE"
    return dict(request["data"])


# --- items


def test_an_item_is_named_by_our_sku_so_that_an_order_names_it_back() -> None:
    assert item(product()) == {
        "id": "VES-1-P", "item_group_id": "vestido", "title": "Vestido Midi, vermelho, P",
        "description": "Vestido Midi, vermelho, P", "availability": "in stock", "condition": "new", "price": "199.90 BRL",
        "sale_price": "", "link": "https://wa.me/551155500001?text=Vestido%20Midi%2C%20vermelho%2C%20P",
        "image_link": "https://loja.example/media/products/vestido.png", "brand": "Moda Aurora",
        "product_type": "vestidos", "color": "vermelho", "size": "P",
    }  # fmt: skip


def test_what_is_reduced_shows_both_prices_and_what_is_sold_out_says_so() -> None:
    found = item(product(list_price=brl(25000), available=0))
    assert (found["price"], found["sale_price"], found["availability"]) == ("250.00 BRL", "199.90 BRL", "out of stock")


def test_a_list_price_below_the_price_is_no_reduction() -> None:
    found = item(product(list_price=brl(100)))
    assert (found["price"], found["sale_price"]) == ("199.90 BRL", "")


@pytest.mark.parametrize(("minor", "written"), [(5, "0.05 BRL"), (100, "1.00 BRL"), (123456, "1234.56 BRL")])
def test_prices_are_decimals_with_a_point(minor: int, written: str) -> None:
    assert commerce.price(brl(minor)) == written


# --- templates


def test_a_template_is_submitted_with_an_example_and_its_quick_replies() -> None:
    found = commerce.template(TEMPLATES["cart_reminder"], "pt")
    body, buttons = found["components"]
    assert (found["name"], found["language"], found["category"]) == ("cart_reminder", "pt_BR", "MARKETING")
    assert body["example"] == {"body_text": [["Agent Store", "Vestido Midi Aurora, vermelho, P"]]}
    assert [one["text"] for one in buttons["buttons"]] == ["Ver minha sacola", "Não receber mais"]


def test_a_template_that_meta_has_with_another_text_differs() -> None:
    ours = commerce.template(TEMPLATES["order_shipped"], "en")
    theirs = json.loads(json.dumps(ours)) | {"id": "1", "status": "APPROVED"}
    assert not commerce.differs(ours, theirs)
    theirs["components"][0]["text"] += " Bye."
    assert commerce.differs(ours, theirs)


# --- calls

Answer = Callable[[httpx.Request], httpx.Response]


def graph(answer: Answer) -> GraphManagement:
    return GraphManagement("https://graph.example", "v23.0", "secret", pause=0.0, transport=httpx.MockTransport(answer))


def fault(code: int, message: str, status: int = 400, **more: Any) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code, "message": message, **more}})


def test_every_call_carries_the_token_and_the_version() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"quality_rating": "GREEN"})

    assert graph(answer).number("100")["quality_rating"] == "GREEN"
    assert seen[0].headers["authorization"] == "Bearer secret"
    assert seen[0].url.path == "/v23.0/100"


def test_what_meta_refuses_is_told_in_its_own_words() -> None:
    with pytest.raises(Refused, match="Invalid parameter – The name is taken") as raised:
        graph(lambda _: fault(100, "Invalid parameter", error_user_msg="The name is taken")).templates("1")
    assert raised.value.platform_code == 100


@pytest.mark.parametrize(
    "trouble", [fault(4, "limit"), fault(80008, "limit"), httpx.Response(429), httpx.Response(502)]
)
def test_what_fails_for_now_is_tried_again(trouble: httpx.Response) -> None:
    answers = [trouble, trouble, httpx.Response(200, json={"data": []})]
    assert graph(lambda _: answers.pop(0)).templates("1") == []
    assert answers == []


def test_what_keeps_failing_ends_with_the_last_sentence() -> None:
    with pytest.raises(TemporaryError, match="too many calls: tried 5 times"):
        graph(lambda _: fault(4, "too many calls")).templates("1")


def test_a_template_whose_submission_got_no_answer_is_not_submitted_twice() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        raise httpx.ReadTimeout("no answer")

    with pytest.raises(TemporaryError, match="look if it was done"):
        graph(answer).create_template("1", {})
    assert len(asked) == 1


def test_a_list_is_read_to_its_last_page() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        after = int(request.url.params.get("after", "0"))
        paging = {"cursors": {"after": str(after + 1)}, **({"next": "https://…"} if after < 2 else {})}
        return httpx.Response(200, json={"data": [{"retailer_id": f"S-{after}"}], "paging": paging})

    assert graph(answer).retailer_ids("9") == {"S-0", "S-1", "S-2"}


def test_items_that_are_refused_at_once_are_named() -> None:
    refused = {"handles": [], "validation_status": [{"retailer_id": "S-1", "errors": [{"message": "no image"}]}]}
    with pytest.raises(Refused, match=r"1 items were refused. S-1: no image"):
        graph(lambda _: httpx.Response(200, json=refused)).send_items("9", [{}])


def test_a_batch_is_waited_for_and_its_errors_are_told() -> None:
    states = [{"status": "in_progress"}, {"status": "finished", "errors": [{"id": "S-1", "message": "bad price"}]}]
    found = graph(lambda _: httpx.Response(200, json={"data": [states.pop(0)]}))
    assert found.batch_errors("9", "h", seconds=5.0) == ["S-1: bad price"]


def test_a_batch_that_takes_too_long_is_said_to_be_still_worked_on() -> None:
    found = graph(lambda _: httpx.Response(200, json={"data": [{"status": "in_progress"}]}))
    with pytest.raises(TemporaryError, match="still works on batch h after 0 s"):
        found.batch_errors("9", "h", seconds=0.0)
