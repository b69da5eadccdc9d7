"""The channel's rules on the whole store: signed webhooks in over HTTP, a fake Graph API out."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Literal

import pytest

from agent_store.contracts.chat import CustomerContact, CustomerContacted, CustomerOptedOut
from agent_store.kernel.ids import CustomerId
from tests.support.embedded import RunningStore, texts

pytestmark = pytest.mark.timeout(120)
VALUES = {"shop": "Moda Viva", "items": "Vestido Midi Aurora", "number": "AS-1"}


async def ask(store: RunningStore, customer_id: CustomerId, what: Literal["cart_reminder", "survey"]) -> None:
    runtime = store.store.runtime
    await runtime.publish(
        CustomerContact(
            contact_id=f"{what}:1",
            customer_id=customer_id,
            purpose=what,
            template=what,
            values=VALUES,
            brand="fashion",
            expires_at=runtime.clock.now() + timedelta(days=2),
        )
    )
    await store.settle()


async def test_a_reminder_its_tap_a_no_and_the_sale_that_goes_on() -> None:
    async with RunningStore(log_level="warning", quiet_from=time(0), quiet_until=time(0), contacts_a_day=5) as store:
        ana = store.shopper("5511977770001", "fashion")
        await ana.say("oi, quero um vestido")
        (row,) = await store.api("POST", "/api/tools/conversations.list", {})
        customer_id = CustomerId(row["customer_id"])

        await ask(store, customer_id, "cart_reminder")
        (reminder,) = await ana.read()
        assert set(reminder.choices) == {"show_cart", "opt_out"}
        shown = texts(await ana.tap(reminder, "show_cart")).lower()
        assert "sacola" in shown or "carrinho" in shown

        assert "VOLTAR A RECEBER" in texts(await ana.tap(reminder, "opt_out"))
        assert len(await store.events(CustomerOptedOut)) == 1
        await ask(store, customer_id, "survey")
        assert await ana.read() == []
        assert [(event.outcome, event.reason) for event in await store.events(CustomerContacted)] == [
            ("sent", ""),
            ("skipped", "opted_out"),
        ]

        assert texts(await ana.say("e em azul, tem?")), "the seller goes on answering"
        assert await store.store.runtime.dead() == []
