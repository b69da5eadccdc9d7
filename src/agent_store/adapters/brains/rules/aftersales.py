"""After the order: paying, the link, where it is, cancelling."""

from __future__ import annotations

from agent_store.adapters.brains.rules import checkout
from agent_store.adapters.brains.rules.memory import Pending
from agent_store.adapters.brains.rules.turn import Failed, Turn
from agent_store.adapters.brains.rules.understanding import Act
from agent_store.contracts.orders import CancelOrder, GetMyOrder, ListMyOrders, OrderView
from agent_store.contracts.payments import GetPendingPayment, SubmitTestCard

_TOO_LATE = frozenset({"shipped", "delivered"})
_OVER = frozenset({"cancelled", "rejected"})


async def card(turn: Turn, act: Act) -> None:
    """One of the four test codes. How it ends is told by a message of its own."""
    result = await turn.ask(SubmitTestCard(code=act.card or ""))
    if not isinstance(result, Failed):
        turn.say("paying", number=result.order_number)
        return
    if result.code in ("budget", "unavailable"):
        turn.say("trouble")
        return
    pending = await turn.ask(GetPendingPayment())
    if not isinstance(pending, Failed) and pending is not None and pending.state == "processing":
        turn.say("paying", number=pending.order_number)
    elif not isinstance(pending, Failed) and pending is None:
        turn.choose(turn.t("nothing_to_pay"), [("view_cart", turn.t("b_cart")), ("my_orders", turn.t("b_orders"))])
    else:
        turn.say("trouble")


async def link(turn: Turn, act: Act) -> None:
    pending = await turn.ask(GetPendingPayment())
    if isinstance(pending, Failed):
        turn.say("trouble")
    elif pending is None:
        turn.choose(turn.t("nothing_to_pay"), [("view_cart", turn.t("b_cart")), ("my_orders", turn.t("b_orders"))])
    elif pending.state == "processing":
        turn.say("paying", number=pending.order_number)
    else:
        turn.say("link_here", number=pending.order_number, amount=pending.amount, link=pending.link)


async def pix(turn: Turn, act: Act) -> None:
    """ "Manda o pix": the code of what waits to be paid, alone, so that it can be copied. With nothing ordered yet it is how they
    want to pay."""
    pending = await turn.ask(GetPendingPayment())
    if isinstance(pending, Failed):
        turn.say("trouble")
    elif pending is None:
        await checkout.start(turn, act)
    elif pending.state == "processing":
        turn.say("paying", number=pending.order_number)
    elif pending.pix is None:
        turn.say("link_here", number=pending.order_number, amount=pending.amount, link=pending.link)
    else:
        turn.say("pix_here", number=pending.order_number, amount=pending.amount)
        turn.text(pending.pix.copy_paste)


async def status(turn: Turn, act: Act) -> None:
    """ "Cadê meu pedido?": one by its number, else the newest ones."""
    number = act.order or act.key or None
    if number is not None:
        one = await turn.ask(GetMyOrder(number=number[:32]))
        if isinstance(one, Failed):
            turn.say("order_unknown" if one.code in ("not-found", "forbidden", "invalid-input") else "trouble")
            return
        _tell(turn, one)
        return
    orders = await turn.ask(ListMyOrders(limit=3))
    if isinstance(orders, Failed):
        turn.say("trouble")
        return
    if not orders:
        turn.choose(turn.t("no_orders"), [("categories", turn.t("b_categories")), ("view_cart", turn.t("b_cart"))])
        return
    _tell(turn, orders[0])
    others = orders[1:]
    if others:
        rows = [(f"status:{order.number}", order.number, turn.t(f"state_{order.state}")) for order in others]
        turn.memory.pending = Pending("orders", choices=tuple((row[0], row[1]) for row in rows))
        turn.choose(turn.t("other_orders"), rows)


def _tell(turn: Turn, order: OrderView) -> None:
    turn.memory.order = order.number
    lines = [turn.t("order_line", number=order.number, state=turn.t(f"state_{order.state}"))]
    lines.extend(f"• {line.quantity} × {line.title}" for line in order.lines[:6])
    lines.append(turn.t("order_total", total=order.total))
    if order.state == "awaiting_payment" and order.payment_link:
        lines.append(turn.t("order_pay", link=order.payment_link))
    if order.tracking:
        lines.append(turn.t("order_tracking", tracking=order.tracking))
    delivery = order.delivery
    if order.state in ("paid", "confirmed", "picked", "shipped"):
        if delivery.method == "pickup" and delivery.location_name:
            lines.append(turn.t("order_pickup", store=delivery.location_name))
        elif delivery.latest is not None:
            lines.append(turn.t("order_until", date=turn.voice.date(delivery.latest)))
    turn.text("\n".join(lines))


async def cancel(turn: Turn, act: Act) -> None:
    """Never without asking: which order, and is it still possible?"""
    order: OrderView | Failed | None
    if act.order:
        order = await turn.ask(GetMyOrder(number=act.order))
    else:
        orders = await turn.ask(ListMyOrders(limit=5))
        if isinstance(orders, Failed):
            order = orders
        else:
            order = next((one for one in orders if one.state not in _OVER | _TOO_LATE), orders[0] if orders else None)
    if order is None:
        turn.say("no_orders")
    elif isinstance(order, Failed):
        turn.say("order_unknown" if order.code in ("not-found", "forbidden", "invalid-input") else "trouble")
    elif order.state in _OVER:
        turn.say("cancelled_already", number=order.number)
    elif order.state in _TOO_LATE:
        turn.choose(turn.t("too_late", number=order.number), [("person", turn.t("b_person"))])
    else:
        turn.memory.pending = Pending("cancel", yes=f"cancel_yes:{order.number}", no="cancel_no", order=order.number)
        turn.choose(
            turn.t("cancel_sure", number=order.number, total=order.total),
            [(f"cancel_yes:{order.number}", turn.t("b_cancel_yes")), ("cancel_no", turn.t("b_cancel_no"))],
        )


async def cancel_now(turn: Turn, act: Act) -> None:
    result = await turn.ask(CancelOrder(number=act.key[:32]))
    if not isinstance(result, Failed):
        turn.say("cancelled", number=result.number)
    elif result.code == "not-found":
        turn.say("order_unknown")
    elif result.code == "conflict":
        turn.choose(turn.t("cannot_cancel"), [("person", turn.t("b_person"))])
    else:
        turn.say("trouble")


async def cancel_kept(turn: Turn, act: Act) -> None:
    turn.say("cancel_kept")
