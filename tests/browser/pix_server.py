"""A server for the browser test of the payment page: a payment that waits, its page and picture, and a bank that calls back.

Run as a module; the port is its argument. `GET /link` gives the page's address, path and query.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import uvicorn
from fastapi import FastAPI

from agent_store.adapters.http.media import media_router
from agent_store.adapters.payments.bank import MockBank
from agent_store.adapters.payments.callbacks import SignedCallbacks
from agent_store.agents.payments.api import router
from agent_store.contracts.payments import PaymentRequest
from agent_store.kernel.ids import ConversationId, OrderId
from agent_store.kernel.money import Money
from tests.agents.selling import BUYER, Brands
from tests.agents.test_payments import Till


def serve(port: int) -> None:
    till = Till()
    till.clock.move(datetime.now(UTC) - till.clock.now())
    callbacks = SignedCallbacks("mock", "the-secret-of-this-server", till.clock)
    bank = MockBank(till.mock, callbacks, f"http://127.0.0.1:{port}/webhooks/payments/mock")

    async def keep_going() -> None:
        while True:
            await till.store.settle()
            await asyncio.sleep(0.05)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncGenerator[None]:
        async with till:
            request = PaymentRequest(
                order_id=OrderId("o1"),
                order_number="AS-7K3F9Q",
                customer_id=BUYER,
                conversation_id=ConversationId("v1"),
                brand="fashion",
                amount=Money.parse("289.90"),
                expires_at=till.clock.now() + timedelta(minutes=28, seconds=31),
            )
            await till.store.publish(request, channel="whatsapp")
            await till.store.settle()
            app.include_router(router(till.store.runtime, callbacks=callbacks, payer=bank))
            app.include_router(media_router(till.store.runtime, Brands(), lambda product, color: ""))
            task = asyncio.create_task(keep_going())
            yield
            task.cancel()
            await bank.close()

    app = FastAPI(lifespan=life)

    @app.get("/link")
    async def link() -> str:
        return till.link.link.removeprefix("https://shop.test")

    uvicorn.run(app, port=port, log_level="warning")


if __name__ == "__main__":
    serve(int(sys.argv[1]))
