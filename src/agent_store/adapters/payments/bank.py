"""A customer's bank that is none: it pays the mock provider's Pix charges, and tells the store by callbacks over HTTP.

What was paid is told until the store has acknowledged it, also by the next process after this one was killed. `/simulator/pix/…` is
its REST side: pay by the code as an app would, look at a charge, deliver a callback once more, late or with another amount.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

import httpx
import structlog
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from agent_store.adapters.payments.callbacks import SignedCallbacks
from agent_store.adapters.payments.mock import MockPaymentProvider, MockPix
from agent_store.agents.payments import pix
from agent_store.agents.payments.ports import PixReceived
from agent_store.kernel.errors import Conflict, StoreError, TemporaryError
from agent_store.kernel.money import Money

_log = structlog.get_logger("agent_store.bank")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0


class MockBank:
    """`PixPayer`. `start` begins to tell what is still untold; `close` stops."""

    def __init__(
        self, provider: MockPaymentProvider, callbacks: SignedCallbacks, url: str, http: httpx.AsyncClient | None = None
    ) -> None:
        """`url` is where the store hears its provider: `…/webhooks/payments/<name>`."""
        self.provider = provider
        self._callbacks = callbacks
        self._url = url
        self._http = http or httpx.AsyncClient(timeout=10, trust_env=False)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._task is None:
            self._wake.set()
            self._task = asyncio.create_task(self._tell_all())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self._http.aclose()

    async def pay(self, txid: str) -> None:
        """See `PixPayer.pay`."""
        await self.pay_amount(txid)

    async def pay_amount(self, txid: str, amount: Money | None = None, *, tell: bool = True) -> PixReceived:
        """`tell` False: the callback is lost, and nobody hears of it until it is delivered by hand."""
        paid = await self.provider.pay_pix(txid, amount)
        if tell:
            await self.start()
            self._wake.set()
        else:
            await self.provider.told(txid)
        return paid

    async def deliver(self, received: PixReceived) -> int:
        """One callback, signed now; the store's status. Raises httpx.HTTPError when it cannot be reached."""
        headers, body = self._callbacks.write([received])
        answer = await self._http.post(self._url, content=body, headers=headers)
        return answer.status_code

    async def _tell_all(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            await self._wake.wait()
            self._wake.clear()
            while not await self._tell_some():
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE, pause * 2)
            pause = _FIRST_PAUSE

    async def _tell_some(self) -> bool:
        """True when all that was paid by now is acknowledged."""
        done = True
        try:
            for paid in await self.provider.untold():
                status = await self.deliver(paid)
                if 200 <= status < 300:
                    await self.provider.told(paid.txid)
                else:
                    done = False
                    _log.warning("callback.refused", txid=paid.txid, status=status)
        except (httpx.HTTPError, StoreError) as error:
            _log.warning("callback.failed", why=type(error).__name__)
            return False
        return done


class PayByCode(BaseModel):
    copy_paste: str = Field(max_length=pix.LONGEST)
    amount_minor: int | None = Field(default=None, ge=1, le=10**12)
    """Another sum than the code's, which a true bank would not let a customer pay."""
    tell: bool = True
    """False: the provider's callback is lost."""


class ChargeView(BaseModel):
    """As a provider's Pix API shows a charge (`GET /cob/{txid}`)."""

    txid: str
    status: Literal["ATIVA", "CONCLUIDA"]
    chave: str
    valor: str
    criacao: datetime
    expira: datetime
    pixCopiaECola: str
    endToEndId: str | None = None
    told_at: datetime | None = None


def bank_router(bank: MockBank, *, authorize: Callable[[Request], Any]) -> APIRouter:
    """`/simulator/pix/…` for staff (`authorize` raises otherwise)."""
    router = APIRouter(prefix="/simulator/pix", tags=["simulator"], dependencies=[Depends(authorize)])

    @router.post("/pay", status_code=201)
    async def pay(body: PayByCode) -> ChargeView:
        """Pay as an app does that was given the code, by "copia e cola" or from its picture."""
        txid = await bank.provider.txid_of(pix.read(body.copy_paste).url or "")
        amount = None if body.amount_minor is None else Money(minor=body.amount_minor)
        await bank.pay_amount(txid, amount, tell=body.tell)
        return _shown(await bank.provider.pix_charge(txid))

    @router.get("/{txid}")
    async def look(txid: str) -> ChargeView:
        return _shown(await bank.provider.pix_charge(txid))

    @router.post("/{txid}/callback")
    async def deliver(txid: str) -> dict[str, int]:
        """Deliver the callback of a paid charge now, however often it was delivered. Gives the store's status."""
        charge = await bank.provider.pix_charge(txid)
        if charge.paid is None:
            raise Conflict("this Pix has not been paid: there is nothing to tell", code="not-paid")
        try:
            return {"status": await bank.deliver(charge.paid)}
        except httpx.HTTPError as error:
            raise TemporaryError(f"the store's webhook cannot be reached: {type(error).__name__}") from error

    return router


def _shown(charge: MockPix) -> ChargeView:
    return ChargeView(
        txid=charge.txid,
        status="ATIVA" if charge.paid is None else "CONCLUIDA",
        chave=charge.key,
        valor=f"{charge.amount.minor // 100}.{charge.amount.minor % 100:02}",
        criacao=charge.created_at,
        expira=charge.expires_at,
        pixCopiaECola=charge.copy_paste,
        endToEndId=charge.paid.reference if charge.paid else None,
        told_at=charge.told_at,
    )
