"""Pix in the payments agent: the charge, what comes in, races with a card, late money, the webhook, the button on the page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from agent_store.adapters.http import problems
from agent_store.adapters.http.auth import StaffAuth
from agent_store.adapters.payments.bank import MockBank, bank_router
from agent_store.adapters.payments.callbacks import BELIEVED_FOR, HEADER, SignedCallbacks
from agent_store.adapters.payments.mock import MockPaymentProvider
from agent_store.agents.payments import pix, service
from agent_store.agents.payments.api import LONGEST_CALLBACK, router
from agent_store.agents.payments.ports import PixCharge, PixReceived
from agent_store.agents.payments.tables import attempts, receipts
from agent_store.agents.payments.texts import TEXTS
from agent_store.contracts.payments import (
    CancelPayment,
    GetPendingPayment,
    GetPixCode,
    PaymentExpired,
    PaymentFailed,
    PaymentLinkCreated,
    PaymentRefund,
    PaymentRefunded,
    PaymentSucceeded,
    PaymentSurplusRefunded,
    SubmitOnPage,
)
from agent_store.kernel.errors import Conflict, KeyReused, NotFound, TemporaryError
from agent_store.kernel.ids import OrderId
from agent_store.kernel.money import Money
from tests.agents.selling import BUYER, customer
from tests.agents.test_payments import AMOUNT, Slow, Till

SECRET = "the-secret-of-these-tests"
STAFF = {"Authorization": "Bearer staff-token-of-the-tests"}


class PixTill(Till):
    """A till whose customers pay by Pix."""

    async def pays(self, amount: Money | None = None) -> PixReceived:
        """At the customer's bank: nobody has told the store yet."""
        assert self.link.pix is not None
        return await self.mock.pay_pix(self.link.pix.txid, amount)

    async def tell(self, received: PixReceived) -> str:
        outcome = await self.store.runtime.transact("payments", lambda ctx: service.pix_received(ctx, received))
        await self.store.settle()
        return outcome

    def other(self, received: PixReceived, **change: Any) -> PixReceived:
        return received.model_copy(update=change)

    async def balance(self) -> int:
        """What the store holds of its customers' money."""
        taken = sum(one.amount.minor for one in await self.mock.captures())
        return taken - sum(one.amount.minor for one in await self.mock.refunds())


# --- the charge -----------------------------------------------------------------------------------------------------


async def test_a_payment_in_reais_has_a_pix_code_of_exactly_its_amount() -> None:
    async with PixTill() as till:
        await till.ask()
        code = till.link.pix
        assert code is not None
        read = pix.read(code.copy_paste)
        assert (read.amount, read.once, read.url) == (AMOUNT, True, f"pix.agent-store.invalid/v2/{code.txid}")
        assert pix.is_txid(code.txid)
        assert code.image.startswith(f"/media/pix/{till.link.payment_id}.png?t=")
        assert till.token not in code.image
        pending = await till.store.call(GetPendingPayment(), customer())
        assert pending is not None
        assert pending.pix == code


async def test_the_picture_of_a_code_is_for_who_has_its_address() -> None:
    async with PixTill() as till:
        await till.ask()
        assert till.link.pix is not None
        key = till.link.pix.image.partition("?t=")[2]
        assert await till.store.call(GetPixCode(payment_id=till.link.payment_id, key=key)) == till.link.pix
        for payment_id, wrong in (
            (till.link.payment_id, ""),
            (till.link.payment_id, till.token),
            ("nobody", key),
            (till.link.payment_id, key[:-1] + "é"),
        ):
            with pytest.raises(NotFound):
                await till.store.call(GetPixCode(payment_id=payment_id, key=wrong))


class NoPix(Slow):
    """A provider without Pix, or one whose Pix is away, or talks rubbish."""

    def __init__(self, mock: MockPaymentProvider, answer: PixCharge | Exception | None) -> None:
        super().__init__(mock)
        self.answer = answer
        self.go.set()

    async def pix(self, txid: str, amount: Money, expires_at: datetime) -> PixCharge | None:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    "answer",
    [
        None,
        TemporaryError("Pix is away"),
        PixCharge(txid="x" * 32, copy_paste="000201"),
        PixCharge(
            txid="x" * 32,
            copy_paste=pix.dynamic(url="pix.example/1", amount=Money(minor=1), name="Loja", city="Recife"),
        ),
    ],
    ids=["none", "away", "rubbish", "another amount"],
)
async def test_without_a_good_code_the_payment_goes_on_by_card(answer: PixCharge | Exception | None) -> None:
    async with PixTill(wrap=lambda mock: NoPix(mock, answer)) as till:
        await till.ask()
        assert till.link.pix is None
        await till.pay()
        assert len(till.store.events(PaymentSucceeded)) == 1


async def test_another_currency_has_no_pix() -> None:
    async with PixTill() as till:
        assert await till.mock.pix("x" * 32, Money(minor=100, currency="USD"), till.clock.now()) is None


async def test_a_kill_while_a_link_is_made_makes_one_link_and_one_charge() -> None:
    for stop_after in range(12):
        async with PixTill() as till:
            asking = asyncio.create_task(till.ask())
            for _ in range(stop_after):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await till.store.kill_and_restart()
            await till.ask()
            (link,) = till.store.events(PaymentLinkCreated)
            assert link.pix is not None
            assert await till.tell(await till.pays()) == "paid"


# --- money that comes in --------------------------------------------------------------------------------------------


async def test_a_pix_pays_once_whatever_the_number_of_times_it_is_told() -> None:
    async with PixTill() as till:
        await till.ask()
        received = await till.pays()
        assert [await till.tell(received) for _ in range(3)] == ["paid", "known", "known"]
        (paid,) = till.store.events(PaymentSucceeded)
        assert (paid.amount, paid.method, paid.late, paid.captured_at) == (AMOUNT, "pix", False, received.paid_at)
        (row,) = await till.store.rows(select(receipts))
        assert (row["reference"], row["outcome"]) == (received.reference, "paid")
        await till.store.move(timedelta(minutes=31))
        assert till.store.events(PaymentExpired) == []
        with pytest.raises(Conflict):
            await till.pays()


async def test_the_same_money_told_as_other_money_is_refused() -> None:
    async with PixTill() as till:
        await till.ask("o1")
        received = await till.pays()
        await till.tell(received)
        await till.ask("o2")
        assert till.link.pix is not None
        for contradiction in (
            till.other(received, amount=Money(minor=1)),
            till.other(received, txid=till.link.pix.txid),
            till.other(received, txid="0" * 32),
        ):
            with pytest.raises(KeyReused):
                await till.tell(contradiction)
        assert len(till.store.events(PaymentSucceeded)) == 1


async def test_money_for_nothing_of_ours_is_let_pass() -> None:
    async with PixTill() as till:
        await till.ask()
        stranger = PixReceived(txid="0" * 32, reference="E1", amount=AMOUNT, paid_at=till.clock.now())
        assert await till.tell(stranger) == "unknown"
        assert till.store.events(PaymentSucceeded) == []


async def test_another_amount_goes_back_and_pays_nothing() -> None:
    async with PixTill() as till:
        await till.ask()
        little = await till.pays(Money(minor=100))
        assert [await till.tell(little) for _ in range(2)] == ["wrong_amount", "known"]
        (back,) = till.store.events(PaymentSurplusRefunded)
        assert (back.amount, back.reason, back.order_number) == (Money(minor=100), "wrong_amount", "AS-O1")
        assert till.store.events(PaymentSucceeded) == []
        assert await till.balance() == 0
        await till.pay()
        assert len(till.store.events(PaymentSucceeded)) == 1
        assert await till.balance() == AMOUNT.minor


async def test_a_pix_is_refunded_as_a_card_is() -> None:
    async with PixTill() as till:
        await till.ask()
        received = await till.pays()
        await till.tell(received)
        for _ in range(2):
            await till.store.publish(PaymentRefund(order_id=OrderId("o1"), customer_id=BUYER, reason="customer"))
            await till.store.settle()
        assert len(till.store.events(PaymentRefunded)) == 1
        (refund,) = await till.mock.refunds()
        assert (refund.subject, refund.amount) == (received.reference, AMOUNT)
        assert await till.tell(received) == "known"


# --- races ----------------------------------------------------------------------------------------------------------


async def test_a_pix_after_a_card_goes_back() -> None:
    async with PixTill() as till:
        await till.ask()
        received = await till.pays()
        await till.pay("4242")
        assert await till.tell(received) == "paid_twice"
        (paid,) = till.store.events(PaymentSucceeded)
        assert paid.method == "test_card"
        assert [one.reason for one in till.store.events(PaymentSurplusRefunded)] == ["paid_twice"]
        assert await till.balance() == AMOUNT.minor


@pytest.mark.parametrize("code", ["4242", "1111"])
async def test_a_pix_that_comes_while_a_card_is_charged_pays_and_the_card_gives_back(code: str) -> None:
    slow: list[Slow] = []

    def wrap(mock: MockPaymentProvider) -> Slow:
        slow.append(Slow(mock))
        return slow[0]

    async with PixTill(wrap=wrap) as till:
        await till.ask()
        received = await till.pays()
        await till.pay(code, settle=False)
        await slow[0].asked.wait()
        outcome = await till.store.runtime.transact("payments", lambda ctx: service.pix_received(ctx, received))
        assert outcome == "paid"
        slow[0].go.set()
        await till.store.settle()
        (paid,) = till.store.events(PaymentSucceeded)
        assert paid.method == "pix"
        assert till.store.events(PaymentFailed) == []
        assert await till.balance() == AMOUNT.minor
        assert len(till.store.events(PaymentSurplusRefunded)) == (1 if code == "4242" else 0)
        (row,) = await till.store.rows(select(attempts))
        assert row["outcome"] == ("surplus" if code == "4242" else "insufficient_funds")


@pytest.mark.parametrize("turns", range(0, 40, 3))
async def test_card_and_pix_at_once_never_keep_twice_the_money(turns: int) -> None:
    async with PixTill() as till:
        await till.ask()
        received = await till.pays()
        await till.pay("4242", settle=False)
        for _ in range(turns):  # so many turns of the loop further each time
            await asyncio.sleep(0)
        await till.tell(received)
        assert len(till.store.events(PaymentSucceeded)) == 1
        assert len(till.store.events(PaymentSurplusRefunded)) <= 1
        assert await till.balance() == AMOUNT.minor


# --- late -----------------------------------------------------------------------------------------------------------


async def test_a_pix_whose_callback_comes_after_the_end_is_a_late_capture() -> None:
    async with PixTill() as till:
        await till.ask()
        received = await till.pays()
        await till.store.move(timedelta(minutes=31))
        assert len(till.store.events(PaymentExpired)) == 1
        assert await till.tell(received) == "paid"
        (paid,) = till.store.events(PaymentSucceeded)
        assert paid.late


async def test_a_pix_for_a_cancelled_order_is_told_so_that_orders_gives_it_back() -> None:
    async with PixTill() as till:
        await till.ask()
        received = await till.pays()
        await till.store.publish(CancelPayment(order_id=OrderId("o1"), customer_id=BUYER))
        await till.store.settle()
        assert await till.tell(received) == "paid"
        await till.store.publish(PaymentRefund(order_id=OrderId("o1"), customer_id=BUYER, reason="customer"))
        await till.store.settle()
        assert await till.balance() == 0


async def test_the_bank_takes_no_pix_after_its_time_and_none_twice() -> None:
    async with PixTill() as till:
        await till.ask("o1")
        await till.store.move(timedelta(minutes=31))
        with pytest.raises(Conflict, match="over"):
            await till.pays()
        await till.ask("o2")
        await till.pays()
        with pytest.raises(Conflict, match="already"):
            await till.pays()
        with pytest.raises(NotFound):
            await till.mock.pay_pix("0" * 32)


async def test_a_txid_is_one_charge() -> None:
    async with PixTill() as till:
        ends = till.clock.now() + timedelta(minutes=5)
        first = await till.mock.pix("a" * 32, AMOUNT, ends)
        assert await till.mock.pix("a" * 32, AMOUNT, ends) == first
        with pytest.raises(KeyReused):
            await till.mock.pix("a" * 32, Money(minor=1), ends)


# --- over HTTP ------------------------------------------------------------------------------------------------------


class Shop:
    """The till behind HTTP, with the mock's bank on the other side."""

    def __init__(self, till: PixTill) -> None:
        self.till = till
        self.callbacks = SignedCallbacks("mock", SECRET, till.clock)
        self.app = FastAPI()
        problems.install(self.app)
        transport = httpx.ASGITransport(self.app)
        self.http = httpx.AsyncClient(transport=transport, base_url="https://shop.test")
        self.bank = MockBank(
            till.mock,
            self.callbacks,
            "https://shop.test/webhooks/payments/mock",
            httpx.AsyncClient(transport=transport),
        )
        self.app.include_router(router(till.store.runtime, callbacks=self.callbacks, payer=self.bank))
        self.app.include_router(bank_router(self.bank, authorize=StaffAuth("staff-token-of-the-tests")))

    async def post(self, headers: dict[str, str], body: bytes, provider: str = "mock") -> httpx.Response:
        answer = await self.http.post(f"/webhooks/payments/{provider}", content=body, headers=headers)
        await self.till.store.settle()
        return answer

    async def until_told(self) -> None:
        async with asyncio.timeout(10):
            while await self.till.mock.untold():  # the bank is a world of its own
                await asyncio.sleep(0.01)
        await self.till.store.settle()


@asynccontextmanager
async def shop() -> AsyncGenerator[Shop]:
    async with PixTill() as till:
        found = Shop(till)
        try:
            await till.ask()
            yield found
        finally:
            await found.bank.close()
            await found.http.aclose()


async def test_a_signed_callback_pays_and_a_second_one_changes_nothing() -> None:
    async with shop() as it:
        headers, body = it.callbacks.write([await it.till.pays()])
        first, second = await it.post(headers, body), await it.post(headers, body)
        assert (first.status_code, first.json()) == (200, {"received": ["paid"]})
        assert (second.status_code, second.json()) == (200, {"received": ["known"]})
        assert len(it.till.store.events(PaymentSucceeded)) == 1


async def test_a_callback_without_the_providers_signature_is_401_and_does_nothing() -> None:
    async with shop() as it:
        received = await it.till.pays()
        headers, body = it.callbacks.write([received])
        stranger, _ = SignedCallbacks("mock", "another-secret-than-ours", it.till.clock).write([received])
        stamp, _, digest = headers[HEADER].partition(",")
        moved = f"t={int(stamp[2:]) + 1},{digest}"
        for wrong in (
            {},
            {HEADER: ""},
            {HEADER: "t=1,v1=0"},
            {HEADER: moved},
            {HEADER: headers[HEADER].upper()},
            stranger,
        ):
            answer = await it.post(wrong, body)
            assert (answer.status_code, answer.json()["title"]) == (401, "bad signature")
        assert (await it.post(headers, body + b" ")).status_code == 401
        assert it.till.store.events(PaymentSucceeded) == []


async def test_a_callback_that_somebody_kept_is_not_believed_later() -> None:
    async with shop() as it:
        headers, body = it.callbacks.write([await it.till.pays()])
        it.till.clock.move(BELIEVED_FOR + timedelta(seconds=1))
        assert (await it.post(headers, body)).status_code == 401
        assert it.till.store.events(PaymentSucceeded) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{}",
        b"\xff\xfe",
        b'{"pix": {}}',
        b'{"pix": [{"txid": "a"}]}',
        json.dumps({"pix": [{"endToEndId": "E", "txid": "x" * 41, "valor": "1.00", "horario": "2026-01-01T00:00:00Z"}]}).encode(),
        json.dumps({"pix": [{"endToEndId": "E", "txid": "a", "valor": "1,00", "horario": "2026-01-01T00:00:00Z"}]}).encode(),
        json.dumps({"pix": [{"endToEndId": "E", "txid": "a", "valor": "-1.00", "horario": "2026-01-01T00:00:00Z"}]}).encode(),
        json.dumps({"pix": [{"endToEndId": "E", "txid": "a", "valor": "1.00", "horario": "2026-01-01T00:00:00"}]}).encode(),
        json.dumps({"pix": [{"endToEndId": "", "txid": "a", "valor": "1.00", "horario": "yesterday"}]}).encode(),
    ],
)  # fmt: skip
async def test_a_signed_body_that_is_no_callback_is_422(body: bytes) -> None:
    async with shop() as it:
        stamp = str(int(it.till.clock.now().timestamp()))
        headers = {HEADER: f"t={stamp},v1={it.callbacks._digest(stamp, body)}"}
        answer = await it.post(headers, body)
        assert answer.status_code == 422
        assert answer.json()["title"] == "invalid input"


async def test_a_callback_is_for_the_provider_that_is_set_and_of_bounded_size() -> None:
    async with shop() as it:
        headers, body = it.callbacks.write([await it.till.pays()])
        assert (await it.post(headers, body, provider="other")).status_code == 404
        assert (await it.post(headers, b" " * (LONGEST_CALLBACK + 1))).status_code == 413


async def test_a_delivery_of_several_pays_each() -> None:
    async with shop() as it:
        first = await it.till.pays()
        await it.till.ask("o2")
        second = await it.till.pays()
        answer = await it.post(*it.callbacks.write([first, second, first]))
        assert answer.json() == {"received": ["paid", "paid", "known"]}
        assert len(it.till.store.events(PaymentSucceeded)) == 2


async def test_the_page_shows_code_and_picture_and_its_button_pays_by_a_callback() -> None:
    async with shop() as it:
        link, code = it.till.link, it.till.link.pix
        assert code is not None
        page = await it.http.get(link.link)
        text = TEXTS["pt"]
        for expected in (code.copy_paste, f'src="..{code.image}"', text["pix_copy"], text["pix_simulate"]):
            assert expected in page.text
        assert "img-src 'self'" in page.headers["content-security-policy"]
        answer = await it.http.post(f"/pay/{link.payment_id}/pix", data={"t": it.till.token})
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"../{link.payment_id}?t=")
        await it.until_told()
        assert [one.method for one in it.till.store.events(PaymentSucceeded)] == ["pix"]
        status = await it.http.get(f"/pay/{link.payment_id}/status", params={"t": it.till.token})
        assert status.json()["state"] == "paid"
        again = await it.http.post(f"/pay/{link.payment_id}/pix", data={"t": it.till.token})
        assert again.headers["location"].endswith("n=late")
        assert len(await it.till.mock.captures()) == 1


async def test_the_button_is_for_who_has_the_link() -> None:
    async with shop() as it:
        for payment_id, token in ((it.till.link.payment_id, "wrong"), ("nobody", it.till.token)):
            assert (await it.http.post(f"/pay/{payment_id}/pix", data={"t": token})).status_code == 404
        assert await it.till.mock.captures() == []


async def test_without_a_mock_there_is_no_button_to_pay_with() -> None:
    async with PixTill() as till:
        await till.ask()
        app = FastAPI()
        app.include_router(router(till.store.runtime))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://shop.test") as client:
            page = await client.get(till.link.link)
            assert TEXTS["pt"]["pix_copy"] in page.text
            assert TEXTS["pt"]["pix_simulate"] not in page.text
            for path in (f"/pay/{till.link.payment_id}/pix", "/webhooks/payments/mock"):
                assert (await client.post(path, data={"t": till.token})).status_code == 404


async def test_the_banks_rest_side_pays_by_the_code_and_delivers_again() -> None:
    async with shop() as it:
        assert it.till.link.pix is not None
        body = {"copy_paste": it.till.link.pix.copy_paste}
        assert (await it.http.post("/simulator/pix/pay", json=body)).status_code == 401
        paid = await it.http.post("/simulator/pix/pay", json=body, headers=STAFF)
        assert (paid.status_code, paid.json()["status"]) == (201, "CONCLUIDA")
        await it.until_told()
        txid = paid.json()["txid"]
        again = await it.http.post(f"/simulator/pix/{txid}/callback", headers=STAFF)
        assert again.json() == {"status": 200}
        await it.till.store.settle()
        assert len(it.till.store.events(PaymentSucceeded)) == 1
        shown = await it.http.get(f"/simulator/pix/{txid}", headers=STAFF)
        assert shown.json()["valor"] == "123.45"
        assert shown.json()["told_at"] is not None
        assert (await it.http.get(f"/simulator/pix/{'0' * 32}", headers=STAFF)).status_code == 404
        broken = {"copy_paste": body["copy_paste"][:-1] + "x"}
        assert (await it.http.post("/simulator/pix/pay", json=broken, headers=STAFF)).status_code == 422


async def test_a_lost_callback_is_delivered_by_hand_and_late() -> None:
    async with shop() as it:
        assert it.till.link.pix is not None
        txid = it.till.link.pix.txid
        assert (await it.http.post(f"/simulator/pix/{txid}/callback", headers=STAFF)).status_code == 409
        body = {"copy_paste": it.till.link.pix.copy_paste, "tell": False}
        await it.http.post("/simulator/pix/pay", json=body, headers=STAFF)
        await it.till.store.move(timedelta(minutes=31))
        assert len(it.till.store.events(PaymentExpired)) == 1
        await it.http.post(f"/simulator/pix/{txid}/callback", headers=STAFF)
        await it.till.store.settle()
        assert [one.late for one in it.till.store.events(PaymentSucceeded)] == [True]


async def test_what_was_not_acknowledged_is_told_by_the_next_process() -> None:
    async with shop() as it:
        await it.till.pays()  # and the process is killed before it tells
        await it.bank.start()
        await it.until_told()
        assert len(it.till.store.events(PaymentSucceeded)) == 1


async def test_a_page_of_an_attempt_that_a_pix_overtook_says_that_it_is_paid() -> None:
    async with shop() as it:
        await it.post(*it.callbacks.write([await it.till.pays()]))
        with pytest.raises(Conflict) as refusal:
            await it.till.store.call(
                SubmitOnPage(payment_id=it.till.link.payment_id, token=it.till.token, code="4242", attempt=1)
            )
        assert refusal.value.code == "already-paid"
        assert TEXTS["pt"]["paid"] in (await it.http.get(it.till.link.link)).text
