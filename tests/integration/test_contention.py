"""Many at once, and a brain that does what it likes: on the whole store nothing that must hold breaks."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from agent_store.adapters.brains.rules import RulesBrain
from agent_store.agents.cart.tables import carts
from agent_store.agents.cart.tables import lines as cart_lines
from agent_store.agents.conversations.tables import messages
from agent_store.agents.inventory.tables import levels, movements
from agent_store.agents.orders.tables import orders
from agent_store.agents.pricing.tables import prices
from agent_store.agents.seller.service import SellerBrains
from agent_store.agents.whatsapp.tables import messages as received
from agent_store.contracts.cart import AddToCart
from agent_store.contracts.chat import ChatMessageNew, ChatResponse
from agent_store.contracts.common import Address
from agent_store.contracts.inventory import AdjustStock, GetAvailability
from agent_store.contracts.orders import OrderConfirmed, OrderRejected, OrderView, PlaceOrder
from agent_store.contracts.payments import GetPendingPayment, PaymentLinkCreated, SubmitTestCard
from agent_store.kernel.errors import Conflict
from agent_store.kernel.ids import Sku
from agent_store.kernel.tables import outbox, steps
from agent_store.kernel.tool import Principal
from tests.support.brains import RandomBrain
from tests.support.embedded import NUMBERS, RunningStore, texts
from tests.support.graph import message_delivery
from tests.support.journeys import amounts_in, play

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]
STAFF = Principal(staff="Rita")
DRESS = "FAS-VAURORA-VM-M"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store() -> AsyncIterator[RunningStore]:
    async with RunningStore(log_level="warning") as running:
        yield running
        assert await running.store.runtime.dead() == []


async def rows(store: RunningStore, statement: Any) -> list[Any]:
    return await store.store.runtime.store.reader.all(statement)


async def leave(store: RunningStore, sku: str, units: int) -> None:
    """Let there be so many units of a variant, in one place."""
    runtime = store.store.runtime
    for level in await rows(store, select(levels).where(levels.c.sku == sku, levels.c.on_hand > 0)):
        adjust = AdjustStock(sku=Sku(sku), location=level["location"], change=-level["on_hand"], reason="test")
        await runtime.call(adjust, STAFF)
    await runtime.call(AdjustStock(sku=Sku(sku), location="cd-cajamar", change=units, reason="test"), STAFF)
    await store.settle()


# --- the same message, fifty times ------------------------------------------------------------------------------------


async def test_fifty_deliveries_of_one_message_at_once_are_one_message_and_one_turn(store: RunningStore) -> None:
    who, message = "5511944440000", {"id": "wamid.FIFTY", "type": "text", "text": {"body": "quero um vestido vermelho"}}
    body = message_delivery(NUMBERS["fashion"], who, message)
    assert await asyncio.gather(*(store.deliver(body) for _ in range(50))) == [200] * 50
    await store.settle()
    assert len(await rows(store, select(received).where(received.c.wamid == "wamid.FIFTY"))) == 1
    (heard,) = await rows(store, select(messages).where(messages.c.external_id == "wamid.FIFTY"))
    turns = [t for t in await store.events(ChatMessageNew) if t.conversation_id == heard["conversation_id"]]
    assert [[line.message_id for line in turn.messages] for turn in turns] == [["wamid.FIFTY"]]
    answers = [r for r in await store.events(ChatResponse) if r.conversation_id == heard["conversation_id"]]
    assert len(answers) == 1
    sent = len(store.graph.to(who))
    assert sent >= 1
    assert len({message.send_id for message in store.graph.to(who)}) == sent
    # And much later once more.
    assert await store.deliver(body) == 200
    await store.settle()
    assert len(store.graph.to(who)) == sent


async def test_fifty_taps_on_confirm_are_one_order(store: RunningStore) -> None:
    """Each with an id of its own, all at once: an impatient thumb."""
    shopper = store.shopper("5511944440001")
    found = await shopper.say("quero um vestido vermelho até 300 reais")
    steps = ("/product:vestido-chemise-outono", "/add:FAS-VCHEMISE-VM-M", "/checkout", "/method:delivery",
             "Ana Souza, 01310-100, Av Paulista 1000", "/ship:economico")  # fmt: skip
    await play(shopper, steps, found)
    reply = {"type": "button_reply", "button_reply": {"id": "confirm_order", "title": "Confirmar pedido"}}
    taps = [{"id": f"wamid.TAP{n}", "type": "interactive", "interactive": reply} for n in range(50)]
    posts = (store.deliver(message_delivery(shopper.number, shopper.wa_id, tap)) for tap in taps)
    assert await asyncio.gather(*posts) == [200] * 50
    told = await shopper.read()
    (customer,) = {
        turn.customer_id
        for turn in await store.events(ChatMessageNew)
        if any(line.message_id.startswith("wamid.TAP") for line in turn.messages)
    }
    placed = await rows(store, select(orders).where(orders.c.customer_id == customer))
    assert len(placed) == 1
    assert texts(told).count("/pay/") >= 1
    assert len([link for link in await store.events(PaymentLinkCreated) if link.customer_id == customer]) == 1


# --- the last unit ----------------------------------------------------------------------------------------------------


async def test_two_hundred_customers_want_the_last_unit(store: RunningStore) -> None:
    """Through the tools that a seller has, each for its customer; then one pays."""
    await leave(store, DRESS, 1)
    runtime = store.store.runtime
    people = [Principal(customer_id=f"crowd-{n}", brand="fashion", channel="whatsapp") for n in range(200)]

    async def buy(who: Principal) -> OrderView | Conflict:
        cart = await runtime.call(AddToCart(sku=Sku(DRESS)), who, key="add")
        address = Address(cep="01310-100", street="Av Paulista 1000")
        place = PlaceOrder(cart_version=cart.version, delivery="delivery", service="economico", address=address)
        try:
            return await runtime.call(place, who, key="place")
        except Conflict as conflict:
            return conflict

    outcomes = await asyncio.gather(*(buy(who) for who in people))
    await store.settle()
    placed = [one for one in outcomes if isinstance(one, OrderView)]
    links = [link for link in await store.events(PaymentLinkCreated) if link.customer_id.startswith("crowd-")]
    assert len(links) == 1, "one order holds the unit"
    rejected = [fact for fact in await store.events(OrderRejected) if fact.customer_id.startswith("crowd-")]
    assert len(rejected) == len(placed) - 1
    assert all(fact.alternatives for fact in rejected), "the others get an alternative"
    assert all(fact.missing[0].sku == DRESS and fact.missing[0].available == 0 for fact in rejected)
    for refused in (one for one in outcomes if isinstance(one, Conflict)):
        assert refused.details, "also those who came too late for an order"
    winner = next(who for who in people if who.customer_id == links[0].customer_id)
    await runtime.call(SubmitTestCard(code="4242"), winner)
    await store.settle()
    confirmed = [fact for fact in await store.events(OrderConfirmed) if fact.customer_id.startswith("crowd-")]
    assert [fact.customer_id for fact in confirmed] == [winner.customer_id]
    (stock,) = await runtime.call(GetAvailability(skus=(Sku(DRESS),)))
    assert stock.available == 0
    assert [(r["on_hand"], r["reserved"]) for r in await rows(store, select(levels).where(levels.c.sku == DRESS))
            if r["on_hand"] or r["reserved"]] == []  # fmt: skip
    assert await runtime.call(GetPendingPayment(), people[0 if people[0] is not winner else 1]) is None


async def test_the_one_who_loses_the_last_unit_in_a_chat_is_offered_another(store: RunningStore) -> None:
    sku = "FAS-VTUBINHO-VM-M"
    await leave(store, sku, 1)
    shoppers = [store.shopper(f"551194444{n:04d}") for n in range(10, 14)]
    steps = ("/product:vestido-tubinho-executiva", f"/add:{sku}", "/checkout", "/method:delivery",
             "Ana Souza, 01310-100, Av Paulista 1000", "/ship:economico")  # fmt: skip
    for shopper in shoppers:
        await play(shopper, steps, await shopper.say("quero um vestido vermelho até 300 reais"))
    reply = {"type": "button_reply", "button_reply": {"id": "confirm_order", "title": "Confirmar pedido"}}
    posts = (
        store.deliver(
            message_delivery(
                one.number, one.wa_id, {"id": f"wamid.RACE{n}", "type": "interactive", "interactive": reply}
            )
        )
        for n, one in enumerate(shoppers)
    )
    assert await asyncio.gather(*posts) == [200] * 4
    told = [await shopper.read() for shopper in shoppers]
    winners = [n for n, heard in enumerate(told) if "/pay/" in texts(heard)]
    assert len(winners) == 1
    for n, heard in enumerate(told):
        if n not in winners:
            assert "Nada foi cobrado" in texts(heard)
            offered = [id for message in heard for id in message.choices if id.startswith("product:")]
            assert offered
            seen = await shoppers[n].tap_any(heard, "product:.*")
            assert amounts_in(texts(seen)), "the alternative is shown with its price"
    paid = await shoppers[winners[0]].say("4242")
    assert "Pagamento aprovado" in texts(paid)


# --- a brain that does what it likes ----------------------------------------------------------------------------------

WORDS = (
    "oi", "quero um vestido vermelho", "sim", "confirmo, pode fechar", "4242", "1111", "cancela meu pedido", "quanto custa?",
    "01310-100", "Ana Souza, 01310-100, Av Paulista 1000", "tira do carrinho", "esvazia o carrinho", "o 2", "entrega",
    "retirar na loja", "cadê meu pedido?",
)  # fmt: skip
TAPS = ("confirm_order", "checkout", "method:pickup", "ship:expresso", f"add:{DRESS}", "product:vestido-midi-aurora")
_RANKS = ("created", "reserved", "awaiting_payment", "paid", "confirmed", "picked", "shipped", "delivered")
_NEVER = ("R$ 1,00", "50%", "evil.example")


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=[pytest.mark.slow] * (seed > 3)) for seed in range(1, 7)])
async def test_a_brain_that_calls_tools_at_random_breaks_nothing(seed: int) -> None:
    dice = random.Random(seed)
    pool = (DRESS, "FAS-VAURORA-VM-G", "FAS-VPIMENTA-VM-M", "vestido-midi-aurora", "loja-paulista", "economico", "expresso",
            "delivery", "pickup", "1", "2", "Av Paulista 1000", "4242", "sim", "confirm_order")  # fmt: skip
    brains = SellerBrains(main=RandomBrain(seed, pool=pool), rules=RulesBrain())
    async with RunningStore(log_level="error", ports={SellerBrains: brains}) as store:
        await leave(store, DRESS, 3)
        floors = {row["sku"]: row["floor_minor"] for row in await rows(store, select(prices))}
        people = [f"55119555{n:05d}" for n in range(3)]
        for turn in range(14):
            async with asyncio.TaskGroup() as group:
                for who in people:
                    group.create_task(_say_anything(store, dice, who, f"wamid.{seed}.{turn}.{who}"))
            await store.settle()
            await _holds(store, floors)
            if turn % 4 == 3:
                for escalation in await store.api("GET", "/api/escalations"):
                    await store.api("POST", f"/api/escalations/{escalation['id']}/claim")
                    await store.settle()
                    await store.api("POST", f"/api/escalations/{escalation['id']}/hand-back")
                await store.settle()
        await _says_nothing_untrue(store)
        turns = await store.events(ChatMessageNew)
        assert len([turn for turn in turns if turn.addressee == "bot"]) >= 20, "the brain was asked"
        assert await store.store.runtime.dead() == []


async def _say_anything(store: RunningStore, dice: random.Random, who: str, wamid: str) -> None:
    if dice.random() < 0.3:
        reply = {"type": "button_reply", "button_reply": {"id": dice.choice(TAPS), "title": "tap"}}
        message: dict[str, Any] = {"id": wamid, "type": "interactive", "interactive": reply}
    else:
        message = {"id": wamid, "type": "text", "text": {"body": dice.choice(WORDS)}}
    assert await store.deliver(message_delivery(NUMBERS["fashion"], who, message)) == 200


async def _holds(store: RunningStore, floors: dict[str, int]) -> None:
    """Stock is never negative and is the sum of its movements, money adds up, orders go forward, no price is below its
    floor or anything but the engine's, one cart version is one order."""
    assert await rows(store, select(levels).where((levels.c.on_hand < 0) | (levels.c.reserved < 0))) == []
    assert await rows(store, select(levels).where(levels.c.reserved > levels.c.on_hand)) == []
    sums = {
        (row["sku"], row["location"]): (row["on_hand"], row["reserved"])
        for row in await rows(
            store,
            select(
                movements.c.sku,
                movements.c.location,
                func.sum(movements.c.on_hand_change).label("on_hand"),
                func.sum(movements.c.reserved_change).label("reserved"),
            ).group_by(movements.c.sku, movements.c.location),
        )
    }
    for level in await rows(store, select(levels)):
        assert sums.get((level["sku"], level["location"]), (0, 0)) == (level["on_hand"], level["reserved"])
    engine = {row["sku"]: row["price_minor"] for row in await rows(store, select(prices))}
    assert {row["sku"]: row["floor_minor"] for row in await rows(store, select(prices))} == floors
    for line in await rows(store, select(cart_lines)):
        assert line["unit_minor"] == engine[line["sku"]] >= floors[line["sku"]]
    for order in await rows(store, select(orders)):
        lines = order["lines"] if isinstance(order["lines"], list) else json.loads(order["lines"])
        assert order["total_minor"] == order["subtotal_minor"] + order["delivery_minor"]
        assert order["subtotal_minor"] == sum(line["total"]["minor"] for line in lines)
        for line in lines:
            assert line["unit"]["minor"] == engine[line["sku"]] >= floors[line["sku"]]
            assert line["unit"]["minor"] * line["quantity"] == line["total"]["minor"]
    for order in {
        row["subject"]
        for row in await rows(store, select(outbox.c.subject).where(outbox.c.type == "store.order.created"))
    }:
        await _only_forward(store, order)
    versions = await rows(store, select(carts))
    assert all(row["version"] >= 0 for row in versions)


async def _only_forward(store: RunningStore, order: str) -> None:
    facts = await rows(
        store,
        select(outbox).where(outbox.c.subject == order, outbox.c.type.like("store.order.%"), outbox.c.sequence.is_not(None))
        .order_by(outbox.c.seq),
    )  # fmt: skip
    states = [json.loads(fact["data"])["order"]["state"] for fact in facts]
    assert [fact["sequence"] for fact in facts] == list(range(1, len(facts) + 1))
    known = [_RANKS.index(state) for state in states if state in _RANKS]
    assert known == sorted(known), states
    ended = [n for n, state in enumerate(states) if state in ("rejected", "cancelled")]
    assert ended in ([], [len(states) - 1]), states


async def _says_nothing_untrue(store: RunningStore) -> None:
    """Every amount that was sent is one that the store itself came to, and nothing of what the brain made up was sent."""
    known: set[int] = set()
    for row in await rows(store, select(prices)):
        known |= {row["price_minor"], row["list_price_minor"]}
    told = [
        json.loads(row["data"])
        for row in await rows(store, select(outbox).where(outbox.c.type == "store.whatsapp.message.send"))
    ]
    known |= await _worked_out(store)
    for command in told:
        text = json.dumps(command["content"], ensure_ascii=False)
        for lie in _NEVER:
            assert lie not in text, text
        assert not re.search(r"AS-\d{6}\b", text), text
        assert amounts_in(text) <= known, f"{amounts_in(text) - known} in {text}"


async def _worked_out(store: RunningStore) -> set[int]:
    """Every amount in what tools gave: totals of carts, quotes and orders."""
    found: set[int] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("minor"), int):
                found.add(value["minor"])
            for one in value.values():
                walk(one)
        elif isinstance(value, list):
            for one in value:
                walk(one)

    for row in await rows(store, select(steps.c.result).where(steps.c.kind == "call")):
        walk(json.loads(row["result"]))
    for row in await rows(store, select(outbox.c.data).where(outbox.c.type.like("store.order.%"))):
        walk(json.loads(row["data"]))
    return found
