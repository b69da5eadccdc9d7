"""Inventory: what is where, who has been promised what, and every movement that led there."""

from __future__ import annotations

from agent_store.agents.inventory import service
from agent_store.agents.inventory.repository import Locations
from agent_store.agents.inventory.tables import metadata
from agent_store.contracts.catalog import ProductImported
from agent_store.contracts.inventory import (
    AdjustStock,
    Availability,
    GetAvailability,
    ImportLocations,
    InventoryCommit,
    InventoryRelease,
    InventoryReserve,
    ListLocations,
    LocationView,
    ReservationExpired,
)
from agent_store.kernel.agent import Agent
from agent_store.kernel.context import Context

inventory = Agent("inventory", tables=metadata)


@inventory.on(ProductImported)
async def imported(event: ProductImported, ctx: Context) -> None:
    await service.take_over(ctx, event)


@inventory.on(InventoryReserve)
async def reserve(event: InventoryReserve, ctx: Context) -> None:
    await service.reserve(ctx, event)


@inventory.on(InventoryCommit)
async def commit(event: InventoryCommit, ctx: Context) -> None:
    await service.commit(ctx, event)


@inventory.on(InventoryRelease)
async def release(event: InventoryRelease, ctx: Context) -> None:
    await service.release(ctx, event)


@inventory.on(ReservationExpired)
async def expire(event: ReservationExpired, ctx: Context) -> None:
    await service.expire(ctx, event)


@inventory.tool(GetAvailability)
async def availability(call: GetAvailability, ctx: Context) -> tuple[Availability, ...]:
    return await service.availability(ctx, call.skus)


@inventory.tool(ListLocations)
async def locations(call: ListLocations, ctx: Context) -> tuple[LocationView, ...]:
    return await ctx.get(Locations).all()


@inventory.tool(AdjustStock)
async def adjust(call: AdjustStock, ctx: Context) -> Availability:
    return await service.adjust(ctx, call)


@inventory.tool(ImportLocations)
async def import_locations(call: ImportLocations, ctx: Context) -> int:
    return await service.put_locations(ctx, call.locations)
