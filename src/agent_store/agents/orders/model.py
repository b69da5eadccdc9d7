"""An order as a pure state machine. Every method takes what has happened and returns the events that follow.

    created → reserved → awaiting_payment → paid → confirmed → picked → shipped → delivered
       └──────────┴──────────────┴───────────┴──→ rejected (no stock), cancelled (by somebody, or nobody paid in time)

Facts of stock and payment come in any order and more than once, so beside the state the order remembers three things
of its own: what it knows of its stock (`stock`, `attempt`), whether its money is in (`captured`) and whether it has
asked for it to be given back (`refunding`).

A state is never left backward. `cancelled` because nobody paid in time is the one cancellation that isn't the end:
it ranks below `paid`, since money that arrives after all (a late capture) reserves again, and then the order is either
paid and confirmed, or rejected and refunded.

Each change of state is one version and one `OrderFact`, so that versions have no gaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeVar

from agent_store.contracts.cart import CartOrdered
from agent_store.contracts.common import Item, Language, PricedLine
from agent_store.contracts.inventory import (
    InventoryCommit,
    InventoryRelease,
    InventoryReserve,
    Missing,
)
from agent_store.contracts.orders import (
    Delivery,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    OrderDelivered,
    OrderFact,
    OrderPicked,
    OrderRejected,
    OrderShipped,
    OrderState,
    OrderStatusUpdate,
    OrderView,
)
from agent_store.contracts.payments import CancelPayment, PaymentRefund, PaymentRequest
from agent_store.kernel.errors import Conflict, InvalidInput
from agent_store.kernel.event import Event
from agent_store.kernel.ids import ConversationId, CustomerId, OrderId
from agent_store.kernel.money import Money

Stock = Literal["reserving", "held", "committing", "committed", "none"]
"""What the order knows of its units: asked for, held, asked to be sold, sold; none: refused or let go."""

MAX_ATTEMPTS = 3
"""Reservations of one order: the first, one after a refused commit, and one more for a late capture among them."""

RANK: dict[OrderState, int] = {
    "created": 0,
    "reserved": 1,
    "awaiting_payment": 2,
    "paid": 4,
    "confirmed": 5,
    "picked": 6,
    "shipped": 7,
    "delivered": 8,
    "rejected": 9,
    "cancelled": 9,
}
LAPSED_RANK = 3
UNPAID = "payment_expired"
"""The reason of an order that was cancelled because nobody paid in time."""

F = TypeVar("F", bound=OrderFact)


@dataclass(slots=True)
class Order:
    """`reason` is a stable id: "payment_expired", "customer", "staff", "out_of_stock", "stock_lost", or why an order
    by event was refused at the door. `note` is what whoever cancelled it wrote."""

    id: OrderId
    number: str
    customer_id: CustomerId
    brand: str
    lines: tuple[PricedLine, ...]
    subtotal: Money
    delivery: Delivery
    total: Money
    created_at: datetime
    updated_at: datetime
    conversation_id: ConversationId | None = None
    channel: str | None = None
    language: Language = "pt"
    cart_version: int | None = None
    state: OrderState = "created"
    version: int = 1
    stock: Stock = "reserving"
    attempt: int = 1
    captured: bool = False
    refunding: bool = False
    payment_link: str | None = None
    reason: str | None = None
    note: str = ""
    tracking: str | None = None

    def __post_init__(self) -> None:
        total = self.delivery.price
        for line in self.lines:
            if line.unit * line.quantity != line.total:
                raise InvalidInput(f"order {self.number}: {line.sku} is not quantity times unit price")
            total += line.total
        if total != self.subtotal + self.delivery.price or total != self.total:
            raise InvalidInput(f"order {self.number}: total is not the sum of its lines and delivery")

    @property
    def lapsed(self) -> bool:
        """Cancelled since nobody paid in time: the only cancellation that a late capture can undo."""
        return self.state == "cancelled" and self.reason == UNPAID

    @property
    def over(self) -> bool:
        """Rejected or cancelled for good."""
        return self.state == "rejected" or (self.state == "cancelled" and not self.lapsed)

    @property
    def rank(self) -> int:
        """Grows with every change of state."""
        return LAPSED_RANK if self.lapsed else RANK[self.state]

    def view(self) -> OrderView:
        return OrderView(
            id=self.id,
            number=self.number,
            customer_id=self.customer_id,
            conversation_id=self.conversation_id,
            brand=self.brand,
            language=self.language,
            state=self.state,
            version=self.version,
            lines=self.lines,
            subtotal=self.subtotal,
            delivery=self.delivery,
            total=self.total,
            payment_link=self.payment_link,
            reason=self.reason,
            tracking=self.tracking,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )

    # --- what happens to it -------------------------------------------------------------------------------------

    def placed(self, hold: timedelta) -> list[Event]:
        """It has just been written: tell of it, reserve its units, take them out of the cart."""
        return [
            OrderCreated(order_id=self.id, customer_id=self.customer_id, version=self.version, order=self.view()),
            self._reserve(self.created_at, hold),
            CartOrdered(customer_id=self.customer_id, order_id=self.id, lines=self.lines),
        ]

    def stock_reserved(self, attempt: int, expires_at: datetime, margin: timedelta, at: datetime) -> list[Event]:
        """The units are held until `expires_at`; the payment link ends `margin` earlier."""
        if attempt != self.attempt:
            return []
        if self.over or (self.lapsed and not self.captured):
            return [self._release(sold=False)]
        if self.stock != "reserving":
            return []
        self.stock = "held"
        events: list[Event] = []
        if self.state == "created":
            events.append(self._step("reserved", at))
        if self.captured:
            return events + self._pay(at)
        events.append(
            PaymentRequest(
                order_id=self.id,
                order_number=self.number,
                customer_id=self.customer_id,
                conversation_id=self.conversation_id,
                brand=self.brand,
                language=self.language,
                amount=self.total,
                expires_at=expires_at - margin,
            )
        )
        if self.payment_link is not None and self.state == "reserved":
            events.append(self._step("awaiting_payment", at))
        return events

    def stock_refused(
        self, attempt: int, missing: tuple[Missing, ...], alternatives: tuple[str, ...], at: datetime
    ) -> list[Event]:
        """Nothing is held: the order cannot be, and money that is in goes back."""
        if attempt != self.attempt or self.stock != "reserving":
            return []
        self.stock = "none"
        return self._reject("out_of_stock", at, missing, alternatives)

    def payment_link_created(self, link: str, at: datetime) -> list[Event]:
        if self.over or (self.lapsed and not self.captured):
            return [CancelPayment(order_id=self.id, customer_id=self.customer_id)]
        if self.payment_link is not None:
            return []
        self.payment_link = link
        return [self._step("awaiting_payment", at)] if self.state == "reserved" else []

    def payment_succeeded(self, amount: Money, hold: timedelta, at: datetime) -> list[Event]:
        """The money is in, in time or late. Raises InvalidInput when it isn't the order's total."""
        if amount != self.total:
            raise InvalidInput(f"order {self.number} costs {self.total} and {amount} was paid: look into it by hand")
        if self.captured:
            return []
        self.captured = True
        if self.over:
            return self._refund(self.reason or self.state)
        if self.lapsed:
            return self._reserve_again(hold, at)
        if self.stock in ("held", "committed"):
            return self._pay(at)
        return []  # still reserving: `stock_reserved` goes on from here

    def payment_expired(self, at: datetime) -> list[Event]:
        """Nobody paid in time."""
        if self.captured or RANK[self.state] >= RANK["paid"]:
            return []
        return self._cancel(UNPAID, at)

    def stock_committed(self, at: datetime) -> list[Event]:
        """The units are sold."""
        if self.over or self.lapsed:
            return [self._release(sold=True)]
        if self.stock == "committed":
            return []
        self.stock = "committed"
        if self.state == "paid":
            return [self._confirm(at)]
        return []

    def stock_commit_refused(self, hold: timedelta, at: datetime) -> list[Event]:
        """The reservation was gone before the units could be sold: reserve again, a bounded number of times."""
        if self.over or self.stock != "committing":
            return []
        return self._reserve_again(hold, at)

    def cancel(self, by: Literal["customer", "staff"], note: str, at: datetime) -> list[Event]:
        """Raises Conflict when it is on its way, or was rejected. Cancelling again changes nothing."""
        if self.state in ("shipped", "delivered"):
            raise Conflict(f"order {self.number} is {self.state}: it can be returned, not cancelled", state=self.state)
        if self.state == "rejected":
            raise Conflict(f"order {self.number} was rejected: there is nothing to cancel", state=self.state)
        if self.over:
            return []
        self.note = note
        return self._cancel(by, at)

    def pick(self, at: datetime) -> list[Event]:
        return self._advance("picked", "confirmed", OrderPicked, at)

    def ship(self, tracking: str, at: datetime) -> list[Event]:
        if self.state == "picked":
            self.tracking = tracking or None
        return self._advance("shipped", "picked", OrderShipped, at)

    def deliver(self, at: datetime) -> list[Event]:
        return self._advance("delivered", "shipped", OrderDelivered, at)

    # --- the pieces ---------------------------------------------------------------------------------------------

    def _move(self, state: OrderState, at: datetime, reason: str | None = None) -> None:
        self.state, self.reason = state, reason
        self.version += 1
        self.updated_at = at

    def _fact(self, kind: type[F]) -> F:
        return kind(order_id=self.id, customer_id=self.customer_id, version=self.version, order=self.view())

    def _step(self, state: OrderState, at: datetime) -> Event:
        self._move(state, at)
        return self._fact(OrderStatusUpdate)

    def _pay(self, at: datetime) -> list[Event]:
        events = [] if self.state == "paid" else [self._step("paid", at)]  # it is paid when a commit was refused
        if self.stock == "committed":
            return [*events, self._confirm(at)]
        self.stock = "committing"
        return [*events, InventoryCommit(order_id=self.id, customer_id=self.customer_id, attempt=self.attempt)]

    def _confirm(self, at: datetime) -> Event:
        self._move("confirmed", at)
        return self._fact(OrderConfirmed)

    def _cancel(self, reason: str, at: datetime) -> list[Event]:
        sold = self.stock in ("committing", "committed")
        self.stock = "none"
        self._move("cancelled", at, reason)
        events: list[Event] = [self._fact(OrderCancelled), self._release(sold=sold)]
        if self.captured:
            return events + self._refund(reason)
        if reason != UNPAID:
            events.append(CancelPayment(order_id=self.id, customer_id=self.customer_id))
        return events

    def _reject(
        self, reason: str, at: datetime, missing: tuple[Missing, ...] = (), alternatives: tuple[str, ...] = ()
    ) -> list[Event]:
        self._move("rejected", at, reason)
        events = self._refund(reason) if self.captured else []
        if not self.captured and self.payment_link is not None:
            events.append(CancelPayment(order_id=self.id, customer_id=self.customer_id))
        events.append(
            OrderRejected(
                order_id=self.id,
                customer_id=self.customer_id,
                version=self.version,
                order=self.view(),
                missing=missing,
                alternatives=alternatives,
                refunded=self.captured,
            )
        )
        return events

    def _reserve(self, at: datetime, hold: timedelta) -> Event:
        address = self.delivery.address
        return InventoryReserve(
            order_id=self.id,
            customer_id=self.customer_id,
            lines=tuple(Item(sku=line.sku, quantity=line.quantity) for line in self.lines),
            location=self.delivery.location,
            near_cep=address.cep if address else None,
            expires_at=at + hold,
            attempt=self.attempt,
        )

    def _reserve_again(self, hold: timedelta, at: datetime) -> list[Event]:
        if self.attempt >= MAX_ATTEMPTS:
            self.stock = "none"
            return [*self._reject("stock_lost", at), self._release(sold=True)]
        self.attempt += 1
        self.stock = "reserving"
        return [self._reserve(at, hold)]

    def _release(self, *, sold: bool) -> Event:
        return InventoryRelease(order_id=self.id, customer_id=self.customer_id, sold=sold, attempt=self.attempt)

    def _refund(self, reason: str) -> list[Event]:
        self.refunding = True
        return [PaymentRefund(order_id=self.id, customer_id=self.customer_id, reason=reason)]

    def _advance(self, to: OrderState, needs: OrderState, kind: type[OrderFact], at: datetime) -> list[Event]:
        """Staff steps: again is nothing, out of turn is a Conflict that names what is missing."""
        if self.state == needs:
            self._move(to, at)
            return [self._fact(kind)]
        if RANK[to] <= RANK[self.state] <= RANK["delivered"]:
            return []
        raise Conflict(f"order {self.number} is {self.state}: only a {needs} one can be {to}", state=self.state)
