"""Orders: the state machine and its saga (reserve → request payment → commit → confirm)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from agent_store.contracts.common import Address, DeliveryMethod, Language, PricedLine, Shape
from agent_store.contracts.inventory import Missing
from agent_store.kernel.event import Event
from agent_store.kernel.ids import ConversationId, CustomerId, OrderId
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Tool

OrderState = Literal[
    "created", "reserved", "awaiting_payment", "paid", "confirmed", "picked", "shipped", "delivered",
    "rejected", "cancelled",
]  # fmt: skip


class Delivery(Shape):
    method: DeliveryMethod
    service: str | None = None
    """Carrier service for a delivery."""
    price: Money
    address: Address | None = None
    location: str | None = None
    """Store id for a pickup."""
    location_name: str | None = None
    earliest: date | None = None
    latest: date | None = None


class OrderView(Shape):
    """`total` is subtotal plus delivery, to the cent. `number` is what people say: AS-7K3F9Q."""

    id: OrderId
    number: str
    customer_id: CustomerId
    conversation_id: ConversationId | None = None
    brand: str
    language: Language = "pt"
    state: OrderState
    version: int
    lines: tuple[PricedLine, ...]
    subtotal: Money
    delivery: Delivery
    total: Money
    payment_link: str | None = None
    reason: str | None = None
    tracking: str | None = None
    created_at: datetime
    updated_at: datetime


class PlaceOrder(Tool[OrderView], name="orders.place", writes=True):
    """Order what is in the cart. The price is worked out here and now by the price engine, never by the caller.
    Refused (conflict) when the cart is empty or changed since `cart_version`; the payment link follows by itself."""

    cart_version: int
    delivery: DeliveryMethod
    service: str | None = None
    """Carrier service of the quote ("economico", "expresso"); needed for a delivery."""
    address: Address | None = None
    """Needed for a delivery."""
    location: str | None = None
    """Store id; needed for a pickup."""
    expected_total: Money | None = None
    """What the customer was told; refused (conflict) when the real total differs."""


class ListMyOrders(Tool[tuple[OrderView, ...]], name="orders.mine"):
    """The customer's orders, newest first."""

    limit: int = Field(default=5, ge=1, le=50)


class GetMyOrder(Tool[OrderView], name="orders.status"):
    """One of the customer's orders by its number; without one, the newest."""

    number: str | None = None


class CancelOrder(Tool[OrderView], name="orders.cancel", writes=True):
    """Cancel an order that is not on its way yet; what was paid is refunded."""

    number: str
    reason: str = Field(default="", max_length=200)


class ListOrders(Tool[tuple[OrderView, ...]], name="orders.list", staff_only=True):
    """Orders for staff, newest first."""

    state: OrderState | None = None
    customer_id: CustomerId | None = None
    before: datetime | None = None
    limit: int = Field(default=50, ge=1, le=200)


class GetOrder(Tool[OrderView], name="orders.get", staff_only=True):
    """One order by number or id, for staff."""

    number: str


class PickOrder(Tool[OrderView], name="orders.pick", writes=True, staff_only=True):
    """The goods are off the shelf and packed. Doing it again changes nothing."""

    number: str


class ShipOrder(Tool[OrderView], name="orders.ship", writes=True, staff_only=True):
    """The parcel is with the carrier (for a pickup: ready at the counter)."""

    number: str
    carrier: str = ""
    tracking: str = ""


class DeliverOrder(Tool[OrderView], name="orders.deliver", writes=True, staff_only=True):
    """The customer has it."""

    number: str


class OrderCreate(Event, type="store.order.create", topic="order", subject="order_id", partition="customer_id"):
    """Command, for those who order by event (kiosk, web): the same as `orders.place`. `order_id` is the key."""

    order_id: OrderId
    customer_id: CustomerId
    conversation_id: ConversationId | None = None
    language: Language = "pt"
    lease_token: int | None = None
    place: PlaceOrder


class OrderFact(Event):
    """What every fact of an order carries."""

    order_id: OrderId
    customer_id: CustomerId
    version: int
    order: OrderView


class OrderCreated(
    OrderFact, type="store.order.created", topic="order",
    subject="order_id", partition="customer_id", sequence="version",
):  # fmt: skip
    """The order is written; stock is being reserved."""


class OrderRejected(
    OrderFact, type="store.order.rejected", topic="order",
    subject="order_id", partition="customer_id", sequence="version",
):  # fmt: skip
    """It could not be: `missing` and `alternatives` (product ids) say what of and what instead."""

    missing: tuple[Missing, ...] = ()
    alternatives: tuple[str, ...] = ()
    refunded: bool = False


class OrderConfirmed(
    OrderFact, type="store.order.confirmed", topic="order",
    subject="order_id", partition="customer_id", sequence="version",
):  # fmt: skip
    """Payment is in and stock is committed; nothing has left a shelf yet."""


class OrderPicked(
    OrderFact, type="store.order.picked", topic="order",
    subject="order_id", partition="customer_id", sequence="version",
):  # fmt: skip
    pass


class OrderShipped(
    OrderFact, type="store.order.shipped", topic="order",
    subject="order_id", partition="customer_id", sequence="version",
):  # fmt: skip
    pass


class OrderDelivered(
    OrderFact, type="store.order.delivered", topic="order",
    subject="order_id", partition="customer_id", sequence="version",
):  # fmt: skip
    pass


class OrderCancelled(
    OrderFact, type="store.order.cancelled", topic="order",
    subject="order_id", partition="customer_id", sequence="version",
):  # fmt: skip
    """By the customer, by staff, or because nobody paid in time (`order.reason`)."""


class OrderStatusUpdate(
    OrderFact, type="store.order.status.update", topic="order",
    subject="order_id", partition="customer_id", sequence="version",
):  # fmt: skip
    """Every step of the saga that no other fact tells (reserved, awaiting payment, paid)."""
