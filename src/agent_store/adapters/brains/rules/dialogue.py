"""The dialogue: what was said, in the light of what was asked, becomes the acts of this turn, one handler each."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

from agent_store.adapters.brains.rules import (
    added,
    aftersales,
    basket,
    beside,
    checkout,
    delivery,
    details,
    goods,
    shopping,
    social,
)
from agent_store.adapters.brains.rules.memory import Pending
from agent_store.adapters.brains.rules.normalise import nearly, plain, same
from agent_store.adapters.brains.rules.turn import Failed, Turn, parse
from agent_store.adapters.brains.rules.understanding import (
    MOST_ACTS,
    Act,
    from_payload,
    merge_lines,
    understand,
)
from agent_store.contracts.cart import AddToCart, ClearCart, RemoveFromCart
from agent_store.contracts.orders import CancelOrder, OrderView, PlaceOrder
from agent_store.contracts.payments import PaymentView, SubmitTestCard

NAME = "rules"
Handler = Callable[[Turn, Act], Awaitable[None]]

_SOCIAL = frozenset({"greet", "thanks", "bye", "wellbeing", "smalltalk", "praise"})
_STRONG = frozenset(
    {"person", "injection", "abuse", "cancel_order", "card", "link", "pix", "order_status", "remove", "clear_cart", "view_cart",
     "compare", "stores", "payment_info", "expensive", "discount", "think", "cheaper", "categories", "policy",
     "out_of_scope", "help", "pickup", "change_address", "order_items"}
)  # fmt: skip
"""Wishes that are never an answer to "your name and address, please"."""


async def converse(turn: Turn) -> None:
    """One whole turn; ends with blocks, an escalation, or both empty when there was nothing to answer."""
    await _answer(turn)
    social.introduce(turn)


async def _answer(turn: Turn) -> None:
    if await _finished_by_another(turn):
        return
    open_ = turn.memory.pending
    turn.memory.pending = None
    acts, words = _acts(turn)
    acts = await beside.asked_about(turn, acts)
    await beside.quoted(turn, acts)
    if words and _tells_details(turn, open_, acts, words) and await checkout.told(turn, words):
        return
    if not acts:
        if any(line.payload for line in turn.request.lines):
            await social.greet(turn, Act("greet"))
        else:
            social.unclear(turn)
        return
    if len(acts) > 1:
        acts = [act for act in acts if not _noise(act)] or acts[:1]
    greeted = len(acts) > 1 and acts[0].intent == "greet"
    if greeted:
        acts = acts[1:]
    for act in acts[:MOST_ACTS]:
        await _follow(turn, act, open_)
        if turn.escalate is not None:
            return
    _resume(turn, acts, open_)
    if not turn.blocks:
        social.unclear(turn)
    if greeted and not turn.first:
        first = turn.blocks[0]
        turn.blocks[0] = first.model_copy(update={"text": f"{turn.t('hello_short')} {first.text}".strip()})


def _tells_details(turn: Turn, open_: Pending | None, acts: list[Act], words: str) -> bool:
    """Is this the answer to "your name and address"? Some send it before they are asked, once they want to order."""
    if any(act.intent in _STRONG for act in acts):
        return False
    if open_ is not None and open_.kind == "details":
        return True
    if open_ is not None and open_.kind in ("method", "service", "location"):
        found = details.read(words, want_name=False, want_street=False)
        if found.name or (found.street and details.has_number(found.street) and ("?" not in words or found.cep)):
            return True
        return _is_a_name(turn, open_, acts, words)
    ordering = turn.memory.checkout.active or any(act.intent == "checkout" for act in acts)
    return ordering and details.volunteered(words)


def _is_a_name(turn: Turn, open_: Pending, acts: list[Act], words: str) -> bool:
    """ "Ana Souza" instead of a choice: no words of a choice, and nothing that the rules take for a wish."""
    name = details.full_name(words)
    if name is None or any(_chosen(turn, act, open_) for act in acts):
        return False
    if any(act.intent not in ("search", "unclear", "quote") or act.cue or act.known or act.bounded for act in acts):
        return False
    language = turn.request.language
    offered = {word for _, title in open_.choices for word in plain(title, language).split()}
    return not offered & set(plain(name, language).split())


def _noise(act: Act) -> bool:
    """What is not worth an answer of its own beside a real wish."""
    if act.intent in ("unclear", "wellbeing", "thanks", "bye", "browse"):
        return True
    return act.intent == "search" and not (act.cue or act.known or act.attributes or act.bounded)


def _acts(turn: Turn) -> tuple[list[Act], str]:
    """The acts of the burst, and its typed words as written."""
    language = turn.request.language
    lines: list[tuple[Act, ...]] = []
    words: list[str] = []
    for line in turn.request.lines:
        if line.role != "customer":
            continue
        tapped = from_payload(line.payload)
        if tapped is not None:
            if tapped.intent != "tap_brand":
                lines.append((tapped,))
            continue
        if line.kind == "request_welcome":
            lines.append((Act("greet"),))
        if line.items:
            lines.append((Act("order_items", items=tuple((item.sku, item.quantity) for item in line.items)),))
        if line.place is not None:
            lines.append((Act("place", place=(line.place.latitude, line.place.longitude)),))
        said: tuple[Act, ...] = ()
        if line.text.strip():
            wishes, rest = added.wishes(turn, line.text)
            if rest.strip():
                words.append(rest)
                said = understand(rest, language)
            lines.append(tuple(wishes))
        lines.append(said if line.seen is None else beside.seen(line.seen, said, language))
    return merge_lines(tuple(lines)), "\n".join(words)


# --- answers to what was asked ---------------------------------------------------------------------------------------


async def _follow(turn: Turn, act: Act, open_: Pending | None) -> None:
    act = _in_context(turn, act, open_)
    if act.intent == "answer_variant" and open_ is not None:
        await basket.continue_variant(turn, replace(act, intent="attributes"), open_)
    elif act.intent == "tap_opt":
        await basket.continue_variant(turn, act, open_ or Pending("variant"))
    elif act.intent == "tap_add":
        await basket.tapped(turn, act, open_)
    elif act.intent == "place":
        await _placed(turn, act, open_)
    else:
        await HANDLERS.get(act.intent, _unknown)(turn, act)


async def _unknown(turn: Turn, act: Act) -> None:
    social.unclear(turn)


def _in_context(turn: Turn, act: Act, open_: Pending | None) -> Act:
    """The act that an answer means: yes and no, a choice by its place or its name, a value of a variant."""
    if open_ is not None:
        if open_.kind == added.TAPPED and (named := added.chosen(turn, act, open_)) is not None:
            return named
        if act.intent in ("yes", "no"):
            found = from_payload(open_.yes if act.intent == "yes" else open_.no)
            if found is not None:
                return found
            if act.intent == "no":
                return Act("no")
            if open_.kind == "which":
                return Act("which")
            if open_.kind in checkout.ASKING:
                return Act("checkout")
            if open_.kind == "variant":
                return Act("answer_variant")
        if open_.yes and _agrees(act, open_):
            return from_payload(open_.yes) or act
        if open_.kind == "offer" and open_.yes and _how_many(act):
            open_.quantity = min(act.quantity or 1, basket.MOST)
            return from_payload(open_.yes) or act
        if (
            open_.kind in ("method", "details")
            and act.intent == "quote"
            and not act.cep
            and not _HOW_MUCH.search(act.raw)
        ):
            return Act("tap_method", key="delivery")
        superlative = _superlative(act, open_)
        if superlative is not None:
            return superlative
        chosen = _chosen(turn, act, open_)
        if chosen is not None:
            return chosen
        if open_.kind == "variant" and (
            act.attributes
            and (act.intent in ("attributes", "add", "pick") or (act.intent == "search" and not act.known))
        ):
            return replace(act, intent="answer_variant")
        if open_.kind == "cep" and act.intent == "quote":
            return act
        if open_.kind == "confirm" and act.intent in ("checkout", "add") and not act.positions and not act.text:
            return Act("confirm_order")
        if open_.kind in checkout.ASKING and act.intent in ("change", "change_address"):
            return act if act.intent == "change_address" else Act("change_order")
        if open_.kind == "confirm" and act.intent == "cancel_order":
            return Act("stop_checkout")
    if turn.memory.checkout.active and act.intent == "pickup":
        return Act("pick_up")
    if act.intent == "number":
        return _number(turn, act)
    if act.intent == "quantity":
        return replace(act, intent="add")
    return act


def _chosen(turn: Turn, act: Act, open_: Pending) -> Act | None:
    """One of the choices on the table, by its place ("o segundo") or by its title ("retirar na loja", "M")."""
    if not open_.choices or act.intent.startswith("tap_"):
        return None
    if open_.kind == "variant" and act.attributes and act.quantity:
        return None  # "5 do M": the variant's own way keeps the quantity
    titles = [title for _, title in open_.choices]
    if act.intent in (
        "pick",
        "number",
        "attributes",
        "search",
        "add",
        "deliver",
        "pickup",
        "unclear",
        "browse",
        "change",
    ):
        said = {act.raw, act.text, act.size or "", str(act.number) if act.number is not None else "", *act.options}
        if act.number is not None:
            figures = [row for row in open_.choices if "".join(c for c in row[1] if c.isdigit()) == str(act.number)]
            if len(figures) == 1:
                return from_payload(figures[0][0])
        for (payload, title), name in zip(open_.choices, titles, strict=True):
            if any(word and same(word, name) for word in said) or (
                act.color and not act.size and not act.text and goods.color_matches(title, act.color)
            ):
                return from_payload(payload)
        if act.intent == "search" and act.text:
            named = [row for row in open_.choices if plain(row[1], turn.request.language).startswith(act.raw)]
            if len(named) == 1 and len(act.raw) > 2:
                return from_payload(named[0][0])
            words = set(act.text.split())
            holding = [row for row in open_.choices if words <= set(plain(row[1], turn.request.language).split())]
            if len(holding) == 1:
                return from_payload(holding[0][0])
            mistyped = [row for row in open_.choices if nearly(act.text, row[1])]
            if len(mistyped) == 1:
                return from_payload(mistyped[0][0])
    if act.intent == "deliver":
        return next((from_payload(payload) for payload, _ in open_.choices if payload == "method:delivery"), None)
    if act.intent == "pickup":
        return next((from_payload(payload) for payload, _ in open_.choices if payload == "method:pickup"), None)
    place = act.positions[0] if act.positions else act.number
    if act.intent in ("pick", "add", "number") and place is not None and len(act.positions) < 2 and not act.pairs:
        index = len(open_.choices) - 1 if place == -1 else place - 1
        if open_.kind != "variant" or act.intent == "number" or not turn.memory.shown[1:]:
            return from_payload(open_.choices[index][0]) if 0 <= index < len(open_.choices) else None
    return None


def _superlative(act: Act, open_: Pending) -> Act | None:
    """ "O mais barato", "o mais rápido", "a mais perto": a choice of a delivery or store by what matters."""
    if open_.kind == "service":
        if act.intent == "cheaper" or act.sort == "price":
            return Act("tap_ship", key=checkout.CHEAPEST)
        if _FAST.search(act.raw):
            return Act("tap_ship", key=checkout.FASTEST)
    if open_.kind in ("method", "details") and (way := _BY_THE_WAY.match(act.raw)):
        return Act("tap_ship", key=checkout.FASTEST if way["fast"] else checkout.CHEAPEST)
    if open_.kind == "location" and (_NEAR.search(act.raw) or (act.cep and act.intent == "quote")):
        return Act("near", cep=act.cep)
    return None


def _how_many(act: Act) -> bool:
    """A quantity and nothing else: "quero as 2"."""
    pointed = act.positions or act.text or act.attributes
    return bool(act.quantity) and act.intent in ("quantity", "add", "pick") and not pointed


def _agrees(act: Act, open_: Pending) -> bool:
    """ "Sim, pode cancelar": a yes with words around it, to a question that has one answer."""
    if open_.kind == "cancel" and act.intent == "cancel_order":
        return not _STARTS_NO.match(act.raw)
    if act.positions or act.attributes or act.known or act.cep or act.order:
        return False
    if not _STARTS_YES.match(act.raw) or _RESERVED.search(act.raw):
        return False
    return act.intent in ("search", "unclear", "browse", "checkout", "clear_cart", "remove", "person", "cancel_order")


_STARTS_YES = re.compile(r"^\W*(?:sim|isso|claro|ok|pode|podes|yes|yeah|sure|si|dale|quero sim|com certeza|beleza)\b")
_RESERVED = re.compile(r"\b(?:nao|no|not|dont|nunca|mas|but|pero|espera|wait|calma|antes|depois)\b")
_STARTS_NO = re.compile(r"^\W*(?:nao|no|nope|nem)\b")
_HOW_MUCH = re.compile(r"\b(?:quanto|quantos|cuanto|how|qual|prazo|custa|cost|cuesta|demora)\b")
_FAST = re.compile(r"\b(?:rapid\w*|urgente|quick\w*|fast\w*|antes|primeiro chega|asap)\b")
_BY_THE_WAY = re.compile(
    r"\W*(?:(?:[ao]|el|la|the|por|com|con|quero|prefiro|pode|ser|entrega|envio|frete|delivery|shipping|mais|mas|most|service) )*"
    r"(?:(?P<fast>expres\w*|rapid[ao]\w*|fast\w*|quick\w*|urgente)|economic[ao]\w*|economy|barat\w*|cheap\w*)(?: (?:delivery|shipping))?\W*$"
)
"""How it shall be sent, said while something else is asked."""
_NEAR = re.compile(r"\b(?:perto|proxim[ao]|near\w*|closest|cerca\w*|qualquer)\b")


def _number(turn: Turn, act: Act) -> Act:
    """A bare number: a place in what is shown, else a size of the last search, else a quantity of the one product."""
    number = act.number or 0
    if 1 <= number <= len(turn.memory.shown) and len(turn.memory.shown) > 1:
        return replace(act, intent="pick", positions=(number,))
    if number >= 30 and not turn.memory.search.empty:
        return replace(act, intent="attributes", size=str(number))
    if turn.memory.focus is not None and 1 <= number <= 20:
        return replace(act, intent="add", quantity=number)
    return replace(act, intent="unclear")


def _resume(turn: Turn, acts: list[Act], open_: Pending | None) -> None:
    """A question in the middle of a checkout is answered first; then the open question is put again."""
    memory = turn.memory
    if memory.pending is not None or open_ is None:
        return
    idle = all(act.intent in _SOCIAL or act.intent in _ASIDE for act in acts)
    if not idle and turn.understood:
        return
    if open_.kind in checkout.ASKING and memory.checkout.active:
        memory.pending = open_
        turn.choose(turn.t("back_to_order"), [("checkout", turn.t("b_go_on")), ("keep_shopping", turn.t("b_keep"))])
    elif not turn.understood or all(act.intent in _SOCIAL for act in acts):
        memory.pending = open_


_ASIDE = frozenset(
    {
        "stores",
        "payment_info",
        "policy",
        "suits_me",
        "quote",
        "out_of_scope",
        "help",
        "unclear",
        "order_status",
        "injection",
    }
)

# --- after another brain ---------------------------------------------------------------------------------------------


async def _finished_by_another(turn: Turn) -> bool:
    """A model changed something in this turn and then failed: tell what is done, do nothing twice."""
    for step in reversed(turn.request.steps):
        if step.answer.brain == NAME:
            continue
        for result in reversed(step.results):
            if result.error is not None:
                continue
            if added.done_by_another(turn, result):
                return True
            contract = _WRITES.get(result.call.name)
            if contract is None:
                continue
            try:
                tool = contract.model_validate(result.call.arguments)
            except ValueError:
                continue
            done = parse(tool, result)
            if isinstance(done, Failed):
                continue
            if isinstance(done, OrderView):
                turn.memory.checkout.active = False
                turn.memory.order = done.number
                turn.say(
                    "cancelled" if isinstance(tool, CancelOrder) else "order_placed",
                    number=done.number,
                    total=done.total,
                )
            elif isinstance(done, PaymentView):
                turn.say("paying", number=done.order_number)
            else:
                await basket.view(turn, Act("view_cart"))
            return True
    return False


_WRITES = {
    tool.tool_name: tool for tool in (PlaceOrder, CancelOrder, SubmitTestCard, AddToCart, RemoveFromCart, ClearCart)
}


# --- the table of contents ---------------------------------------------------------------------------------------


async def _pick(turn: Turn, act: Act) -> None:
    if act.quantity and (act.this or act.positions):
        await basket.add(turn, act)
    else:
        await shopping.details(turn, act)


async def _praise(turn: Turn, act: Act) -> None:
    await (shopping.details if act.positions or act.text else social.praise)(turn, act)


async def _unclear(turn: Turn, act: Act) -> None:
    social.unclear(turn)


async def _which(turn: Turn, act: Act) -> None:
    shopping.which(turn)


async def _stop_checkout(turn: Turn, act: Act) -> None:
    turn.memory.checkout.active = False
    turn.choose(turn.t("checkout_stopped"), [("view_cart", turn.t("b_cart")), ("categories", turn.t("b_categories"))])


async def _browse(turn: Turn, act: Act) -> None:
    turn.say("ask_need")


async def _placed(turn: Turn, act: Act, open_: Pending | None) -> None:
    """A place says which store is near; a parcel still needs its CEP."""
    state = turn.memory.checkout
    asked = open_.kind if open_ is not None else ""
    if asked == "cep":
        turn.memory.pending = open_
        turn.say("place_needs_cep")
    elif state.active and state.method == "delivery":
        turn.say("place_needs_cep")
        await checkout.proceed(turn)
    else:
        await delivery.nearest(turn, act)


async def _deliver(turn: Turn, act: Act) -> None:
    await (checkout.deliver if turn.memory.checkout.active else delivery.quote)(turn, act)


async def _quote(turn: Turn, act: Act) -> None:
    if act.cep and turn.memory.checkout.active and turn.memory.checkout.method == "delivery":
        turn.memory.checkout.cep = act.cep
    await delivery.quote(turn, act)


async def _change_address(turn: Turn, act: Act) -> None:
    await (checkout.change_address if turn.memory.checkout.active else social.policy)(turn, act)


async def _change(turn: Turn, act: Act) -> None:
    await checkout.change(turn, act)


HANDLERS: dict[str, Handler] = {
    # social
    "greet": social.greet, "thanks": social.thanks, "bye": social.bye, "wellbeing": social.wellbeing,
    "smalltalk": social.smalltalk, "out_of_scope": social.out_of_scope, "help": social.help_, "policy": social.policy,
    "payment_info": social.payment_info, "suits_me": social.suits_me, "injection": social.injection,
    "abuse": social.abuse, "person": social.person, "praise": _praise, "unclear": _unclear, "browse": _browse,
    "yes": social.nothing_open, "no": social.nothing_open, "keep_shopping": social.keep_shopping,
    # shopping
    "search": shopping.search, "attributes": shopping.refine, "more": shopping.more, "cheaper": shopping.cheaper,
    "pricier": shopping.pricier, "details": shopping.details, "tap_product": shopping.details,
    "tap_choose": shopping.details, "which": _which, "pick": _pick, "compare": shopping.compare, "compare_shown": shopping.compare,
    "suggest": shopping.suggest, "similar": shopping.similar, "categories": shopping.categories,
    "tap_cat": shopping.category, "expensive": shopping.expensive, "discount": shopping.discount,
    "sale": shopping.discount, "think": shopping.think,
    # cart
    "add": basket.add, "swap": basket.swap, "remove": basket.remove, "tap_remove": basket.remove_tapped, "tap_fewer": checkout.fewer, "view_cart": basket.view,
    "clear_cart": basket.clear, "clear_yes": basket.clear_now, "clear_no": social.keep_shopping,
    "order_items": beside.ordered,
    # order
    "quote": _quote, "deliver": _deliver, "pickup": delivery.pickup, "pickup_info": delivery.pickup,
    "pick_up": checkout.pick_up, "near": checkout.near, "stores": delivery.stores, "checkout": checkout.start,
    "tap_method": checkout.tapped, "tap_ship": checkout.tapped, "tap_store": checkout.tapped,
    "confirm_order": checkout.confirm, "change_order": checkout.change, "change": _change,
    "change_items": checkout.change_items, "change_method": checkout.change_method,
    "change_address": _change_address, "stop_checkout": _stop_checkout,
    # after the order
    "card": aftersales.card, "link": aftersales.link, "pay_link": aftersales.link, "pix": aftersales.pix, "paid": aftersales.link,
    "order_status": aftersales.status, "tap_status": aftersales.status, "my_orders": aftersales.status,
    "tap_tool": added.use,
    "cancel_order": aftersales.cancel, "tap_cancel_yes": aftersales.cancel_now, "cancel_no": aftersales.cancel_kept,
}  # fmt: skip
