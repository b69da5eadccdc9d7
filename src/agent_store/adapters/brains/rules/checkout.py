"""From a full cart to a placed order: what is missing is asked once, the total is told, and a yes places it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent_store.adapters.brains.rules import basket, delivery, details, goods
from agent_store.adapters.brains.rules.memory import CheckoutMemory, Pending
from agent_store.adapters.brains.rules.turn import Failed, Turn
from agent_store.adapters.brains.rules.understanding import Act
from agent_store.contracts.cart import CartView, GetCart, RemoveFromCart
from agent_store.contracts.catalog import Recommend
from agent_store.contracts.chat import GetProfile, Profile, Remember
from agent_store.contracts.common import Address
from agent_store.contracts.fulfillment import (
    ListPickup,
    PickupOption,
    QuoteDelivery,
)
from agent_store.contracts.orders import PlaceOrder
from agent_store.contracts.payments import GetPendingPayment
from agent_store.kernel.money import Money

CHEAPEST, FASTEST = "@cheapest", "@fastest"
"""Services by what they are, until the quote says which."""
ASKING = frozenset({"details", "method", "service", "location", "confirm"})
"""Kinds of open questions that belong to a checkout."""


async def start(turn: Turn, act: Act) -> None:
    """ "Quero fechar": goes on from wherever the order is."""
    turn.memory.checkout.active = True
    await proceed(turn)


async def tapped(turn: Turn, act: Act) -> None:
    """A choice of the checkout's own buttons: method, service, store."""
    state = turn.memory.checkout
    state.active = True
    if act.intent == "tap_method" and act.key in ("delivery", "pickup"):
        state.method = "delivery" if act.key == "delivery" else "pickup"
    elif act.intent == "tap_ship":
        state.service, state.method = act.key, "delivery"
    elif act.intent == "tap_store":
        state.location, state.method = act.key, "pickup"
    await proceed(turn)


async def deliver(turn: Turn, act: Act) -> None:
    turn.memory.checkout.active = True
    turn.memory.checkout.method = "delivery"
    await proceed(turn)


async def near(turn: Turn, act: Act) -> None:
    """ "A mais perto": of where? The stores come nearest first once the CEP is known."""
    turn.memory.checkout.active = True
    if act.cep:
        turn.memory.cep = act.cep
    if turn.memory.cep or turn.memory.checkout.cep:
        await proceed(turn)
        return
    turn.memory.pending = Pending("location")
    if turn.request.channel == "whatsapp":
        turn.ask_place(turn.t("ask_place_store"))
    else:
        turn.say("ask_cep_store")


async def pick_up(turn: Turn, act: Act) -> None:
    turn.memory.checkout.active = True
    turn.memory.checkout.method = "pickup"
    await proceed(turn)


async def told(turn: Turn, text: str) -> bool:
    """The answer to the question for name and address. False when the text holds nothing of that kind."""
    cart, profile = await turn.together(GetCart(), GetProfile())
    if isinstance(cart, Failed) or isinstance(profile, Failed):
        turn.say("trouble")
        return True
    state = turn.memory.checkout
    street = state.street or _street(profile)
    found = details.read(
        text,
        want_name=not profile.name,
        want_street=state.method != "pickup",
        partial_street=bool(street) and not details.has_number(street or ""),
    )
    if not found:
        return False
    state.active = True
    await proceed(turn, found, (cart, profile))
    return True


def _street(profile: Profile | None) -> str | None:
    return (profile.address.street or None) if profile and profile.address else None


async def change(turn: Turn, act: Act) -> None:
    """ "Mudar": what of the order shall be different?"""
    state = turn.memory.checkout
    if not state.active:
        await basket.view(turn, act)
        return
    rows = [("change_items", turn.t("b_change_items")), ("change_method", turn.t("b_change_method"))]
    if state.method == "delivery":
        rows.append(("change_address", turn.t("b_change_address")))
    turn.memory.pending = Pending("change", choices=tuple(rows))
    turn.choose(turn.t("change_what"), rows)


async def change_items(turn: Turn, act: Act) -> None:
    turn.memory.checkout = CheckoutMemory()
    await basket.view(turn, act)
    turn.say("change_items_how")


async def change_method(turn: Turn, act: Act) -> None:
    turn.memory.checkout = CheckoutMemory(active=True)
    _ask_method(turn)


async def change_address(turn: Turn, act: Act) -> None:
    turn.memory.checkout = CheckoutMemory(active=True, method="delivery", street="-")
    turn.memory.cep = None
    turn.memory.pending = Pending("details", picked={"new": "address"})
    turn.say("ask_new_address")


async def proceed(
    turn: Turn, found: details.Details | None = None, known: tuple[CartView, Profile] | None = None
) -> None:
    """Work out what is known, remember what is new, and ask for the next thing that is missing."""
    state = turn.memory.checkout
    cep = (found.cep if found else None) or state.cep
    cart, asked = known or await turn.together(GetCart(), GetProfile())
    if isinstance(cart, Failed) or isinstance(asked, Failed):
        turn.say("trouble")
        return
    if not cart.lines:
        await _nothing_to_order(turn)
        return
    if await _sold_out(turn, cart) or _too_few(turn, cart):
        return
    name = (found.name if found else None) or asked.name
    method = state.method or asked.delivery
    if method is None:
        await _remember(turn, asked, found, None)
        _ask_method(turn)
        return
    state.method = method
    if method == "pickup":
        asked = await _remember(turn, asked, found, method)
        await _pickup(turn, cart, name, asked)
        return
    known_street = None if state.street == "-" else (state.street or _street(asked))
    known_cep = cep or (asked.address.cep if asked.address and state.street != "-" else None) or turn.memory.cep
    if found and found.cep and asked.address and asked.address.cep != found.cep and not found.street:
        known_street = None if state.street in (None, "-") else state.street
    street = (found.street if found else None) or known_street
    if found and found.house and street and not details.has_number(street):
        street = f"{street}, {found.house}"
    state.cep = known_cep
    state.street = street or state.street
    if not (name and known_cep and street and details.has_number(street)):
        await _remember(turn, asked, found, method)
        _ask_details(turn, name=name, cep=known_cep, street=street)
        return
    address = Address(cep=known_cep, street=street)
    asked = await _remember(
        turn, asked, replace(found, cep=known_cep, street=street) if found else None, method, address
    )
    await _delivery(turn, cart, name, address)


async def _nothing_to_order(turn: Turn) -> None:
    """Nothing in the cart: perhaps an order is waiting for its payment, which "quero pagar" means then."""
    turn.memory.checkout = CheckoutMemory()
    pending = await turn.ask(GetPendingPayment())
    if not isinstance(pending, Failed) and pending is not None and pending.state in ("open", "processing"):
        turn.say("link_here", number=pending.order_number, amount=pending.amount, link=pending.link)
        return
    turn.choose(turn.t("cart_empty"), [("categories", turn.t("b_categories")), ("suggest", turn.t("b_suggest"))])


async def _sold_out(turn: Turn, cart: CartView) -> bool:
    """A line that can't be had any more stops the order here, with what could take its place."""
    missing = [warning for warning in cart.warnings if warning.kind == "out_of_stock"]
    if not missing:
        return False
    titles = {line.sku: line.title for line in cart.lines}
    names = "; ".join(titles.get(warning.sku, warning.sku) for warning in missing[:5])
    turn.say("line_gone", names=names)
    hits = await turn.ask(Recommend(product_id=missing[0].sku, kind="similar"))
    if not isinstance(hits, Failed) and hits:
        turn.memory.shown = goods.show_hits(turn, hits, filtered=False, text=turn.t("instead"))
        turn.memory.focus = None
    rows = [(f"remove:{warning.sku}", titles.get(warning.sku, warning.sku)) for warning in missing[:3]]
    turn.memory.pending = Pending("remove", yes=rows[0][0], choices=tuple(rows))
    turn.choose(turn.t("remove_gone"), rows)
    return True


def _too_few(turn: Turn, cart: CartView) -> bool:
    """More units in the cart than there are: the customer decides whether to take those."""
    for warning in cart.warnings:
        line = next((one for one in cart.lines if one.sku == warning.sku), None)
        if line is None or warning.available is None or not 0 < warning.available < line.quantity:
            continue
        key = (
            "too_few"
            if warning.available > goods.LAST_UNITS
            else "too_few_one"
            if warning.available == 1
            else "too_few_last"
        )
        turn.say(key, title=line.title, count=warning.available)
        rows = [(f"fewer:{line.sku}", turn.t("b_fewer")), (f"remove:{line.sku}", turn.t("b_take_out"))]
        turn.memory.pending = Pending("remove", yes=rows[0][0], choices=tuple(rows))
        turn.choose(turn.t("take_the_rest"), rows)
        return True
    return False


async def fewer(turn: Turn, act: Act) -> None:
    """Bring a line of the cart down to what there is, and go on."""
    cart = await turn.ask(GetCart())
    if isinstance(cart, Failed):
        turn.say("trouble")
        return
    line = next((one for one in cart.lines if one.sku == act.key), None)
    left = next((one.available for one in cart.warnings if one.sku == act.key), None)
    if line is not None and left is not None and 0 < left < line.quantity:
        removed = await turn.ask(RemoveFromCart(sku=line.sku, quantity=min(line.quantity - left, basket.MOST)))
        if isinstance(removed, Failed):
            turn.say("trouble")
            return
    turn.memory.checkout.active = True
    await proceed(turn)


async def _remember(
    turn: Turn, profile: Profile, found: details.Details | None, method: Any, address: Address | None = None
) -> Profile:
    """Keep what is new; nothing is written when nothing is."""
    news: dict[str, Any] = {}
    if found and found.name and found.name != profile.name:
        news["name"] = found.name[:80]
    if address is not None:
        if profile.address is None or (profile.address.cep, profile.address.street) != (address.cep, address.street):
            news["address"] = address
    elif found and found.cep and (profile.address is None or profile.address.cep != found.cep):
        news["address"] = Address(cep=found.cep, street=found.street or "")
    if method is not None and profile.delivery != method:
        news["delivery"] = method
    if not news:
        return profile
    answer = await turn.ask(Remember(**news))
    return profile if isinstance(answer, Failed) else answer


def _ask_method(turn: Turn) -> None:
    rows = [("method:delivery", turn.t("b_delivery")), ("method:pickup", turn.t("b_pickup"))]
    turn.memory.pending = Pending("method", choices=tuple(rows))
    turn.choose(turn.t("ask_method"), rows)


def _ask_details(turn: Turn, *, name: str | None, cep: str | None, street: str | None) -> None:
    turn.memory.pending = Pending("details")
    missing: list[str] = []
    if not name:
        missing.append(turn.t("m_name"))
    if not cep:
        missing.append(turn.t("m_cep"))
    if not street:
        missing.append(turn.t("m_street"))
    elif not details.has_number(street):
        missing.append(turn.t("m_number"))
    if len(missing) == 1:
        turn.say("ask_one", what=missing[0])
    else:
        turn.say("ask_details", what="\n".join(f"• {what}" for what in missing))


async def _delivery(turn: Turn, cart: CartView, name: str, address: Address) -> None:
    quote = await turn.ask(QuoteDelivery(cep=address.cep))
    if isinstance(quote, Failed):
        _no_carrier(turn, quote, address.cep)
        return
    state = turn.memory.checkout
    option = next((one for one in quote.options if one.service == state.service), None)
    if quote.options and state.service == CHEAPEST:
        option = min(quote.options, key=lambda one: (one.price.minor, one.days_max))
    elif quote.options and state.service == FASTEST:
        option = min(quote.options, key=lambda one: (one.days_max, one.price.minor))
    if option is None and len(quote.options) == 1:
        option = quote.options[0]
    if option is None:
        if not quote.options:
            _no_carrier(turn, Failed("not-found"), address.cep)
            return
        rows = [
            (f"ship:{one.service}", one.name, f"{delivery.cost(turn, one.price)} · {delivery.days(turn, one)}")
            for one in quote.options[:10]
        ]
        turn.memory.pending = Pending("service", choices=tuple((row[0], row[1]) for row in rows))
        turn.text(
            "\n".join([turn.t("options_for", cep=quote.cep), *(delivery.line(turn, one) for one in quote.options[:10])])
        )
        turn.choose(turn.t("ask_service"), rows)
        return
    state.service = option.service
    where = turn.t("to_address", street=address.street, cep=address.cep, name=name)
    how = f"{option.name} ({option.carrier}), {delivery.days(turn, option)}"
    _summary(turn, cart, option.price, where, how)


def _no_carrier(turn: Turn, failed: Failed, cep: str) -> None:
    state = turn.memory.checkout
    if failed.code in ("not-found", "invalid-input", "refused"):
        state.cep = turn.memory.cep = None
        state.street = None
        turn.memory.pending = Pending("method", yes="method:pickup", choices=(("method:pickup", turn.t("b_pickup")),))
        turn.choose(
            turn.t("no_carrier", cep=cep),
            [("method:pickup", turn.t("b_pickup")), ("change_address", turn.t("b_change_address"))],
        )
    else:
        turn.say("trouble")


async def _pickup(turn: Turn, cart: CartView, name: str | None, profile: Profile) -> None:
    state = turn.memory.checkout
    near = state.cep or turn.memory.cep or (profile.address.cep if profile.address else None)
    found = await turn.ask(ListPickup(near_cep=near))
    if isinstance(found, Failed):
        turn.say("trouble")
        return
    options = delivery.complete(found)
    if not options:
        state.method = None
        turn.choose(turn.t("no_pickup"), [("method:delivery", turn.t("b_delivery"))])
        turn.memory.pending = Pending("method", yes="method:delivery")
        return
    wanted = state.location or profile.pickup_location  # as long as it has everything
    option = next((one for one in options if one.location.id == wanted), None)
    if option is None and len(options) == 1:
        option = options[0]
    if option is None:
        rows = [(f"store:{one.location.id}", one.location.name, delivery.ready(turn, one)) for one in options[:10]]
        turn.memory.pending = Pending("location", choices=tuple((row[0], row[1]) for row in rows))
        turn.choose(turn.t("ask_location"), rows, turn.t("b_stores"))
        return
    state.location = option.location.id
    if not name:
        turn.memory.pending = Pending("details")
        turn.say("ask_one", what=turn.t("m_name"))
        return
    if profile.pickup_location != option.location.id:
        await turn.ask(Remember(pickup_location=option.location.id))
    where = turn.t("at_store", store=option.location.name, address=_place(option), name=name)
    ready = delivery.ready(turn, option)
    _summary(turn, cart, Money.zero(cart.subtotal.currency), where, f"⏱️ {ready[:1].upper()}{ready[1:]}")


def _place(option: PickupOption) -> str:
    place = option.location
    return ", ".join(part for part in (place.address, place.city) if part)


def _summary(turn: Turn, cart: CartView, price: Money, where: str, how: str) -> None:
    """All of the order before the yes. Nothing is placed that was not read here, to the cent."""
    state = turn.memory.checkout
    total = cart.subtotal + price
    lines = [basket.cart_text(turn, cart), where, how]
    free = turn.t("no_delivery_price") if state.method == "pickup" else f"🚚 {turn.t('free_delivery').capitalize()}"
    lines.append(turn.t("delivery_price", price=price) if price else free)
    lines.append(turn.t("total", total=total))
    turn.text("\n".join(lines))
    state.total, state.version, state.at = total.minor, cart.version, turn.request.now.isoformat()
    turn.memory.cart_version = cart.version
    turn.memory.pending = Pending("confirm", yes="confirm_order", no="change_order")
    turn.choose(turn.t("ask_confirm"), [("confirm_order", turn.t("b_confirm")), ("change_order", turn.t("b_change"))])


async def confirm(turn: Turn, act: Act) -> None:
    """The yes. Everything is looked up once more: what differs from what was told is told, not ordered."""
    state = turn.memory.checkout
    if not state.active or state.total is None or state.version is None or not state.fresh(turn.request.now):
        state.active = True
        await proceed(turn)
        return
    cart, profile = await turn.together(GetCart(), GetProfile())
    if isinstance(cart, Failed) or isinstance(profile, Failed):
        turn.say("trouble")
        return
    if cart.version != state.version or not cart.lines:
        turn.say("cart_changed")
        await _again(turn)
        return
    address = Address(cep=state.cep, street=state.street) if state.cep and state.street else profile.address
    if state.method == "delivery" and (address is None or not state.service):
        await proceed(turn, known=(cart, profile))
        return
    placed = await turn.ask(
        PlaceOrder(
            cart_version=cart.version,
            delivery="pickup" if state.method == "pickup" else "delivery",
            service=state.service if state.method == "delivery" else None,
            address=address if state.method == "delivery" else None,
            location=state.location if state.method == "pickup" else None,
            expected_total=Money(minor=state.total, currency=cart.subtotal.currency),
        )
    )
    if isinstance(placed, Failed):
        if placed.code in ("confirmation-needed", "summary-needed"):
            await _again(turn)  # the yes was not clear enough, or the summary is not what it was given for
            return
        if placed.code not in _REFUSALS:
            turn.memory.pending = Pending("confirm", yes="confirm_order", no="change_order")
            turn.choose(
                turn.t("order_trouble"), [("confirm_order", turn.t("b_confirm")), ("person", turn.t("b_person"))]
            )
            return
        if placed.code == "pickup-incomplete":
            state.location = None
        elif placed.code == "service-unknown":
            state.service = None
        turn.say("order_refused")
        await _again(turn)
        return
    turn.memory.order = placed.number
    turn.memory.checkout = CheckoutMemory()
    turn.memory.focus = None
    turn.memory.shown = []
    turn.say("order_placed", number=placed.number, total=placed.total)


_REFUSALS = frozenset(
    {"conflict", "not-found", "invalid-input", "cart-empty", "cart-changed", "already-ordered", "total-changed",
     "service-unknown", "pickup-incomplete"}
)  # fmt: skip
"""Codes by which an order is refused for what it is, not for a fault: the customer is told how things stand now."""


async def _again(turn: Turn) -> None:
    """After a conflict: the order as it stands now, to be confirmed anew."""
    state = turn.memory.checkout
    state.total = state.version = state.at = None
    await proceed(turn)
