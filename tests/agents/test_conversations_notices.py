"""Facts of orders and payments reach the customer: once each, in their language, where they ordered, never backward."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from itertools import permutations
from typing import Any, get_args

import pytest
from sqlalchemy import func, select

from agent_store.agents.conversations.tables import decisions, messages
from agent_store.contracts.common import PricedLine
from agent_store.contracts.inventory import Missing
from agent_store.contracts.orders import (
    Delivery,
    OrderCancelled,
    OrderConfirmed,
    OrderDelivered,
    OrderFact,
    OrderPicked,
    OrderRejected,
    OrderShipped,
    OrderView,
)
from agent_store.contracts.payments import FailureCode, PaymentFailed, PaymentLinkCreated, PaymentRefunded
from agent_store.contracts.whatsapp import OutButtons, OutLink, WhatsAppMessageSend
from agent_store.kernel.event import Event
from agent_store.kernel.ids import ConversationId, OrderId, Sku
from agent_store.kernel.money import Money
from tests.support.chat import FASHION, TECH, ChatStore

LINK = "https://shop.example/pay/abc"


def an_order(store: ChatStore, *, version: int = 1, conversation: str | None = "first", **changes: Any) -> OrderView:
    turn = store.turns[0]
    values: dict[str, Any] = {
        "id": OrderId("o-1"),
        "number": "AS-7K3F9Q",
        "customer_id": turn.customer_id,
        "conversation_id": turn.conversation_id if conversation == "first" else conversation,
        "brand": "fashion",
        "state": "confirmed",
        "version": version,
        "lines": (
            PricedLine(
                sku=Sku("VEST-1"), product_id="vestido-aurora", title="Vestido Aurora, vermelho, M", quantity=2,
                unit=Money(minor=14990), total=Money(minor=29980), brand="fashion",
            ),
        ),
        "subtotal": Money(minor=29980),
        "delivery": Delivery(
            method="delivery", service="economico", price=Money(minor=1990), earliest=date(2026, 1, 8),
            latest=date(2026, 1, 12),
        ),
        "total": Money(minor=31970),
        "created_at": store.clock.now(),
        "updated_at": store.clock.now(),
        **changes,
    }  # fmt: skip
    return OrderView(**values)


def fact(store: ChatStore, kind: type[OrderFact], version: int, *, extra: Any = None, **changes: Any) -> OrderFact:
    order = an_order(store, version=version, **changes)
    return kind(order_id=order.id, customer_id=order.customer_id, version=version, order=order, **(extra or {}))


def payment(store: ChatStore, kind: Any, **changes: Any) -> Any:
    turn = store.turns[0]
    values: dict[str, Any] = {
        "order_id": OrderId("o-1"),
        "order_number": "AS-7K3F9Q",
        "customer_id": turn.customer_id,
        "conversation_id": turn.conversation_id,
        "payment_id": "p-1",
        "brand": "fashion",
        "amount": Money(minor=31970),
        **changes,
    }
    return kind(**values)


def a_link(store: ChatStore, **changes: Any) -> PaymentLinkCreated:
    values = {"link": LINK, "expires_at": store.clock.now() + timedelta(minutes=25), **changes}
    return payment(store, PaymentLinkCreated, **values)


def a_failure(store: ChatStore, attempt: int = 1, **changes: Any) -> PaymentFailed:
    values: dict[str, Any] = {
        "failure": "insufficient_funds",
        "suggestions": ("try_other_card", "check_limit", "reserve_in_store", "pay_on_page", "talk_to_person"),
        "via": "chat",
        "attempt": attempt,
        "link": LINK,
        **changes,
    }
    return payment(store, PaymentFailed, **values)


async def told(store: ChatStore, *events: Event) -> list[str]:
    """What these facts made the store say, in order."""
    before = len(store.said)
    for event in events:
        await store.publish(event)
    await store.settle()
    assert await store.dead() == []
    return store.said[before:]


def link_of(send: WhatsAppMessageSend) -> str:
    assert isinstance(send.content, OutLink)
    return send.content.url


@asynccontextmanager
async def with_customer(text: str = "Oi, quero um vestido vermelho", **settings: Any) -> AsyncGenerator[ChatStore]:
    async with ChatStore(**settings) as store:
        await store.write(text)
        await store.answer("Olá!")
        yield store


async def test_a_payment_link_says_amount_and_until_when() -> None:
    async with with_customer() as store:
        (text,) = await told(store, a_link(store))
        assert "R$ 319,70" in text
        assert "AS-7K3F9Q" in text
        assert "9h25" in text  # noon UTC and 25 minutes, in Brasília
        assert "4242" not in text


@pytest.mark.parametrize(
    ("first", "button"),
    [("Oi, quero um vestido", "Pagar agora"), ("hi, do you have dresses?", "Pay now"), ("hola, busco un vestido rojo", "Pagar ahora")],
)  # fmt: skip
async def test_a_payment_link_is_a_button(first: str, button: str) -> None:
    async with with_customer(first) as store:
        await told(store, a_link(store))
        content = store.sent[-1].content
        assert isinstance(content, OutLink)
        assert (content.button, content.url) == (button, LINK)
        assert "AS-7K3F9Q" in content.text
        assert LINK not in content.text


async def test_the_test_codes_are_told_in_test_mode_only() -> None:
    async with with_customer(test_mode=True) as store:
        (text,) = await told(store, a_link(store))
        assert all(code in text for code in ("4242", "1111", "2222", "3333"))


@pytest.mark.parametrize("failure", get_args(FailureCode))
@pytest.mark.parametrize("first", ["Oi, quero um vestido", "hi, do you have dresses?", "hola, busco un vestido rojo"])
async def test_every_failure_is_explained_with_its_ways_out(failure: Any, first: str) -> None:
    async with with_customer(first) as store:
        await told(store, a_failure(store, failure=failure))
        content = store.sent[-1].content
        assert isinstance(content, OutButtons)
        assert [choice.id for choice in content.choices] == [
            "pay_link",
            "pickup_info",
            "person",
        ]
        assert LINK in content.text
        assert "{" not in content.text


async def test_a_failure_without_buttons_or_link_is_plain_words() -> None:
    async with with_customer() as store:
        (text,) = await told(store, a_failure(store, suggestions=("pay_on_page", "something_new"), link=None))
        assert "página que te enviei" in text


async def test_the_button_for_a_person_brings_one() -> None:
    async with with_customer() as store:
        await told(store, a_failure(store))
        await store.write("Falar com pessoa", payload="person")
        assert len(store.for_people) == 1
        assert len(store.turns) == 1


async def test_a_confirmation_names_lines_total_and_delivery() -> None:
    async with with_customer() as store:
        (text,) = await told(store, fact(store, OrderConfirmed, 5))
        for part in ("AS-7K3F9Q", "2 × Vestido Aurora, vermelho, M: R$ 299,80", "Entrega: R$ 19,90", "R$ 319,70",
                     "08/01", "12/01"):  # fmt: skip
            assert part in text


async def test_a_pickup_is_told_as_one() -> None:
    async with with_customer("hi, do you have red dresses?") as store:
        pickup = Delivery(method="pickup", price=Money.zero(), location="sp-1", location_name="Loja Paulista")
        texts = await told(
            store,
            fact(store, OrderConfirmed, 5, delivery=pickup),
            fact(store, OrderPicked, 6, delivery=pickup),
            fact(store, OrderShipped, 7, delivery=pickup),
            fact(store, OrderDelivered, 8, delivery=pickup),
        )
        assert len(texts) == 4
        assert "ready to pick up at Loja Paulista" in texts[0]
        assert "Delivery:" not in texts[0]
        assert "packed" in texts[1]
        assert "counter of Loja Paulista" in texts[2]
        assert "picked up" in texts[3]


@pytest.mark.parametrize(
    ("earliest", "latest", "words"),
    [
        (None, None, "quando sair para entrega"),
        (None, date(2026, 1, 12), "Chega até 12/01"),
        (date(2026, 1, 12), date(2026, 1, 12), "Chega até 12/01"),
    ],
)
async def test_no_more_is_promised_than_was_quoted(earliest: date | None, latest: date | None, words: str) -> None:
    async with with_customer() as store:
        delivery = Delivery(method="delivery", price=Money.zero(), earliest=earliest, latest=latest)
        (text,) = await told(store, fact(store, OrderConfirmed, 5, delivery=delivery))
        assert words in text
        assert "grátis" in text


async def test_a_very_long_order_is_told_by_its_first_lines() -> None:
    async with with_customer() as store:
        lines = an_order(store).lines * 15
        (text,) = await told(store, fact(store, OrderConfirmed, 5, lines=lines))
        assert text.count("Vestido Aurora") == 10
        assert "…" in text


async def test_a_shipment_has_its_tracking() -> None:
    async with with_customer() as store:
        (text,) = await told(store, fact(store, OrderShipped, 7, tracking="BR123"))
        assert "Rastreio: BR123" in text


@pytest.mark.parametrize(
    ("reason", "words"),
    [("payment_expired", "prazo"), ("customer", "como você pediu"), ("staff", "equipe"), ("other", "cancelado"), (None, "cancelado")],
)  # fmt: skip
async def test_a_cancelled_order_says_why(reason: str | None, words: str) -> None:
    async with with_customer() as store:
        (text,) = await told(store, fact(store, OrderCancelled, 4, reason=reason))
        assert words in text


async def test_a_rejected_order_says_what_is_missing_and_offers_alternatives() -> None:
    async with with_customer() as store:
        event = fact(
            store,
            OrderRejected,
            2,
            extra={
                "missing": (Missing(sku=Sku("VEST-1"), wanted=2, available=1),),
                "alternatives": ("vestido-lua", "vestido-sol", "saia-mar", "saia-rio"),
            },
        )
        (text,) = await told(store, event)
        assert "Vestido Aurora, vermelho, M: só restam 1 (você pediu 2)" in text
        assert "Nada foi cobrado" in text
        content = store.sent[-1].content
        assert isinstance(content, OutButtons)
        assert [choice.id for choice in content.choices] == [
            "product:vestido-lua", "product:vestido-sol", "product:saia-mar",
        ]  # fmt: skip


async def test_a_rejection_after_payment_says_that_the_money_comes_back() -> None:
    async with with_customer() as store:
        missing = (Missing(sku=Sku("GONE"), wanted=1, available=0),)
        (text,) = await told(store, fact(store, OrderRejected, 6, extra={"refunded": True, "missing": missing}))
        assert "GONE: acabou de esgotar" in text
        assert "devolvido" in text


async def test_a_refund_is_told_once_and_also_after_a_cancellation() -> None:
    async with with_customer() as store:
        refund = payment(store, PaymentRefunded, reason="cancelled")
        texts = await told(store, fact(store, OrderCancelled, 6, reason="customer"), refund, refund)
        assert len(texts) == 2
        assert "R$ 319,70" in texts[1]


def _journey(store: ChatStore) -> list[Event]:
    return [
        a_link(store),
        a_failure(store, 1),
        a_failure(store, 2, failure="network_error", suggestions=("try_again",)),
        fact(store, OrderConfirmed, 5),
        fact(store, OrderPicked, 6),
        fact(store, OrderShipped, 7),
        fact(store, OrderDelivered, 8),
    ]


async def test_each_is_told_once_however_often_it_comes() -> None:
    async with with_customer() as store:
        journey = _journey(store)
        texts: list[str] = []
        for event in journey:
            texts += await told(store, event, event)
        texts += await told(store, *journey)
        assert len(texts) == len(journey)


async def test_in_no_order_of_arrival_is_anything_told_twice_or_after_something_newer() -> None:
    async with ChatStore() as store:
        for number, order in enumerate(permutations(range(7))):
            if number % 84:
                continue  # one in 84 of 5,040 reorderings: 60 customers
            await store.write("oi", wa_id=f"55{number}")
            turn = store.turns[-1]
            await store.answer("Olá!")
            here: dict[str, Any] = {"customer_id": turn.customer_id, "conversation_id": turn.conversation_id}
            order_id = OrderId(f"o-{number}")

            def moved(event: Any, here: dict[str, Any] = here, order_id: OrderId = order_id) -> Any:
                if isinstance(event, OrderFact):
                    view = event.order.model_copy(update={"id": order_id, **here})
                    return event.model_copy(
                        update={"order_id": order_id, "customer_id": here["customer_id"], "order": view}
                    )
                return event.model_copy(update={"order_id": order_id, "payment_id": f"p-{order_id}", **here})

            journey = [moved(event) for event in _journey(store)]
            texts = [(await told(store, event, event)) for event in (journey[index] for index in order)]
            newest = -1
            for index, said in zip(order, texts, strict=True):
                assert len(said) == (1 if index > newest else 0), order
                newest = max(newest, index)


async def test_a_late_capture_confirms_an_order_that_was_cancelled_for_want_of_payment() -> None:
    async with with_customer() as store:
        texts = await told(
            store, fact(store, OrderCancelled, 4, reason="payment_expired"), fact(store, OrderConfirmed, 6)
        )
        assert len(texts) == 2


async def test_what_is_not_told_is_noted() -> None:
    async with with_customer() as store:
        await told(store, fact(store, OrderDelivered, 8), fact(store, OrderShipped, 7))
        rows = await store.rows(select(decisions).where(decisions.c.what == "notice.skipped"))
        assert [(row["details"]["kind"], row["details"]["reason"]) for row in rows] == [("shipped", "newer told")]


async def test_it_is_told_where_the_order_was_placed_else_where_the_customer_wrote_last() -> None:
    async with with_customer() as store:
        await store.move(timedelta(minutes=5))
        await store.write("hello, do you have laptops?", to=TECH)
        await store.answer("Hi!")
        await told(store, fact(store, OrderConfirmed, 5))
        assert store.sent[-1].phone_number_id == FASHION
        assert "confirmado" in store.said[-1]
        # Each conversation has its own language, and an order that names none of ours is told where they wrote last.
        for order_id, conversation in (("o-2", None), ("o-3", ConversationId("unknown"))):
            order = an_order(store, version=5, conversation=conversation, id=OrderId(order_id))
            await told(store, OrderConfirmed(order_id=order.id, customer_id=order.customer_id, version=5, order=order))
            assert store.sent[-1].phone_number_id == TECH
            assert "confirmed" in store.said[-1]


async def test_an_order_of_nobody_we_talk_with_is_told_nowhere() -> None:
    async with with_customer() as store:
        order = an_order(store, version=5, conversation=None, customer_id="kiosk-customer")
        assert await told(
            store, OrderConfirmed(order_id=order.id, customer_id=order.customer_id, version=5, order=order)
        ) == []  # fmt: skip


async def test_a_fact_that_comes_during_a_turn_is_told_right_after_the_answer() -> None:
    async with with_customer() as store:
        await store.write("pode fechar o pedido")
        assert await told(store, a_link(store), a_link(store), a_failure(store)) == []
        await store.answer("Pedido AS-7K3F9Q feito!")
        assert len(store.said) == 4
        assert store.said[1] == "Pedido AS-7K3F9Q feito!"
        assert link_of(store.sent[2]) == LINK
        assert [send.number for send in store.sent] == [1, 2, 3, 4]
        await store.write("oi")
        await store.answer("sim?")
        assert len(store.said) == 5


async def test_a_held_fact_survives_a_kill_and_a_turn_that_never_ends() -> None:
    async with with_customer() as store:
        await store.write("pode fechar o pedido")
        await told(store, a_link(store))
        await store.kill_and_restart()
        await store.move(timedelta(seconds=90))
        assert link_of(store.sent[-1]) == LINK


async def test_facts_are_told_while_a_person_speaks_too() -> None:
    async with with_customer() as store:
        await store.write("quero um atendente")
        assert len(await told(store, fact(store, OrderConfirmed, 5))) == 1


async def test_a_fact_repeated_after_a_restart_is_not_told_again() -> None:
    async with with_customer() as store:
        event = fact(store, OrderConfirmed, 5)
        await told(store, event)
        await store.kill_and_restart()
        assert await told(store, event) == []
        (row,) = await store.rows(select(func.count().label("n")).where(messages.c.role == "notice"))
        assert row["n"] == 1
