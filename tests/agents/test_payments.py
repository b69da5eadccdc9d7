from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Self

import pytest
from sqlalchemy import select

from agent_store.adapters.payments.mock import MockPaymentProvider
from agent_store.agents.payments.agent import payments
from agent_store.agents.payments.ports import ChargeOutcome, PaymentProvider, PixCharge, RefundOutcome
from agent_store.agents.payments.settings import PaymentsSettings
from agent_store.agents.payments.tables import attempts
from agent_store.agents.payments.tables import payments as table
from agent_store.contracts.brands import Directory
from agent_store.contracts.payments import (
    CancelPayment,
    CardSubmitted,
    GetPaymentPage,
    GetPendingPayment,
    PaymentExpired,
    PaymentFailed,
    PaymentLinkCreated,
    PaymentRefund,
    PaymentRefunded,
    PaymentRequest,
    PaymentSucceeded,
    SubmitOnPage,
    SubmitTestCard,
)
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound, StaleSpeaker, TemporaryError
from agent_store.kernel.ids import ConversationId, OrderId
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Principal
from tests.agents.selling import BUYER, Brands, customer
from tests.support.store import TestStore

AMOUNT = Money(minor=12_345)


class Till:
    """The payments agent alone, with the mock provider; `provider` wraps it to misbehave."""

    def __init__(
        self,
        *,
        wrap: Callable[[MockPaymentProvider], PaymentProvider] | None = None,
        max_attempts: int = 20,
    ) -> None:
        self.clock = ManualClock()
        self.mock = MockPaymentProvider(self.clock, lambda: self.store.runtime.store)
        self.store = TestStore(
            [payments],
            ports={
                PaymentProvider: wrap(self.mock) if wrap else self.mock,
                PaymentsSettings: PaymentsSettings("https://shop.test", max_attempts=max_attempts),
                Directory: Brands(),
            },
            clock=self.clock,
        )

    async def __aenter__(self) -> Self:
        await self.store.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.store.__aexit__(*exc)

    async def ask(self, order_id: str = "o1", *, minutes: float = 30, **more: Any) -> None:
        request = PaymentRequest(
            order_id=OrderId(order_id),
            order_number=f"AS-{order_id.upper()}",
            customer_id=BUYER,
            conversation_id=ConversationId("v1"),
            brand="fashion",
            amount=AMOUNT,
            expires_at=self.clock.now() + timedelta(minutes=minutes),
            **more,
        )
        await self.store.publish(request, channel="whatsapp")
        await self.store.settle()

    async def pay(self, code: str = "4242", *, settle: bool = True) -> None:
        await self.store.call(SubmitTestCard(code=code), customer())
        if settle:
            await self.store.settle()

    async def retry(self, times: int) -> None:
        """Let so many planned retries come due, one after the other."""
        for _ in range(times):
            await self.store.move(timedelta(seconds=10))

    @property
    def link(self) -> PaymentLinkCreated:
        return self.store.events(PaymentLinkCreated)[-1]

    @property
    def token(self) -> str:
        return self.link.link.partition("?t=")[2]


class Slow:
    """A provider whose charges wait until they are let go; by then the mock has taken the money or not."""

    def __init__(self, mock: MockPaymentProvider) -> None:
        self._mock = mock
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def charge(self, token: str, amount: Money, idempotency_key: str) -> ChargeOutcome:
        self.asked.set()
        await self.go.wait()
        return await self._mock.charge(token, amount, idempotency_key)

    async def pix(self, txid: str, amount: Money, expires_at: datetime) -> PixCharge | None:
        return await self._mock.pix(txid, amount, expires_at)

    async def refund(self, reference: str, amount: Money, idempotency_key: str) -> RefundOutcome:
        return await self._mock.refund(reference, amount, idempotency_key)


class Forgetful:
    """A provider that takes the money, and whose answer is lost so many times."""

    def __init__(self, mock: MockPaymentProvider, lost: int) -> None:
        self._mock = mock
        self._lost = lost

    async def charge(self, token: str, amount: Money, idempotency_key: str) -> ChargeOutcome:
        return await self._lose(lambda: self._mock.charge(token, amount, idempotency_key))

    async def pix(self, txid: str, amount: Money, expires_at: datetime) -> PixCharge | None:
        return await self._mock.pix(txid, amount, expires_at)

    async def refund(self, reference: str, amount: Money, idempotency_key: str) -> RefundOutcome:
        return await self._lose(lambda: self._mock.refund(reference, amount, idempotency_key))

    async def _lose(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        outcome = await ask()
        if self._lost:
            self._lost -= 1
            raise TemporaryError("the connection broke before the answer")
        return outcome


# --- links ----------------------------------------------------------------------------------------------------------


async def test_a_request_becomes_one_link_whatever_the_number_of_requests() -> None:
    async with Till() as till:
        await till.ask()
        await till.ask()
        (link,) = till.store.events(PaymentLinkCreated)
        assert link.link.startswith(f"https://shop.test/pay/{link.payment_id}?t=")
        assert len(till.token) >= 32
        assert (link.order_number, link.amount, link.conversation_id) == ("AS-O1", AMOUNT, "v1")
        pending = await till.store.call(GetPendingPayment(), customer())
        assert pending is not None
        assert (pending.state, pending.link) == ("open", link.link)
        assert await till.store.call(GetPendingPayment(), customer("c2")) is None


async def test_the_newest_open_payment_is_the_pending_one() -> None:
    async with Till() as till:
        await till.ask("o1")
        await till.store.move(timedelta(minutes=1))
        await till.ask("o2")
        await till.pay()
        pending = await till.store.call(GetPendingPayment(), customer())
        assert pending is not None
        assert pending.order_id == "o1"
        assert [one.order_id for one in till.store.events(PaymentSucceeded)] == ["o2"]


async def test_a_link_ends_when_its_time_is_over() -> None:
    async with Till() as till:
        await till.ask()
        await till.store.move(timedelta(minutes=31))
        (expired,) = till.store.events(PaymentExpired)
        assert expired.order_id == "o1"
        with pytest.raises(Conflict) as refusal:
            await till.pay()
        assert refusal.value.code == "nothing-to-pay"
        with pytest.raises(Conflict) as refusal:
            await till.store.call(
                SubmitOnPage(payment_id=till.link.payment_id, token=till.token, code="4242", attempt=1)
            )
        assert refusal.value.code == "payment-expired"


async def test_a_link_whose_timer_is_late_takes_no_money_either() -> None:
    async with Till() as till:
        await till.ask()
        till.clock.move(timedelta(minutes=31))
        with pytest.raises(Conflict, match="expired"):
            await till.pay()
        assert await till.mock.journal() == []


async def test_a_request_that_comes_after_its_time_expires_at_once() -> None:
    async with Till() as till:
        await till.ask(minutes=-1)
        await till.store.move(timedelta(seconds=1))
        assert len(till.store.events(PaymentExpired)) == 1


async def test_an_order_that_is_gone_gets_no_link_even_when_the_cancellation_comes_first() -> None:
    async with Till() as till:
        await till.store.publish(CancelPayment(order_id=OrderId("o1"), customer_id=BUYER))
        await till.store.settle()
        await till.ask("o1")
        assert till.store.events(PaymentLinkCreated) == []
        await till.ask("o2")
        await till.store.publish(CancelPayment(order_id=OrderId("o2"), customer_id=BUYER))
        await till.store.settle()
        with pytest.raises(Conflict, match="no open payment"):
            await till.pay()
        await till.store.move(timedelta(minutes=31))
        assert till.store.events(PaymentExpired) == []


# --- cards ----------------------------------------------------------------------------------------------------------


async def test_4242_pays_once_and_a_second_submission_is_refused() -> None:
    till, provider = await slow_till()
    async with till:
        await till.ask()
        await till.pay("4242", settle=False)
        with pytest.raises(Conflict) as refusal:
            await till.pay("4242")
        assert refusal.value.code == "payment-processing"
        provider.go.set()
        await till.store.settle()
        (paid,) = till.store.events(PaymentSucceeded)
        assert (paid.amount, paid.method, paid.late, paid.captured_at) == (AMOUNT, "test_card", False, till.clock.now())
        with pytest.raises(Conflict, match="no open payment"):
            await till.pay()
        assert len(await till.mock.captures()) == 1
        (row,) = await till.store.rows(select(attempts))
        assert (row["outcome"], row["via"], row["attempt"]) == ("captured", "chat", 1)


@pytest.mark.parametrize(
    ("code", "failure", "first"),
    [
        ("1111", "insufficient_funds", "try_other_card"),
        ("2222", "expired_card", "check_expiry"),
        ("3333", "network_error", "try_again"),
    ],
)
async def test_each_failing_card_leaves_the_payment_open_and_says_what_to_do(
    code: str, failure: str, first: str
) -> None:
    async with Till() as till:
        await till.ask()
        await till.pay(code)
        (failed,) = till.store.events(PaymentFailed)
        assert (failed.failure, failed.attempt, failed.via, failed.link) == (failure, 1, "chat", till.link.link)
        assert failed.suggestions[0] == first
        assert failed.suggestions[-1] == "talk_to_person"
        assert "pay_on_page" in failed.suggestions
        assert await till.mock.captures() == []
        pending = await till.store.call(GetPendingPayment(), customer())
        assert pending is not None
        assert (pending.state, pending.attempts, pending.last_failure) == ("open", 1, failure)
        await till.pay("4242")
        assert len(till.store.events(PaymentSucceeded)) == 1
        assert len(await till.mock.captures()) == 1


async def test_any_other_code_is_refused_before_anything_is_written() -> None:
    async with Till() as till:
        await till.ask()
        with pytest.raises(InvalidInput, match="4242"):
            await till.pay("9999")
        (row,) = await till.store.rows(select(table))
        assert (row["state"], row["attempts"]) == ("open", 0)


async def test_attempts_have_an_end() -> None:
    async with Till(max_attempts=2) as till:
        await till.ask()
        await till.pay("1111")
        await till.pay("2222")
        with pytest.raises(Conflict) as refusal:
            await till.pay("4242")
        assert refusal.value.code == "too-many-attempts"


async def test_a_payment_needs_a_customer_and_a_speaker_whose_time_is_not_over() -> None:
    async with Till() as till:
        await till.ask()
        with pytest.raises(Forbidden):
            await till.store.call(SubmitTestCard(code="4242"), Principal())
        await till.store.call(SubmitTestCard(code="1111"), customer(conversation_id="v1", lease_token=5))
        await till.store.settle()
        with pytest.raises(StaleSpeaker):
            await till.store.call(SubmitTestCard(code="4242"), customer(conversation_id="v1", lease_token=4))


async def test_facts_go_to_the_payments_own_channel_even_when_a_timer_causes_them() -> None:
    async with Till() as till:
        await till.ask()
        await till.pay("1111")
        await till.store.move(timedelta(minutes=31))
        ours = [one for one in till.store.envelopes if one.source == "/agent-store/payments"]
        assert {(one.brand, one.channel, one.partitionkey) for one in ours} == {("fashion", "whatsapp", "c1")}


# --- once -----------------------------------------------------------------------------------------------------------


async def test_a_lost_answer_is_asked_for_again_and_charged_once() -> None:
    async with Till(wrap=lambda mock: Forgetful(mock, 3)) as till:
        await till.ask()
        await till.pay()
        await till.retry(3)
        assert len(till.store.events(PaymentSucceeded)) == 1
        (charge,) = await till.mock.journal()
        assert charge.asked == 4


async def test_a_kill_at_any_moment_of_a_charge_charges_once() -> None:
    for stop_after in range(16):
        async with Till() as till:
            await till.ask()
            await till.pay(settle=False)
            for _ in range(stop_after):  # so many turns of the loop further each time
                await asyncio.sleep(0)
            await till.store.kill_and_restart()
            await till.store.settle()
            assert len(till.store.events(PaymentSucceeded)) == 1
            assert len(await till.mock.captures()) == 1


async def test_a_card_submitted_twice_under_two_event_ids_is_charged_once() -> None:
    async with Till() as till:
        await till.ask()
        await till.pay()
        await till.store.publish(till.store.events(CardSubmitted)[0])
        await till.store.settle()
        assert len(await till.mock.captures()) == 1
        assert len(till.store.events(PaymentSucceeded)) == 1


async def test_a_refund_happens_once_whatever_the_number_of_commands() -> None:
    async with Till(wrap=lambda mock: Forgetful(mock, 0)) as till:
        await till.ask()
        await till.pay()
        for _ in range(3):
            await till.store.publish(PaymentRefund(order_id=OrderId("o1"), customer_id=BUYER, reason="customer"))
        await till.store.settle()
        (refunded,) = till.store.events(PaymentRefunded)
        assert (refunded.amount, refunded.reason) == (AMOUNT, "customer")
        assert len(await till.mock.refunds()) == 1


async def test_a_refund_whose_answer_is_lost_is_asked_for_again_and_given_once() -> None:
    class LosesRefunds(Forgetful):
        async def charge(self, token: str, amount: Money, idempotency_key: str) -> ChargeOutcome:
            return await self._mock.charge(token, amount, idempotency_key)

    async with Till(wrap=lambda mock: LosesRefunds(mock, 2)) as till:
        await till.ask()
        await till.pay()
        await till.store.publish(PaymentRefund(order_id=OrderId("o1"), customer_id=BUYER, reason="x"))
        await till.store.settle()
        await till.retry(2)
        assert len(till.store.events(PaymentRefunded)) == 1
        (refund,) = await till.mock.refunds()
        assert refund.asked == 3


async def test_a_refund_of_what_was_never_paid_is_a_dead_letter_that_says_so() -> None:
    async with Till() as till:
        await till.ask()
        await till.store.publish(PaymentRefund(order_id=OrderId("o1"), customer_id=BUYER, reason="x"))
        await till.store.settle()
        (dead,) = await till.store.dead()
        assert "never paid" in dead.error
        assert await till.mock.journal() == []


# --- what comes late ------------------------------------------------------------------------------------------------


async def slow_till() -> tuple[Till, Slow]:
    kept: list[Slow] = []

    def wrap(mock: MockPaymentProvider) -> PaymentProvider:
        kept.append(Slow(mock))
        return kept[0]

    return Till(wrap=wrap), kept[0]


async def test_a_charge_that_succeeds_after_the_link_expired_is_a_late_capture() -> None:
    till, provider = await slow_till()
    async with till:
        await till.ask()
        await till.pay(settle=False)
        await provider.asked.wait()
        till.clock.move(timedelta(minutes=31))
        provider.go.set()
        await till.store.settle()
        await till.store.move(timedelta(minutes=1))
        (paid,) = till.store.events(PaymentSucceeded)
        assert paid.late
        assert till.store.events(PaymentExpired) == []


async def test_a_charge_that_fails_after_the_link_expired_ends_the_payment() -> None:
    till, provider = await slow_till()
    async with till:
        await till.ask()
        await till.pay("1111", settle=False)
        await provider.asked.wait()
        till.clock.move(timedelta(minutes=31))
        provider.go.set()
        await till.store.settle()
        await till.store.move(timedelta(minutes=1))
        assert len(till.store.events(PaymentExpired)) == 1
        assert till.store.events(PaymentSucceeded) == []


async def test_a_submission_that_waited_until_the_link_expired_is_not_charged() -> None:
    async with Till() as till:
        await till.ask()
        await till.store.call(SubmitTestCard(code="4242"), customer())
        till.clock.move(timedelta(minutes=31))
        await till.store.settle()
        assert await till.mock.journal() == []
        assert len(till.store.events(PaymentExpired)) == 1
        await till.store.move(timedelta(minutes=1))
        assert len(till.store.events(PaymentExpired)) == 1
        (row,) = await till.store.rows(select(attempts))
        assert row["outcome"] == "not_charged"


# --- the page's tools -----------------------------------------------------------------------------------------------


async def test_the_link_is_the_credential_of_the_page() -> None:
    async with Till() as till:
        await till.ask()
        page = await till.store.call(GetPaymentPage(payment_id=till.link.payment_id, token=till.token))
        assert (page.brand_name, page.color, page.state) == ("Moda Aurora", "#b03060", "open")
        for payment_id, token in ((till.link.payment_id, "wrong"), ("wrong", till.token), (till.link.payment_id, "")):
            with pytest.raises(NotFound):
                await till.store.call(GetPaymentPage(payment_id=payment_id, token=token))
            with pytest.raises(NotFound):
                await till.store.call(SubmitOnPage(payment_id=payment_id, token=token, code="4242", attempt=1))


async def test_a_page_that_is_out_of_date_cannot_pay() -> None:
    async with Till() as till:
        await till.ask()
        call = SubmitOnPage(payment_id=till.link.payment_id, token=till.token, code="1111", attempt=1)
        await till.store.call(call)
        await till.store.settle()
        with pytest.raises(Conflict) as refusal:
            await till.store.call(call)
        assert refusal.value.code == "attempt-over"
        (failed,) = till.store.events(PaymentFailed)
        assert failed.via == "page"
        assert "pay_on_page" not in failed.suggestions
