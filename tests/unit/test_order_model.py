"""The order's state machine: by example, against noise, and in a small world with stock and a bank."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent_store.agents.orders.model import LAPSED_RANK, MAX_ATTEMPTS, RANK, UNPAID, Order
from agent_store.contracts.cart import CartOrdered
from agent_store.contracts.common import PricedLine
from agent_store.contracts.inventory import (
    InventoryCommit,
    InventoryCommitRefused,
    InventoryCommitted,
    InventoryRefused,
    InventoryRelease,
    InventoryReserve,
    InventoryReserved,
    Missing,
)
from agent_store.contracts.orders import (
    Delivery,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    OrderFact,
    OrderRejected,
    OrderState,
)
from agent_store.contracts.payments import (
    CancelPayment,
    PaymentExpired,
    PaymentLinkCreated,
    PaymentRefund,
    PaymentRequest,
    PaymentSucceeded,
)
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.errors import Conflict, InvalidInput
from agent_store.kernel.event import Event
from agent_store.kernel.ids import CustomerId, OrderId, Sku
from agent_store.kernel.money import Money

ORDER, BUYER, SKU = OrderId("o"), CustomerId("c"), Sku("A")
WINDOW, MARGIN = timedelta(minutes=30), timedelta(minutes=5)
HOLD = WINDOW + MARGIN
SOLD: tuple[OrderState, ...] = ("confirmed", "picked", "shipped", "delivered")


def order(clock: ManualClock, quantity: int = 1, minor: int = 1_000, shipping: int = 500) -> Order:
    line = PricedLine(
        sku=SKU, product_id="a", title="A", quantity=quantity, unit=Money(minor=minor),
        total=Money(minor=minor) * quantity, brand="fashion",
    )  # fmt: skip
    return Order(
        id=ORDER, number="AS-1", customer_id=BUYER, brand="fashion", lines=(line,), subtotal=line.total,
        delivery=Delivery(method="delivery", price=Money(minor=shipping)),
        total=line.total + Money(minor=shipping), created_at=clock.now(), updated_at=clock.now(),
    )  # fmt: skip


class Watch:
    """What must hold after every single thing that happens to an order."""

    def __init__(self, subject: Order) -> None:
        self.order = subject
        self.rank, self.state, self.version = -1, "", 0
        self.told = -1
        self.refunds = 0
        self.kinds: list[type[Event]] = []

    def look(self, events: Iterable[Event]) -> None:
        subject, events = self.order, list(events)
        self.kinds += [type(event) for event in events]
        for fact in events:
            if isinstance(fact, OrderFact):
                assert fact.version == self.version + 1, "each fact is the next version"
                assert fact.order.version == fact.version
                lapsed = fact.order.state == "cancelled" and fact.order.reason == UNPAID
                rank = LAPSED_RANK if lapsed else RANK[fact.order.state]
                assert rank > self.told, "each fact tells of a step forward"
                self.told = rank
                self.version = fact.version
                assert sum(line.total.minor for line in fact.order.lines) == fact.order.subtotal.minor
                assert fact.order.subtotal + fact.order.delivery.price == fact.order.total
        assert subject.version == self.version, "no version without its fact"
        moved = (subject.state, subject.lapsed) != self.state
        assert subject.rank > self.rank if moved else subject.rank == self.rank, "states go forward only"
        self.rank, self.state = subject.rank, (subject.state, subject.lapsed)  # type: ignore[assignment]
        self.refunds += sum(isinstance(event, PaymentRefund) for event in events)
        assert self.refunds <= 1
        assert subject.refunding == (self.refunds == 1)
        if RANK["paid"] <= RANK[subject.state] < RANK["cancelled"]:
            assert subject.captured
            assert not subject.refunding
        if subject.state in SOLD:
            assert subject.stock == "committed"
        if subject.captured and subject.over:
            assert subject.refunding
        if subject.refunding:
            assert subject.captured
            assert subject.over
        assert 1 <= subject.attempt <= MAX_ATTEMPTS


# --- by example -----------------------------------------------------------------------------------------------------


class Told:
    """An order and what has come out of it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.order = order(self.clock)
        self.watch = Watch(self.order)
        self.placed = self.note(self.order.placed(HOLD))

    def note(self, events: list[Event]) -> list[Event]:
        self.watch.look(events)
        return events

    def reserved(self, attempt: int = 1) -> list[Event]:
        now = self.clock.now()
        return self.note(self.order.stock_reserved(attempt, now + HOLD, MARGIN, now))

    def linked(self) -> list[Event]:
        return self.note(self.order.payment_link_created("https://x", self.clock.now()))

    def captured(self) -> list[Event]:
        return self.note(self.order.payment_succeeded(self.order.total, HOLD, self.clock.now()))

    def committed(self) -> list[Event]:
        return self.note(self.order.stock_committed(self.clock.now()))

    def commit_refused(self) -> list[Event]:
        return self.note(self.order.stock_commit_refused(HOLD, self.clock.now()))

    def refused(self, attempt: int = 1) -> list[Event]:
        return self.note(self.order.stock_refused(attempt, (), ("b",), self.clock.now()))

    def expired(self) -> list[Event]:
        return self.note(self.order.payment_expired(self.clock.now()))

    def cancelled(self, by: Any = "customer") -> list[Event]:
        return self.note(self.order.cancel(by, "", self.clock.now()))


def kinds(events: Iterable[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def only(events: Iterable[Event], kind: type[Any]) -> Any:
    (found,) = [event for event in events if isinstance(event, kind)]
    return found


def test_placing_tells_reserves_and_empties_the_cart() -> None:
    told = Told()
    created, reserve, cart = told.placed
    assert isinstance(created, OrderCreated)
    assert isinstance(reserve, InventoryReserve)
    assert isinstance(cart, CartOrdered)
    assert reserve.expires_at == told.clock.now() + HOLD


def test_the_link_ends_a_margin_before_the_reservation() -> None:
    told = Told()
    request = only(told.reserved(), PaymentRequest)
    assert request.expires_at == told.clock.now() + WINDOW


def test_money_before_the_reservation_waits_for_it() -> None:
    told = Told()
    assert told.captured() == []
    assert told.order.state == "created"
    assert kinds(told.reserved()) == ["OrderStatusUpdate", "OrderStatusUpdate", "InventoryCommit"]
    assert told.order.state == "paid"
    assert kinds(told.committed()) == ["OrderConfirmed"]


def test_a_link_before_the_reservation_is_kept() -> None:
    told = Told()
    assert told.linked() == []
    told.reserved()
    assert (told.order.state, told.order.payment_link) == ("awaiting_payment", "https://x")


def test_money_for_a_link_that_never_arrived_is_as_good() -> None:
    told = Told()
    told.reserved()
    told.captured()
    told.linked()
    assert told.order.state == "paid"


def test_a_refused_commit_that_is_told_twice_reserves_again_once() -> None:
    told = Told()
    told.reserved()
    told.captured()
    assert only(told.commit_refused(), InventoryReserve).attempt == 2
    assert told.commit_refused() == []
    assert kinds(told.reserved(2)) == ["InventoryCommit"]
    assert told.order.state == "paid"


def test_an_order_that_is_refused_again_and_again_gives_up_and_refunds() -> None:
    told = Told()
    told.reserved()
    told.captured()
    for attempt in range(2, MAX_ATTEMPTS + 1):
        told.commit_refused()
        told.reserved(attempt)
    events = told.commit_refused()
    assert kinds(events) == ["PaymentRefund", "OrderRejected", "InventoryRelease"]
    assert only(events, OrderRejected).refunded
    assert only(told.committed(), InventoryRelease).sold, "a commit that came through after all is put back"


def test_an_answer_to_an_earlier_attempt_changes_nothing() -> None:
    told = Told()
    told.reserved()
    told.captured()
    told.commit_refused()
    assert told.refused(1) == []
    assert told.reserved(1) == []
    assert (told.order.state, told.order.stock) == ("paid", "reserving")


def test_late_money_reserves_again() -> None:
    told = Told()
    told.reserved()
    told.linked()
    assert only(told.expired(), OrderCancelled).order.reason == UNPAID
    assert only(told.captured(), InventoryReserve).attempt == 2
    assert told.order.state == "cancelled"
    told.reserved(2)
    told.committed()
    assert (told.order.state, told.order.reason) == ("confirmed", None)


def test_late_money_without_stock_goes_back() -> None:
    told = Told()
    told.reserved()
    told.expired()
    told.captured()
    events = told.refused(2)
    assert only(events, OrderRejected).refunded
    assert only(events, OrderRejected).alternatives == ("b",)
    assert only(events, PaymentRefund).order_id == "o"


def test_a_customer_who_cancels_what_nobody_paid_in_time_ends_it_for_good() -> None:
    told = Told()
    told.reserved()
    told.expired()
    told.cancelled()
    assert told.order.over
    assert kinds(told.captured()) == ["PaymentRefund"]


def test_a_commit_that_is_told_before_the_money_confirms_when_it_comes() -> None:
    told = Told()
    told.reserved()
    assert told.committed() == []
    assert kinds(told.captured()) == ["OrderStatusUpdate", "OrderConfirmed"]


def test_a_rejected_order_that_has_a_link_lets_nobody_pay() -> None:
    told = Told()
    told.linked()
    assert kinds(told.refused()) == ["CancelPayment", "OrderRejected"]
    assert kinds(told.captured()) == ["PaymentRefund"]


def test_a_cancelled_order_lets_go_of_what_arrives_for_it() -> None:
    told = Told()
    assert kinds(told.cancelled()) == ["OrderCancelled", "InventoryRelease", "CancelPayment"]
    assert kinds(told.reserved()) == ["InventoryRelease"]
    assert kinds(told.linked()) == ["CancelPayment"]
    assert only(told.committed(), InventoryRelease).sold
    assert kinds(told.captured()) == ["PaymentRefund"]
    assert told.captured() == []
    assert told.refused() == []
    assert told.commit_refused() == []
    assert told.expired() == []


def test_cancelling_what_is_paid_refunds_and_puts_back_what_may_be_sold() -> None:
    told = Told()
    told.reserved()
    told.captured()
    events = told.cancelled("staff")
    assert only(events, InventoryRelease).sold
    assert only(events, PaymentRefund).reason == "staff"
    assert CancelPayment not in told.watch.kinds


def test_a_rejected_order_cannot_be_cancelled() -> None:
    told = Told()
    told.refused()
    with pytest.raises(Conflict, match="rejected"):
        told.cancelled()


def test_a_wrong_amount_is_not_taken_for_the_orders_money() -> None:
    told = Told()
    told.reserved()
    with pytest.raises(InvalidInput, match="by hand"):
        told.order.payment_succeeded(Money(minor=1), HOLD, told.clock.now())
    assert not told.order.captured


def test_an_order_whose_money_does_not_add_up_cannot_be() -> None:
    good = order(ManualClock())
    with pytest.raises(InvalidInput, match="sum"):
        replace(good, total=Money(minor=1))
    broken = good.lines[0].model_copy(update={"total": Money(minor=1)})
    with pytest.raises(InvalidInput, match="quantity times unit"):
        replace(good, lines=(broken,))


# --- against noise --------------------------------------------------------------------------------------------------

ATTEMPT = st.integers(1, 4)


class Noise(RuleBasedStateMachine):
    """Every fact and command at any time, any number of times, with any attempt. What ends an order comes after
    `patience` other things, so that the ways that go far are walked as often as the short ones."""

    @initialize(
        quantity=st.integers(1, 999),
        minor=st.integers(1, 10**7),
        shipping=st.integers(0, 10**5),
        patience=st.integers(0, 15),
    )
    def begin(self, quantity: int, minor: int, shipping: int, patience: int) -> None:
        self.patience = patience
        self.clock = ManualClock()
        self.order = order(self.clock, quantity, minor, shipping)
        self.watch = Watch(self.order)
        self.watch.look(self.order.placed(HOLD))

    @rule(attempt=ATTEMPT)
    def reserved(self, attempt: int) -> None:
        now = self.clock.now()
        self.patience -= 1
        self.watch.look(self.order.stock_reserved(attempt, now + HOLD, MARGIN, now))

    @precondition(lambda self: self.patience <= 0)
    @rule(attempt=ATTEMPT)
    def refused(self, attempt: int) -> None:
        missing = (Missing(sku=SKU, wanted=1, available=0),)
        self.watch.look(self.order.stock_refused(attempt, missing, ("b",), self.clock.now()))

    @rule()
    def linked(self) -> None:
        self.watch.look(self.order.payment_link_created("https://x", self.clock.now()))

    @rule()
    def captured(self) -> None:
        self.patience -= 1
        self.watch.look(self.order.payment_succeeded(self.order.total, HOLD, self.clock.now()))

    @precondition(lambda self: self.patience <= 0)
    @rule()
    def expired(self) -> None:
        self.watch.look(self.order.payment_expired(self.clock.now()))

    @rule()
    def committed(self) -> None:
        self.patience -= 1
        self.watch.look(self.order.stock_committed(self.clock.now()))

    @rule()
    def commit_refused(self) -> None:
        self.watch.look(self.order.stock_commit_refused(HOLD, self.clock.now()))

    @precondition(lambda self: self.patience <= 0)
    @rule(by=st.sampled_from(["customer", "staff"]))
    def cancel(self, by: Any) -> None:
        try:
            self.watch.look(self.order.cancel(by, "", self.clock.now()))
        except Conflict:
            assert self.order.state in ("shipped", "delivered", "rejected")

    @rule(step=st.sampled_from(["pick", "ship", "deliver"]))
    def staff(self, step: str) -> None:
        more = ("BR1",) if step == "ship" else ()
        try:
            self.watch.look(getattr(self.order, step)(*more, self.clock.now()))
        except Conflict:
            assert self.order.state not in SOLD or RANK[self.order.state] < RANK["delivered"]


Noise.TestCase.settings = settings(max_examples=300, deadline=None)
TestNoise = Noise.TestCase


# --- in a small world -----------------------------------------------------------------------------------------------


@dataclass
class Shelf:
    """Stock of one unit's kind, answering as inventory does."""

    free: int
    attempts: dict[int, str] = field(default_factory=dict)

    def reserve(self, command: InventoryReserve) -> Event | None:
        if any(known >= command.attempt or state == "committed" for known, state in self.attempts.items()):
            return None
        for known in self.attempts:
            self.let_go(known)
        who: dict[str, Any] = {"order_id": "o", "customer_id": "c", "attempt": command.attempt}
        if self.free < 1:
            self.attempts[command.attempt] = "refused"
            return InventoryRefused(**who, missing=(Missing(sku=SKU, wanted=1, available=self.free),))
        self.free -= 1
        self.attempts[command.attempt] = "held"
        return InventoryReserved(**who, allocations=(), expires_at=command.expires_at)

    def commit(self, command: InventoryCommit) -> Event | None:
        attempt = command.attempt or 1
        match self.attempts.get(attempt):
            case "held":
                self.attempts[attempt] = "committed"
                return InventoryCommitted(order_id=ORDER, customer_id=BUYER)
            case "committed" | "returned":
                return None
            case _:
                return InventoryCommitRefused(order_id=ORDER, customer_id=BUYER)

    def release(self, command: InventoryRelease) -> None:
        last = command.attempt or 1
        for attempt, state in self.attempts.items():
            if attempt <= last:
                self.let_go(attempt)
                if command.sold and state == "committed":
                    self.attempts[attempt] = "returned"
                    self.free += 1
        self.attempts.setdefault(last, "released")

    def let_go(self, attempt: int, state: str = "released") -> None:
        if self.attempts.get(attempt) == "held":
            self.attempts[attempt] = state
            self.free += 1


@dataclass
class Bank:
    """The order's payment, answering as payments does; `unsure` is a charge whose outcome is not known yet."""

    amount: Money
    state: str = "none"
    unsure: bool = False
    refunded: bool = False
    captured: bool = False

    def fact(self, kind: type[Any], **more: Any) -> Event:
        return kind(
            order_id=ORDER,
            order_number="AS-1",
            customer_id=BUYER,
            payment_id="p",
            brand="fashion",
            amount=self.amount,
            **more,
        )


class World(RuleBasedStateMachine):
    """Commands and facts are delivered in any order, some of them twice; reservations and links expire when they like;
    a capture may come after the link's end. When the dust has settled, everything adds up."""

    STOCK = 2

    @initialize()
    def begin(self) -> None:
        self.clock = ManualClock()
        self.order = order(self.clock)
        self.watch = Watch(self.order)
        self.shelf = Shelf(self.STOCK)
        self.others = 0
        self.bank = Bank(self.order.total)
        self.mail: list[Event] = []
        self.take(self.order.placed(HOLD))

    def take(self, events: Iterable[Event]) -> None:
        events = list(events)
        self.watch.look(events)
        self.mail += events

    @precondition(lambda self: self.mail)
    @rule(data=st.data(), twice=st.booleans())
    def deliver(self, data: st.DataObject, twice: bool) -> None:
        index = data.draw(st.integers(0, len(self.mail) - 1))
        message = self.mail[index] if twice else self.mail.pop(index)
        self.handle(message)

    @rule()
    def reservation_expires(self) -> None:
        for attempt in list(self.shelf.attempts):
            self.shelf.let_go(attempt, "expired")

    @precondition(lambda self: self.shelf.free > 0)
    @rule()
    def another_customer_buys_one(self) -> None:
        self.shelf.free -= 1
        self.others += 1

    @precondition(lambda self: self.bank.state == "open" and not self.bank.unsure)
    @rule()
    def customer_pays(self) -> None:
        self.bank.unsure = True

    @precondition(lambda self: self.bank.unsure)
    @rule(success=st.booleans())
    def charge_ends(self, success: bool) -> None:
        self.bank.unsure = False
        if success:
            self.bank.captured = True
            self.bank.state = "paid"
            self.mail.append(self.bank.fact(PaymentSucceeded, method="card", captured_at=self.clock.now()))

    @precondition(lambda self: self.bank.state == "open")
    @rule()
    def link_expires(self) -> None:
        """Even while a charge is unsure: a provider that tells of a capture afterwards makes it a late one."""
        self.bank.state = "expired"
        self.mail.append(self.bank.fact(PaymentExpired))

    @precondition(lambda self: self.order.state not in ("shipped", "delivered", "rejected"))
    @rule(by=st.sampled_from(["customer", "staff"]))
    def cancel(self, by: Any) -> None:
        self.take(self.order.cancel(by, "", self.clock.now()))

    @precondition(lambda self: self.order.state == "confirmed")
    @rule()
    def pick(self) -> None:
        self.take(self.order.pick(self.clock.now()))

    def handle(self, message: Event) -> None:
        now, answer = self.clock.now(), None
        match message:
            case InventoryReserve():
                answer = self.shelf.reserve(message)
            case InventoryCommit():
                answer = self.shelf.commit(message)
            case InventoryRelease():
                self.shelf.release(message)
            case PaymentRequest():
                if self.bank.state == "none":
                    self.bank.state = "open"
                    answer = self.bank.fact(PaymentLinkCreated, link="https://x", expires_at=message.expires_at)
            case CancelPayment():
                if self.bank.state in ("none", "open"):
                    self.bank.state = "cancelled"
            case PaymentRefund():
                assert self.bank.captured, "nothing is refunded that was not captured"
                self.bank.refunded = True
            case InventoryReserved():
                self.take(self.order.stock_reserved(message.attempt, message.expires_at, MARGIN, now))
            case InventoryRefused():
                self.take(self.order.stock_refused(message.attempt, message.missing, (), now))
            case InventoryCommitted():
                self.take(self.order.stock_committed(now))
            case InventoryCommitRefused():
                self.take(self.order.stock_commit_refused(HOLD, now))
            case PaymentLinkCreated():
                self.take(self.order.payment_link_created(message.link, now))
            case PaymentSucceeded():
                self.take(self.order.payment_succeeded(message.amount, HOLD, now))
            case PaymentExpired():
                self.take(self.order.payment_expired(now))
            case _:
                pass
        if answer is not None:
            self.mail.append(answer)

    @invariant()
    def stock_is_conserved(self) -> None:
        out = sum(state in ("held", "committed") for state in self.shelf.attempts.values())
        assert self.shelf.free + self.others + out == self.STOCK
        assert self.shelf.free >= 0

    def settle(self) -> None:
        while self.mail:
            self.handle(self.mail.pop(0))

    def teardown(self) -> None:
        if not hasattr(self, "order"):
            return
        self.settle()
        self.bank.unsure = False
        if self.bank.state == "open":
            self.link_expires()
            self.settle()
        self.reservation_expires()
        self.settle()
        sold = [state for state in self.shelf.attempts.values() if state == "committed"]
        if self.bank.captured:
            kept = self.order.state in SOLD
            assert kept != self.bank.refunded, "what was captured ends confirmed or refunded, never both"
            assert (OrderConfirmed in self.watch.kinds) or not kept
        else:
            assert self.order.state in ("cancelled", "rejected")
            assert not self.bank.refunded
        assert len(sold) == (1 if self.order.state in SOLD else 0), "what is sold is what is confirmed"
        assert "held" not in self.shelf.attempts.values()


World.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestWorld = World.TestCase
