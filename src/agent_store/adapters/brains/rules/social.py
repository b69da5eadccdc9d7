"""What is no trade: greeting, thanks, small talk, what the shop doesn't do, and what it won't do."""

from __future__ import annotations

from agent_store.adapters.brains.rules import goods
from agent_store.adapters.brains.rules.memory import Pending
from agent_store.adapters.brains.rules.turn import Failed, Turn
from agent_store.adapters.brains.rules.understanding import Act
from agent_store.contracts.catalog import GetProducts
from agent_store.kernel.brain import Block


async def greet(turn: Turn, act: Act) -> None:
    hello = f"{turn.voice.hello(turn.memory.turns)} {turn.t('ask_need')}"
    if turn.first:
        hello = turn.voice.welcome(turn.memory.turns)
        turn.first = False
    turn.choose(
        hello,
        [("categories", turn.t("b_categories")), ("suggest", turn.t("b_suggest")), ("my_orders", turn.t("b_orders"))],
    )


async def help_(turn: Turn, act: Act) -> None:
    turn.choose(
        turn.t("help"),
        [("categories", turn.t("b_categories")), ("view_cart", turn.t("b_cart")), ("person", turn.t("b_person"))],
    )


def introduce(turn: Turn) -> None:
    """A new customer hears first who it is that answers."""
    if not turn.first or not turn.blocks:
        return
    turn.first = False
    words, first = turn.voice.introduction(turn.memory.turns), turn.blocks[0]
    if len(words) + len(first.text) < _ROOM:
        turn.blocks[0] = first.model_copy(update={"text": f"{words}\n{first.text}".strip()})
    else:
        turn.blocks.insert(0, Block(kind="text", text=words))


_ROOM = 1000
"""Characters of a text with choices."""


async def thanks(turn: Turn, act: Act) -> None:
    turn.say("welcome")


async def bye(turn: Turn, act: Act) -> None:
    turn.say("bye")


async def smalltalk(turn: Turn, act: Act) -> None:
    turn.first = False  # it says itself who speaks
    turn.say("smalltalk")


async def wellbeing(turn: Turn, act: Act) -> None:
    turn.say("wellbeing")


async def out_of_scope(turn: Turn, act: Act) -> None:
    turn.choose(turn.t("out_of_scope"), [("categories", turn.t("b_categories")), ("person", turn.t("b_person"))])


async def policy(turn: Turn, act: Act) -> None:
    """Exchanges, returns, warranty, invoices: people decide on them, so people are offered."""
    turn.memory.pending = Pending("person", yes="person")
    turn.choose(turn.t("policy"), [("person", turn.t("b_person")), ("my_orders", turn.t("b_orders"))])


async def payment_info(turn: Turn, act: Act) -> None:
    turn.choose(turn.t("payment_info"), [("checkout", turn.t("b_checkout")), ("pay_link", turn.t("b_link"))])


async def suits_me(turn: Turn, act: Act) -> None:
    turn.memory.pending = Pending("person", yes="person")
    turn.choose(turn.t("suits_me"), [("person", turn.t("b_person"))])


async def praise(turn: Turn, act: Act) -> None:
    focus = turn.memory.focus
    if focus is not None and focus.sku:
        turn.memory.pending = Pending("offer", yes=f"add:{focus.sku}", product=focus.id)
        turn.choose(turn.t("praise"), [(f"add:{focus.sku}", turn.t("b_add"))])
    elif focus is not None:
        turn.memory.pending = Pending("offer", yes=f"product:{focus.id}")
        turn.choose(turn.t("praise"), [(f"product:{focus.id}", turn.t("b_choose"))])
    else:
        turn.say("praise_none")


async def injection(turn: Turn, act: Act) -> None:
    """Somebody tries to talk the price down with orders to the machine: the true price, kindly, and nothing else."""
    focus = turn.memory.focus or (turn.memory.shown[0] if turn.memory.shown else None)
    if focus is not None:
        found = await turn.ask(GetProducts(ids=(focus.item,)))
        if not isinstance(found, Failed) and found:
            variants = [v for v in found[0].variants if focus.sku in (None, v.sku)]
            price = goods.price_of(turn, found[0], variants)
            turn.say("refuse_price", name=found[0].name, price=price)
            return
    turn.say("refuse")


async def abuse(turn: Turn, act: Act) -> None:
    turn.first = False  # no moment to introduce oneself
    turn.memory.pending = Pending("person", yes="person")
    turn.choose(turn.t("abuse"), [("person", turn.t("b_person"))])


async def person(turn: Turn, act: Act) -> None:
    turn.escalate = "asked: the customer wants a person"


async def keep_shopping(turn: Turn, act: Act) -> None:
    turn.choose(turn.t("keep_shopping"), [("categories", turn.t("b_categories")), ("suggest", turn.t("b_suggest"))])


async def nothing_open(turn: Turn, act: Act) -> None:
    """A yes or no to nothing."""
    turn.choose(
        turn.t("yes_to_what" if act.intent == "yes" else "no_problem"),
        [("categories", turn.t("b_categories")), ("view_cart", turn.t("b_cart"))],
    )


def unclear(turn: Turn) -> None:
    """Not understood: said so, with what can be asked. Two in a row bring a person (conversations)."""
    turn.understood = False
    turn.choose(
        turn.t("unclear"),
        [("categories", turn.t("b_categories")), ("view_cart", turn.t("b_cart")), ("person", turn.t("b_person"))],
    )
