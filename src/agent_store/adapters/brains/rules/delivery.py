"""Questions on delivery and stores that are no order yet: what a CEP costs, where one can fetch things."""

from __future__ import annotations

from collections.abc import Sequence

from agent_store.adapters.brains.rules import goods
from agent_store.adapters.brains.rules.memory import Pending
from agent_store.adapters.brains.rules.turn import Failed, Turn
from agent_store.adapters.brains.rules.understanding import Act
from agent_store.contracts.cart import GetCart
from agent_store.contracts.catalog import GetProducts
from agent_store.contracts.chat import GetProfile
from agent_store.contracts.common import Item
from agent_store.contracts.fulfillment import DeliveryOption, DeliveryQuote, ListPickup, PickupOption, QuoteDelivery
from agent_store.contracts.inventory import ListLocations, LocationView
from agent_store.contracts.places import distance_km
from agent_store.kernel.money import Money


async def quote(turn: Turn, act: Act) -> None:
    memory = turn.memory
    cep = act.cep or memory.cep
    if cep is None:
        cart, profile = await turn.together(GetCart(), GetProfile())
        if not isinstance(profile, Failed) and profile.address is not None:
            cep = profile.address.cep
    else:
        cart = await turn.ask(GetCart())
    if isinstance(cart, Failed):
        turn.say("trouble")
        return
    if cep is None:
        memory.pending = Pending("cep")
        turn.say("ask_cep")
        return
    memory.cep = cep
    lines: tuple[Item, ...] = ()
    target = goods.refer(turn, act, most=1) or memory.shown[:1]
    if not cart.lines:
        found = await turn.ask(GetProducts(ids=(target[0].item,))) if target else ()
        if isinstance(found, Failed) or not found:
            turn.say("quote_what")
            return
        stock = goods.in_stock(found[0].variants) or list(found[0].variants)
        variant = next((v for v in stock if v.sku == target[0].sku), stock[0])
        lines = (Item(sku=variant.sku, quantity=act.quantity or 1),)
        turn.say("quote_for", name=found[0].name)
    result = await turn.ask(QuoteDelivery(cep=cep, lines=lines))
    if isinstance(result, Failed):
        if result.code in ("not-found", "invalid-input", "refused"):
            memory.cep = None
            turn.choose(turn.t("no_carrier", cep=cep), [("pickup_info", turn.t("b_pickup"))])
        else:
            turn.say("trouble")
        return
    _tell(turn, result)
    if cart.lines:
        memory.pending = Pending("after_add", yes="checkout", no="keep_shopping")
        turn.choose(turn.t("shall_we_close"), [("checkout", turn.t("b_checkout")), ("keep_shopping", turn.t("b_keep"))])
    elif memory.focus is not None and memory.focus.sku:
        memory.pending = Pending("offer", yes=f"add:{memory.focus.sku}", product=memory.focus.id)
        turn.choose(turn.t("add_it"), [(f"add:{memory.focus.sku}", turn.t("b_add"))])
    elif target:
        memory.pending = Pending("offer", yes=f"product:{target[0].id}", product=target[0].id)
        turn.choose(turn.t("add_it"), [(f"product:{target[0].id}", turn.t("b_choose"))])


def _tell(turn: Turn, result: DeliveryQuote) -> None:
    if not result.options:
        turn.say("no_carrier", cep=result.cep)
        return
    lines = [turn.t("options_for", cep=result.cep), *(line(turn, one) for one in result.options[:8])]
    nearest = next(iter(complete(result.pickup)), None)
    if nearest is not None:
        lines.append(turn.t("or_pickup", store=nearest.location.name, ready=ready(turn, nearest)))
    turn.text("\n".join(lines))


def days(turn: Turn, option: DeliveryOption) -> str:
    """ "3 a 5 dias úteis, até 28/11"."""
    if option.days_min == option.days_max:
        key = "days_one" if option.days_max == 1 else "days_same"
        return turn.t(key, days=option.days_max, date=turn.voice.date(option.latest))
    key = "days_to_one" if option.days_max == 1 else "days"
    return turn.t(key, low=option.days_min, high=option.days_max, date=turn.voice.date(option.latest))


def line(turn: Turn, option: DeliveryOption) -> str:
    return f"• {option.name} ({option.carrier}): {cost(turn, option.price)}, {days(turn, option)}"


def cost(turn: Turn, price: Money) -> str:
    return str(price) if price else turn.t("free_delivery")


def complete(options: Sequence[PickupOption]) -> list[PickupOption]:
    """The stores that have everything on their own shelves: an order is taken for those alone."""
    return [option for option in options if option.complete]


def ready(turn: Turn, option: PickupOption) -> str:
    return turn.t("ready_in", hours=option.ready_in_hours)


async def pickup(turn: Turn, act: Act) -> None:
    """ "Dá pra retirar na loja?" as a question (in a checkout it is a choice: `checkout.pick_up`)."""
    cart = await turn.ask(GetCart())
    if isinstance(cart, Failed) or not cart.lines:
        await stores(turn, act)
        return
    found = await turn.ask(ListPickup(near_cep=turn.memory.cep))
    if isinstance(found, Failed):
        turn.say("trouble")
        return
    options = complete(found)
    if not options:
        turn.say("no_pickup")
        return
    _tell_stores(turn, [option.location for option in options])
    rows = [(f"store:{one.location.id}", one.location.name, ready(turn, one)) for one in options[:10]]
    turn.memory.pending = Pending(
        "location", yes="method:pickup", no="keep_shopping", choices=tuple((row[0], row[1]) for row in rows)
    )
    turn.choose(turn.t("shall_pickup"), rows, turn.t("b_stores"))


async def nearest(turn: Turn, act: Act) -> None:
    """The stores from where the customer is, nearest first: to fetch the cart at, else to know of."""
    if act.place is None:
        await stores(turn, act)
        return
    cart = await turn.ask(GetCart())
    if isinstance(cart, Failed) or not cart.lines:
        known = await turn.ask(ListLocations())
        shops = [] if isinstance(known, Failed) else [one for one in known if one.kind == "store"]
        near = _by_distance(act.place, shops)
        if near:
            _tell_stores(turn, near[:3], "nearest_stores")
        else:
            await stores(turn, act)
        return
    found = await turn.ask(ListPickup())
    if isinstance(found, Failed):
        turn.say("trouble")
        return
    options = {option.location.id: option for option in complete(found)}
    if not options:
        turn.say("no_pickup")
        return
    near = _by_distance(act.place, [option.location for option in options.values()])
    if not near:
        turn.memory.pending = Pending("location")
        turn.say("ask_cep_store")
        return
    _tell_stores(turn, near, "nearest_stores")
    rows = [(f"store:{one.id}", one.name, ready(turn, options[one.id])) for one in near[:10]]
    turn.memory.pending = Pending(
        "location", yes=rows[0][0], no="keep_shopping", choices=tuple((row[0], row[1]) for row in rows)
    )
    turn.choose(turn.t("shall_pickup"), rows, turn.t("b_stores"))


def _by_distance(here: tuple[float, float], places: Sequence[LocationView]) -> list[LocationView]:
    """Nearest first; without those of which nobody knows where they are."""
    known = [place for place in places if (place.lat, place.lon) != (0.0, 0.0)]
    return sorted(known, key=lambda place: (distance_km(here, (place.lat, place.lon)), place.id))


async def stores(turn: Turn, act: Act) -> None:
    places = await turn.ask(ListLocations())
    found = [] if isinstance(places, Failed) else [place for place in places if place.kind == "store"]
    if not found:
        turn.say("trouble" if isinstance(places, Failed) else "no_stores")
        return
    _tell_stores(turn, found)


def _tell_stores(turn: Turn, places: Sequence[LocationView], key: str = "our_stores") -> None:
    """Name, address and hours; nothing of parcels in it, so that opening days are not read as delivery days."""
    lines = [turn.t(key)]
    for place in places[:8]:
        facts = ", ".join(part for part in (place.address, place.city, place.hours) if part)
        lines.append(f"• {place.name}: {facts}" if facts else f"• {place.name}")
    turn.text("\n".join(lines))
