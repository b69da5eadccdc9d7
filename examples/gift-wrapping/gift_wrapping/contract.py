"""What others may ask: a question, a choice, and the list of what is to be wrapped.

The docstrings are what a model reads. `plain` is for sellers without one: the words by which customers ask for a tool,
and the sentences that tell its result.
"""

from __future__ import annotations

from typing import Literal

from agent_store.contracts.common import Shape
from agent_store.kernel.money import Money
from agent_store.kernel.plain import Plain, Words
from agent_store.kernel.tool import Tool

Style = Literal["standard", "premium"]


class Wrapping(Shape):
    """A way to wrap, or "none" to take a choice back. `title` is in the customer's language."""

    id: Literal["standard", "premium", "none"]
    title: str
    price: Money


class Wrappings(Shape):
    """`items`: titles of what is in the cart, all wrapped as one parcel. Without any, `options` is empty."""

    available: bool
    items: tuple[str, ...] = ()
    options: tuple[Wrapping, ...] = ()
    chosen: Style | None = None


class GetWrappings(Tool[Wrappings], name="gift-wrapping.options"):
    """How the customer's cart can be wrapped as a gift, with the price of each way and what is chosen so far.
    The price is for the whole parcel. It is paid when the parcel is handed over and is not part of the order's total."""

    plain = Plain(
        items="options",
        tap="gift-wrapping.choose",
        arguments={"style": "id"},
        words={
            "pt": Words(
                phrases=(
                    "embrulhar para presente", "embrulho para presente", "embrulha para presente", "embalar para presente",
                    "embalagem de presente", "embalagem para presente", "papel de presente", "embrulho de presente",
                ),
                answer="Embrulhamos para presente, num pacote só: {items}. O embrulho é pago na entrega ou na retirada.",
                item="• {title}: {price}",
                none="Ainda não há nada no seu carrinho para embrulhar. Escolha primeiro o presente 🎁",
                choice="{title}",
            ),
            "en": Words(
                phrases=("gift wrap", "gift wrapping", "gift wrapped", "wrap it as a gift", "wrapped as a gift", "wrapping paper"),
                answer="We wrap it as one gift parcel: {items}. The wrapping is paid at hand-over.",
                item="• {title}: {price}",
                none="There is nothing in your cart to wrap yet. Choose the gift first 🎁",
                choice="{title}",
            ),
            "es": Words(
                phrases=(
                    "papel de regalo", "envolver para regalo", "envuelto para regalo", "envoltorio de regalo", "envolver el regalo",
                ),
                answer="Lo envolvemos para regalo en un solo paquete: {items}. El envoltorio se paga al recibirlo.",
                item="• {title}: {price}",
                none="Todavía no hay nada en tu carrito para envolver. Elige primero el regalo 🎁",
                choice="{title}",
            ),
        },
    )  # fmt: skip


class ChooseWrapping(Tool[Wrapping], name="gift-wrapping.choose", writes=True):
    """Wrap what the customer orders next as a gift, in this way, or not at all ("none"). Choosing again replaces it.
    Refused (conflict) when the cart is empty. Call it only when the customer has said which one."""

    style: Literal["standard", "premium", "none"]

    plain = Plain(
        words={
            "pt": Words(
                answer="Anotado 🎁 {title}: {price}.",
                failed={"conflict": "Seu carrinho está vazio: escolha primeiro o presente 🎁"},
            ),
            "en": Words(
                answer="Noted 🎁 {title}: {price}.",
                failed={"conflict": "Your cart is empty: choose the gift first 🎁"},
            ),
            "es": Words(
                answer="Anotado 🎁 {title}: {price}.",
                failed={"conflict": "Tu carrito está vacío: elige primero el regalo 🎁"},
            ),
        },
    )


class ToWrap(Shape):
    order_number: str
    style: Style
    price: Money


class ListToWrap(Tool[tuple[ToWrap, ...]], name="gift-wrapping.to_wrap", staff_only=True):
    """The confirmed orders that are to be wrapped as gifts, oldest first, for staff."""
