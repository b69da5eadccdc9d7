from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from agent_store.agents.inventory.model import (
    Cause,
    Change,
    Level,
    Reservation,
    Stock,
    allocate,
    wanted_units,
)
from agent_store.agents.inventory.repository import Locations, Reservations, Shelves
from agent_store.contracts.catalog import ProductImported
from agent_store.contracts.inventory import (
    AdjustStock,
    Allocation,
    Availability,
    InventoryCommit,
    InventoryCommitRefused,
    InventoryCommitted,
    InventoryRefused,
    InventoryRelease,
    InventoryReserve,
    InventoryReserved,
    LocationView,
    Missing,
    ProductStockLow,
    ReservationExpired,
    StockUpdated,
)
from agent_store.contracts.places import cep_digits
from agent_store.kernel.context import Context
from agent_store.kernel.errors import Conflict, InvalidInput, NotFound
from agent_store.kernel.ids import Sku


@dataclass(frozen=True, slots=True)
class InventorySettings:
    """`low_stock`: units over all locations; falling below it is told once (`ProductStockLow`)."""

    low_stock: int = 50


async def availability(ctx: Context, skus: Sequence[Sku]) -> tuple[Availability, ...]:
    free: dict[Sku, dict[str, int]] = {}
    for level in await ctx.get(Shelves).levels(tuple(dict.fromkeys(skus))):
        free.setdefault(level.sku, {})[level.location] = level.free
    return tuple(_availability(sku, free.get(sku, {})) for sku in skus)


async def put_locations(ctx: Context, locations: Sequence[LocationView]) -> int:
    ids = [location.id for location in locations]
    if len(set(ids)) != len(ids):
        raise InvalidInput("a location stands in the list twice: each id once", field="locations")
    for location in locations:
        try:
            cep_digits(location.cep)
        except ValueError as error:
            raise InvalidInput(f"location {location.id}: {error}", field="cep") from error
    await ctx.get(Locations).put(locations)
    return len(ids)


async def adjust(ctx: Context, wish: AdjustStock) -> Availability:
    if not wish.change:
        raise InvalidInput("a change of 0 units is none: give the units to add or take away", field="change")
    await _refuse_unknown_locations(ctx, (wish.location,))
    shelves = ctx.get(Shelves)
    if not await shelves.lock((wish.sku,)):
        raise NotFound(f"{wish.sku} is not in stock-keeping: import its product first", sku=wish.sku)
    await shelves.add_levels(((wish.sku, wish.location),))
    level = next(level for level in await shelves.levels((wish.sku,)) if level.location == wish.location)
    if level.on_hand + wish.change < level.reserved:
        raise Conflict(
            f"{wish.sku} at {wish.location}: {level.on_hand} on hand and {level.reserved} of them promised to orders, "
            f"so at most {level.free} can be taken away",
            sku=wish.sku,
            location=wish.location,
            on_hand=level.on_hand,
            reserved=level.reserved,
        )
    change = Change(wish.sku, wish.location, on_hand=wish.change)
    await _move(ctx, (change,), "adjust", reason=wish.reason, staff=ctx.principal.staff)
    return (await availability(ctx, (wish.sku,)))[0]


async def take_over(ctx: Context, event: ProductImported) -> None:
    """Set levels to what a catalogue file counted; a location that it does not name keeps its level.

    Units that are promised to orders are on the shelf, whatever was counted: a level never goes below them. An older
    import than the last one is ignored.
    """
    await _refuse_unknown_locations(ctx, (place for variant in event.variants for place in variant.stock))
    shelves = ctx.get(Shelves)
    skus = [variant.sku for variant in event.variants]
    known = await shelves.lock(skus)
    newer = [v for v in event.variants if v.sku not in known or not 0 < event.revision < known[v.sku].revision]
    await shelves.add_skus(variant.sku for variant in newer if variant.sku not in known)
    await shelves.add_levels((variant.sku, place) for variant in newer for place in variant.stock)
    levels = {(level.sku, level.location): level for level in await shelves.levels(skus)}
    changes: list[Change] = []
    for variant in newer:
        for place, counted in sorted(variant.stock.items()):
            level = levels[variant.sku, place]
            if counted < level.reserved:
                ctx.log.warning(
                    "inventory.count.below_reserved",
                    sku=variant.sku, location=place, counted=counted, reserved=level.reserved,
                )  # fmt: skip
            changes.append(Change(variant.sku, place, on_hand=max(counted, level.reserved) - level.on_hand))
    await _move(ctx, (change for change in changes if change.on_hand), "import")
    if event.revision:
        await shelves.set_revision((variant.sku for variant in newer), event.revision)


async def reserve(ctx: Context, command: InventoryReserve) -> None:
    """Hold all of the units or none. One attempt is answered once; a later attempt replaces an earlier one."""
    repository = ctx.get(Reservations)
    attempts = await repository.of_order(command.order_id)
    if any(known.attempt >= command.attempt or known.state == "committed" for known in attempts):
        return  # answered before, or released or replaced before it came, or sold already
    shelves = ctx.get(Shelves)
    wanted = wanted_units(command.lines)
    held = [allocation.sku for known in attempts if known.state == "held" for allocation in known.allocations]
    await shelves.lock((*wanted, *held))
    for known in attempts:
        await _let_go(ctx, known, "released")
    found = allocate(
        wanted,
        await shelves.levels(tuple(wanted)),
        await ctx.get(Locations).all(),
        pinned=command.location,
        near_cep=command.near_cep,
    )
    allocations = tuple(part for part in found if isinstance(part, Allocation))
    missing = tuple(part for part in found if isinstance(part, Missing))
    reservation = Reservation(
        order_id=command.order_id,
        attempt=command.attempt,
        customer_id=command.customer_id,
        state="refused" if missing else "held",
        expires_at=command.expires_at,
        allocations=allocations,
    )
    await repository.add(reservation, ctx.now())
    who = {"order_id": command.order_id, "customer_id": command.customer_id, "attempt": command.attempt}
    if missing:
        ctx.emit(InventoryRefused.model_validate({**who, "missing": missing}))
        return
    held_units = (Change(part.sku, part.location, reserved=part.quantity) for part in allocations)
    await _move(ctx, held_units, "reserve", order_id=command.order_id)
    ctx.emit(InventoryReserved.model_validate({**who, "allocations": allocations, "expires_at": command.expires_at}))
    ctx.emit(ReservationExpired.model_validate(who), at=command.expires_at)


async def commit(ctx: Context, command: InventoryCommit) -> None:
    """Sell what the order's newest attempt (or the named one) holds; refused when that is gone."""
    attempts = await ctx.get(Reservations).of_order(command.order_id)
    meant = [known for known in attempts if command.attempt in (None, known.attempt)]
    reservation = meant[-1] if meant else None
    changes = None if reservation is None else reservation.commit()
    if reservation is None or changes is None:
        ctx.emit(InventoryCommitRefused(order_id=command.order_id, customer_id=command.customer_id))
    elif changes:
        await ctx.get(Reservations).save_state(reservation, ctx.now())
        await _move(ctx, changes, "commit", order_id=command.order_id)
        ctx.emit(InventoryCommitted(order_id=command.order_id, customer_id=command.customer_id))


async def release(ctx: Context, command: InventoryRelease) -> None:
    """Let go of what the order holds; with `sold`, put back what it was sold. It also stops a reserve that comes late."""
    repository = ctx.get(Reservations)
    attempts = await repository.of_order(command.order_id)
    last = command.attempt or max((known.attempt for known in attempts), default=1)
    for known in attempts:
        if known.attempt > last:
            continue
        await _let_go(ctx, known, "released")
        if command.sold and (changes := known.put_back()):
            await repository.save_state(known, ctx.now())
            await _move(ctx, changes, "return", order_id=command.order_id)
    if all(known.attempt != last for known in attempts):
        mark = Reservation(command.order_id, last, command.customer_id, "released", None)
        await repository.add(mark, ctx.now())


async def expire(ctx: Context, timer: ReservationExpired) -> None:
    for known in await ctx.get(Reservations).of_order(timer.order_id):
        if known.attempt == timer.attempt:
            await _let_go(ctx, known, "expired")


async def _let_go(ctx: Context, reservation: Reservation, state: str) -> None:
    changes = reservation.let_go("expired" if state == "expired" else "released")
    if changes:
        await ctx.get(Reservations).save_state(reservation, ctx.now())
        await _move(ctx, changes, "release", order_id=reservation.order_id)


async def _move(
    ctx: Context,
    changes: Iterable[Change],
    cause: Cause,
    *,
    order_id: str | None = None,
    reason: str | None = None,
    staff: str | None = None,
) -> None:
    """The only way a level changes: levels, SKU rows and ledger together, each change told under its own version."""
    moves = list(changes)
    if not moves:
        return
    shelves = ctx.get(Shelves)
    stock = await shelves.lock(move.sku for move in moves)
    before = dict(stock)
    levels = {(level.sku, level.location): level for level in await shelves.levels(tuple(stock))}
    changed: dict[tuple[Sku, str], Level] = {}
    written: list[tuple[Change, int]] = []
    for move in moves:
        place = (move.sku, move.location)
        old, row = levels[place], stock[move.sku]
        new = replace(old, on_hand=old.on_hand + move.on_hand, reserved=old.reserved + move.reserved)
        row = replace(row, version=row.version + 1, available=row.available + new.free - old.free)
        levels[place], changed[place], stock[move.sku] = new, new, row
        written.append((move, row.version))
        ctx.emit(
            StockUpdated(
                sku=move.sku,
                version=row.version,
                location=move.location,
                on_hand=new.on_hand,
                reserved=new.reserved,
                available=row.available,
                cause=cause,
            )
        )
    await shelves.write(
        stock.values(), changed.values(), written,
        cause=cause, order_id=order_id, reason=reason, staff=staff, at=ctx.now(),
    )  # fmt: skip
    _warn_when_low(ctx, before, stock)


def _warn_when_low(ctx: Context, before: dict[Sku, Stock], after: dict[Sku, Stock]) -> None:
    """Only on the way down over the threshold: a SKU that has always had few is not news every time it sells."""
    threshold = ctx.use(InventorySettings).low_stock
    for sku, row in after.items():
        if before[sku].available >= threshold > row.available:
            ctx.emit(ProductStockLow(sku=sku, available=row.available, threshold=threshold))


async def _refuse_unknown_locations(ctx: Context, ids: Iterable[str]) -> None:
    unknown = await ctx.get(Locations).unknown(ids)
    if unknown:
        raise NotFound(f"unknown location {', '.join(unknown)}: import the locations first", locations=unknown)


def _availability(sku: Sku, free: dict[str, int]) -> Availability:
    return Availability(sku=sku, available=sum(free.values()), by_location=dict(sorted(free.items())))
