"""Orders: reserve → request payment → commit → confirm, and the way back when a step fails."""

from __future__ import annotations

from agent_store.agents.orders import service
from agent_store.agents.orders.tables import metadata
from agent_store.contracts.inventory import (
    InventoryCommitRefused,
    InventoryCommitted,
    InventoryRefused,
    InventoryReserved,
)
from agent_store.contracts.orders import (
    CancelOrder,
    DeliverOrder,
    GetMyOrder,
    GetOrder,
    ListMyOrders,
    ListOrders,
    OrderCreate,
    OrderView,
    PickOrder,
    PlaceOrder,
    ShipOrder,
)
from agent_store.contracts.payments import PaymentExpired, PaymentLinkCreated, PaymentSucceeded
from agent_store.kernel.agent import Agent
from agent_store.kernel.context import Context

orders = Agent("orders", tables=metadata)


@orders.tool(PlaceOrder, steps=True)
async def place(call: PlaceOrder, ctx: Context) -> OrderView:
    return await service.place(ctx, call)


@orders.process(OrderCreate)
async def place_by_event(event: OrderCreate, ctx: Context) -> None:
    await service.place_by_event(ctx, event)


@orders.on(InventoryReserved)
async def reserved(event: InventoryReserved, ctx: Context) -> None:
    await service.react(
        ctx,
        event.order_id,
        lambda order, settings, at: order.stock_reserved(
            event.attempt, event.expires_at, settings.reservation_margin, at
        ),
    )


@orders.process(InventoryRefused)
async def refused(event: InventoryRefused, ctx: Context) -> None:
    await service.refused(ctx, event)


@orders.on(PaymentLinkCreated)
async def keep_link(event: PaymentLinkCreated, ctx: Context) -> None:
    await service.react(ctx, event.order_id, lambda order, _, at: order.payment_link_created(event.link, at))


@orders.on(PaymentSucceeded)
async def paid(event: PaymentSucceeded, ctx: Context) -> None:
    await service.react(
        ctx, event.order_id, lambda order, settings, at: order.payment_succeeded(event.amount, settings.hold, at)
    )


@orders.on(PaymentExpired)
async def unpaid(event: PaymentExpired, ctx: Context) -> None:
    await service.react(ctx, event.order_id, lambda order, _, at: order.payment_expired(at))


@orders.on(InventoryCommitted)
async def committed(event: InventoryCommitted, ctx: Context) -> None:
    await service.react(ctx, event.order_id, lambda order, _, at: order.stock_committed(at))


@orders.on(InventoryCommitRefused)
async def commit_refused(event: InventoryCommitRefused, ctx: Context) -> None:
    await service.react(ctx, event.order_id, lambda order, settings, at: order.stock_commit_refused(settings.hold, at))


@orders.tool(ListMyOrders)
async def mine(call: ListMyOrders, ctx: Context) -> tuple[OrderView, ...]:
    return await service.mine(ctx, call.limit)


@orders.tool(GetMyOrder)
async def status(call: GetMyOrder, ctx: Context) -> OrderView:
    return await service.status(ctx, call)


@orders.tool(CancelOrder)
async def cancel(call: CancelOrder, ctx: Context) -> OrderView:
    return await service.cancel(ctx, call)


@orders.tool(ListOrders)
async def listing(call: ListOrders, ctx: Context) -> tuple[OrderView, ...]:
    return await service.listing(ctx, call)


@orders.tool(GetOrder)
async def get(call: GetOrder, ctx: Context) -> OrderView:
    return await service.get(ctx, call.number)


@orders.tool(PickOrder)
async def pick(call: PickOrder, ctx: Context) -> OrderView:
    return await service.advance(ctx, call.number, lambda order, at: order.pick(at))


@orders.tool(ShipOrder)
async def ship(call: ShipOrder, ctx: Context) -> OrderView:
    return await service.ship(ctx, call)


@orders.tool(DeliverOrder)
async def deliver(call: DeliverOrder, ctx: Context) -> OrderView:
    return await service.advance(ctx, call.number, lambda order, at: order.deliver(at))
