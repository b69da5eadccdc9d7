from __future__ import annotations

from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent_store.agents.payments.model import Payment, State, suggestions
from agent_store.contracts.payments import FailureCode
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.errors import Conflict
from agent_store.kernel.ids import CustomerId, OrderId
from agent_store.kernel.money import Money

NEXT: dict[State, set[State]] = {
    "open": {"processing", "expired", "cancelled"},
    "processing": {"open", "paid", "expired", "cancelled"},
    "paid": {"refunded"},
    "refunded": set(),
    "expired": set(),
    "cancelled": set(),
}
FAILURES = st.sampled_from(get_args(FailureCode))
ATTEMPTS = st.integers(0, 4)


class PaymentMachine(RuleBasedStateMachine):
    """Any order of submissions, outcomes (also doubled and stale), expiry, cancellation and refunds."""

    @initialize()
    def begin(self) -> None:
        self.clock = ManualClock()
        now = self.clock.now()
        self.payment = Payment(
            id="p", order_id=OrderId("o"), order_number="AS-1", customer_id=CustomerId("c"), conversation_id=None, brand="fashion",
            channel=None, language="pt", amount=Money(minor=1), secret="s", link="l",
            expires_at=now + timedelta(minutes=30), created_at=now, updated_at=now,
        )  # fmt: skip
        self.charged: dict[int, bool] = {}
        """What the provider did of an attempt; one attempt ends one way."""
        self.before: State = "open"

    @rule(minutes=st.integers(1, 20))
    def wait(self, minutes: int) -> None:
        self.clock.move(timedelta(minutes=minutes))

    @rule()
    def submit(self) -> None:
        may = self.payment.state == "open" and self.clock.now() < self.payment.expires_at and self.payment.attempts < 4
        try:
            attempt = self.payment.submit("chat", self.clock.now(), 4)
        except Conflict:
            assert not may
        else:
            assert may
            assert attempt == self.payment.attempts

    @rule(attempt=ATTEMPTS, success=st.booleans(), failure=FAILURES)
    def charge(self, attempt: int, success: bool, failure: FailureCode) -> None:
        """As the process does: look, ask the provider, write down."""
        if attempt not in self.charged:
            if not self.payment.may_charge(attempt, self.clock.now()):
                return
            self.charged[attempt] = success
        if self.charged[attempt]:
            self.payment.captured(attempt, f"ref-{attempt}", self.clock.now())
        else:
            self.payment.failed(attempt, failure, self.clock.now())

    @rule(attempt=ATTEMPTS, success=st.none() | st.booleans())
    def begin_to_charge_but_crash(self, attempt: int, success: bool | None) -> None:
        """Killed before the provider was asked (None), or before its outcome was written down."""
        if self.payment.may_charge(attempt, self.clock.now()) and success is not None:
            self.charged.setdefault(attempt, success)

    @rule()
    def expire(self) -> None:
        ended = self.payment.expire(self.clock.now())
        assert not ended or self.clock.now() >= self.payment.expires_at

    @rule()
    def cancel(self) -> None:
        self.payment.cancel(self.clock.now())

    @rule()
    def refund(self) -> None:
        assert self.payment.refund(self.clock.now()) == (self.before == "paid")

    @invariant()
    def states_only_go_where_they_may(self) -> None:
        state = self.payment.state
        # One rule may begin and end an attempt's look, so a step goes over `processing` at most once.
        assert state == self.before or state in NEXT[self.before]
        self.before = state

    @invariant()
    def money_is_taken_at_most_once_and_is_known(self) -> None:
        taken = [attempt for attempt, success in self.charged.items() if success]
        assert len(taken) <= 1
        if self.payment.state in ("paid", "refunded"):
            assert self.payment.reference == f"ref-{taken[0]}"
        elif taken:
            assert self.payment.state == "processing"

    @invariant()
    def only_a_charge_in_flight_can_be_closing(self) -> None:
        assert self.payment.closing is None or self.payment.state == "processing"


TestPaymentMachine = PaymentMachine.TestCase


def in_flight() -> tuple[Payment, ManualClock]:
    """A payment whose first attempt the provider has been asked for."""
    machine = PaymentMachine()
    machine.begin()
    machine.submit()
    assert machine.payment.may_charge(1, machine.clock.now())
    return machine.payment, machine.clock


@pytest.mark.parametrize("end", ["expired", "cancelled"])
def test_a_charge_in_flight_outlives_the_end_of_its_payment(end: State) -> None:
    payment, clock = in_flight()
    clock.move(timedelta(minutes=31))
    assert not (payment.expire(clock.now()) if end == "expired" else payment.cancel(clock.now()))
    assert payment.may_charge(1, clock.now()), "asked once, it is asked again: only the provider knows"
    assert payment.captured(1, "ref", clock.now())
    assert (payment.state, payment.closing) == ("paid", None)


@pytest.mark.parametrize("end", ["expired", "cancelled"])
def test_a_charge_that_fails_after_the_end_of_its_payment_ends_it(end: State) -> None:
    payment, clock = in_flight()
    clock.move(timedelta(minutes=31))
    assert not (payment.expire(clock.now()) if end == "expired" else payment.cancel(clock.now()))
    assert payment.failed(1, "network_error", clock.now())
    assert (payment.state, payment.closing) == (end, None)


def test_a_cancellation_counts_more_than_an_expiry_while_a_charge_is_in_flight() -> None:
    payment, clock = in_flight()
    clock.move(timedelta(minutes=31))
    payment.cancel(clock.now())
    payment.expire(clock.now())
    payment.failed(1, "network_error", clock.now())
    assert payment.state == "cancelled"


@pytest.mark.parametrize("failure", get_args(FailureCode))
def test_every_failure_has_ways_out_and_a_person_is_the_last(failure: FailureCode) -> None:
    for via in ("chat", "page"):
        ways = suggestions(failure, via)  # type: ignore[arg-type]
        assert len(ways) == len(set(ways)) >= 2
        assert ways[-1] == "talk_to_person"
        assert ("pay_on_page" in ways) == (via == "chat" and failure != "link_expired")
