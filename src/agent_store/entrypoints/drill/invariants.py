"""What must hold after a drill, whatever failed when: read from the store's tables (the mock payment provider's journal is
one) and what reached the platform."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from agent_store.entrypoints.drill.load import Load
from agent_store.entrypoints.drill.platform import Reached
from agent_store.entrypoints.drill.state import Rows, State

_ONCE = ("store.order.created", "store.order.confirmed", "store.payment.succeeded")
"""Facts that an order has once in its life."""


@dataclass(slots=True)
class Verdict:
    """Each list of `broken` holds one sentence a breach; all must be empty. Letters and sends are told, not judged."""

    broken: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    dead: list[str] = field(default_factory=list[str])
    uncertain: list[str] = field(default_factory=list[str])
    counts: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def holds(self) -> bool:
        return not any(self.broken.values())


async def check(state: State, load: Load, reached: Iterable[Reached], *, look_again: float = 3.0) -> Verdict:
    """`load`: each customer puts one thing into the cart and orders once. `look_again`: after so many seconds what is
    still open is unfinished; a timer may fire at any time. Raises what the database's driver raises."""
    arrived = list(reached)
    verdict = Verdict()
    sends = {row["send_id"]: row for row in await state.rows("SELECT * FROM whatsapp_sends")}
    orders = await state.rows("SELECT * FROM orders_orders")
    payments = await state.rows("SELECT * FROM payments_payments")
    verdict.broken = {
        "acknowledged messages lost": await _lost(state, load),
        "replies lost": await _unsaid(state, sends, arrived),
        "duplicate effects": await _doubled(state, sends, orders, arrived),
        "oversold units": await _oversold(state, orders),
        "double charges": await _overcharged(state, orders, payments),
        "replies out of order": _disorder(sends, arrived),
        "work left unfinished": await _unfinished(state, look_again),
    }
    verdict.dead = [
        f"{row['consumer']}: {row['type']} {row['id']}: {row['reason']} after {row['attempts']} tries: {row['error']}"
        for row in await state.rows(
            "SELECT * FROM kernel_dead WHERE replayed_at IS NULL AND dropped_at IS NULL ORDER BY seq"
        )
    ]
    verdict.uncertain = [
        f"send {row['send_id']}: whether it reached the platform is not known"
        for row in sends.values()
        if row["state"] == "uncertain"
    ]
    handed = await state.rows("SELECT COUNT(*) AS n FROM conversations_conversations WHERE speaker <> 'bot'")
    verdict.counts = {
        "customers": load.customers,
        "messages acknowledged": len(load.acknowledged),
        "of these delivered twice": load.twice,
        "sends": len(sends),
        "orders": len(orders),
        "orders paid": sum(1 for order in orders if order["captured"]),
        "without an answer in time": len(load.unanswered),
        "conversations handed to a person": handed[0]["n"],
    }
    return verdict


async def _lost(state: State, load: Load) -> list[str]:
    """Each message that the webhook said 200 for is in its conversation, was given to the seller, and was answered."""
    heard = await state.rows("SELECT external_id FROM conversations_messages WHERE direction = 'in'")
    kept = {row["external_id"] for row in heard}
    broken = [f"{wamid} was acknowledged and is nowhere" for wamid in sorted(load.acknowledged - kept)]
    waiting = await state.rows(
        "SELECT m.external_id, c.id FROM conversations_messages m JOIN conversations_conversations c"
        " ON c.id = m.conversation_id WHERE m.direction = 'in' AND m.turn IS NULL AND c.speaker = 'bot'"
    )
    broken += [f"{row['external_id']} waits in conversation {row['id']} and is in no turn" for row in waiting]
    silent = await state.rows(
        "SELECT id, turn, answered FROM conversations_conversations WHERE answered < turn AND speaker = 'bot'"
    )
    broken += [f"conversation {row['id']}: turn {row['turn']} has no answer" for row in silent]
    return broken


async def _unsaid(state: State, sends: dict[str, Any], arrived: list[Reached]) -> list[str]:
    """Each reply has a send, none was given up, and what counts as sent reached the platform."""
    commands = await state.rows("SELECT id, data FROM kernel_outbox WHERE type = 'store.whatsapp.message.send'")
    broken = [
        f"{row['id']} was to be said and has no send" for row in commands if _json(row["data"])["send_id"] not in sends
    ]
    seen = {message.send_id for message in arrived}
    for send_id, row in sends.items():
        if row["state"] == "failed":
            broken.append(f"send {send_id} was given up: {row['error']}")
        elif row["state"] in ("sent", "delivered", "read") and send_id not in seen:
            broken.append(f"send {send_id} counts as {row['state']} and never reached the platform")
    return broken


async def _doubled(state: State, sends: dict[str, Any], orders: Rows, arrived: list[Reached]) -> list[str]:
    heard = await state.rows(
        "SELECT external_id, COUNT(*) AS n FROM conversations_messages WHERE direction = 'in'"
        " GROUP BY external_id HAVING COUNT(*) > 1"
    )
    broken = [f"{row['external_id']} is in its conversation {row['n']} times" for row in heard]
    for send_id, times in Counter(message.send_id for message in arrived).items():
        if send_id not in sends:
            broken.append(f"send {send_id} reached the platform and the store knows nothing of it")
        elif times > 1:
            broken.append(f"send {send_id} reached the platform {times} times")
    for kind, key, what in (
        ("store.chat.message.new", "number", "granted"),
        ("store.chat.response", "turn", "answered"),
    ):
        rows = await state.rows(f"SELECT subject, data FROM kernel_outbox WHERE type = '{kind}'")  # noqa: S608  # ours
        turns = Counter((row["subject"], _json(row["data"])[key]) for row in rows)
        broken += [
            f"turn {number} of {subject} was {what} {times} times"
            for (subject, number), times in turns.items()
            if times > 1 and not (what == "granted" and number == 0)
        ]
    names = ", ".join(f"'{name}'" for name in _ONCE)
    facts = await state.rows(
        f"SELECT type, subject, COUNT(*) AS n FROM kernel_outbox WHERE type IN ({names})"  # noqa: S608  # names of ours
        " GROUP BY type, subject HAVING COUNT(*) > 1"
    )
    broken += [f"{row['type']} of {row['subject']} was told {row['n']} times" for row in facts]
    for customer, times in Counter(order["customer_id"] for order in orders).items():
        if times > 1:
            broken.append(f"customer {customer} ordered once and has {times} orders")
    broken += [
        f"order {order['number']} has {order['units']} units, and its customer put one into the cart"
        for order in orders
        if order["units"] != 1
    ]
    return broken


async def _oversold(state: State, orders: Rows) -> list[str]:
    """No level below what is reserved of it; the ledger adds up to the levels; what left the shelves is what was sold."""
    levels = await state.rows("SELECT * FROM inventory_levels")
    broken = [
        f"{row['sku']} at {row['location']}: {row['on_hand']} on hand, {row['reserved']} reserved"
        for row in levels
        if row["on_hand"] < 0 or not 0 <= row["reserved"] <= row["on_hand"]
    ]
    sold: Counter[str] = Counter()
    for order in orders:
        if order["stock"] == "committed":
            for line in _json(order["lines"]):
                sold[line["sku"]] += line["quantity"]
    moved: Counter[str] = Counter()
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for row in await state.rows(
        "SELECT sku, location, cause, on_hand_change, reserved_change FROM inventory_movements"
    ):
        place = row["sku"], row["location"]
        on_hand, reserved = sums.get(place, (0, 0))
        sums[place] = on_hand + row["on_hand_change"], reserved + row["reserved_change"]
        if row["cause"] != "import":
            moved[row["sku"]] -= row["on_hand_change"]
    broken += [
        f"{sku}: {sold[sku]} sold and {moved[sku]} taken from stock"
        for sku in sorted(sold.keys() | moved.keys())
        if sold[sku] != moved[sku]
    ]
    broken += [
        f"{row['sku']} at {row['location']}: its movements do not add up to its level"
        for row in levels
        if sums.get((row["sku"], row["location"]), (0, 0)) != (row["on_hand"], row["reserved"])
    ]
    return broken


async def _overcharged(state: State, orders: Rows, payments: Rows) -> list[str]:
    """Each charge that stands at the provider is one payment's, of its amount, and each paid order's payment has one."""
    movements = await state.rows("SELECT * FROM payments_provider_movements WHERE failure IS NULL")
    refunded = {row["subject"] for row in movements if row["kind"] == "refund"}
    charges = {row["reference"]: row["amount_minor"] for row in movements if row["kind"] == "charge"}
    standing = {reference: amount for reference, amount in charges.items() if reference not in refunded}
    paid = {row["order_id"]: row for row in payments if row["state"] == "paid"}
    known = {row["reference"] for row in paid.values()}
    broken = [
        f"charge {reference} of {amount} belongs to no paid order"
        for reference, amount in standing.items()
        if reference not in known
    ]
    for order in orders:
        payment = paid.get(order["id"])
        if order["captured"] and payment is None:
            broken.append(f"order {order['number']} counts as paid and has no payment")
        elif payment is not None and standing.get(payment["reference"]) != order["total_minor"]:
            charged = standing.get(payment["reference"])
            broken.append(f"order {order['number']} costs {order['total_minor']}, and {charged} was charged for it")
    return broken


def _disorder(sends: dict[str, Any], arrived: list[Reached]) -> list[str]:
    """Sends of a conversation are numbered; each must reach the platform after those before it."""
    broken: list[str] = []
    last: dict[str, int] = {}
    seen: set[str] = set()
    for message in arrived:
        row = sends.get(message.send_id)
        if row is None or message.send_id in seen:
            continue
        seen.add(message.send_id)
        conversation, number = row["conversation_id"], row["number"]
        if number < last.get(conversation, 0):
            broken.append(f"conversation {conversation}: message {number} came after {last[conversation]}")
        last[conversation] = max(number, last.get(conversation, 0))
    return broken


async def _unfinished(state: State, look_again: float) -> list[str]:
    """What is open now and was open a moment before."""
    first = await _open(state)
    if not first:
        return []
    await asyncio.sleep(look_again)
    second = set(await _open(state))
    return [sentence for sentence in first if sentence in second]


async def _open(state: State) -> list[str]:
    rows = await state.rows("SELECT consumer, type, id, state FROM kernel_inbox WHERE state NOT IN ('done', 'dead')")
    found = [f"{row['consumer']}: {row['type']} {row['id']} is {row['state']}" for row in rows]
    rows = await state.rows("SELECT type, id FROM kernel_outbox WHERE NOT published")
    found += [f"{row['type']} {row['id']} was never published" for row in rows]
    rows = await state.rows(
        "SELECT send_id, state FROM whatsapp_sends WHERE state IN ('queued', 'attempting', 'doubtful')"
    )
    return found + [f"send {row['send_id']} is {row['state']}" for row in rows]


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str | bytes) else value
