"""What must hold after a drill, whatever failed when: read from the store's tables, the payment provider's journal and
what reached the platform."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent_store.entrypoints.drill.load import Load
from agent_store.entrypoints.drill.platform import Reached
from agent_store.entrypoints.drill.state import State, provider_rows


@dataclass(slots=True)
class Verdict:
    """Each list holds one sentence a breach; all of `broken` must be empty. Letters and sends are told, not judged."""

    broken: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    dead: list[str] = field(default_factory=list[str])
    uncertain: list[str] = field(default_factory=list[str])
    counts: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def holds(self) -> bool:
        return not any(self.broken.values())


async def check(state: State, data: Path, load: Load, reached: Iterable[Reached]) -> Verdict:
    arrived = list(reached)
    verdict = Verdict()
    sends = {row["send_id"]: row for row in await state.rows("SELECT * FROM whatsapp_sends")}
    orders = await state.rows("SELECT * FROM orders_orders")
    verdict.broken = {
        "acknowledged messages lost": await _lost(state, load),
        "duplicate effects": await _doubled(state, sends, arrived),
        "oversold units": await _oversold(state, orders),
        "double charges": await _overcharged(data, orders),
        "replies out of order": _disorder(sends, arrived),
        "work left unfinished": await _unfinished(state),
    }
    verdict.dead = [
        f"{row['consumer']}: {row['type']} {row['id']}: {row['reason']} after {row['attempts']} tries: {row['error']}"
        for row in await state.rows("SELECT * FROM kernel_dead WHERE replayed_at IS NULL ORDER BY seq")
    ]
    verdict.uncertain = [
        f"send {row['send_id']}: whether it reached the platform is not known"
        for row in sends.values()
        if row["state"] == "uncertain"
    ]
    verdict.counts = {
        "customers": load.customers,
        "messages acknowledged": len(load.acknowledged),
        "of these delivered twice": load.twice,
        "sends": len(sends),
        "orders": len(orders),
        "orders paid": sum(1 for order in orders if order["captured"]),
        "without an answer in time": len(load.unanswered),
    }
    return verdict


async def _lost(state: State, load: Load) -> list[str]:
    heard = await state.rows("SELECT external_id FROM conversations_messages WHERE direction = 'in'")
    kept = {row["external_id"] for row in heard}
    broken = [f"{wamid} was acknowledged and is nowhere" for wamid in sorted(load.acknowledged - kept)]
    silent = await state.rows("SELECT id, turn, answered FROM conversations_conversations WHERE answered < turn")
    broken += [f"conversation {row['id']}: turn {row['turn']} has no answer" for row in silent]
    return broken


async def _doubled(state: State, sends: dict[str, Any], arrived: list[Reached]) -> list[str]:
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
    for row in sends.values():
        if row["state"] in ("sent", "delivered", "read") and not any(m.send_id == row["send_id"] for m in arrived):
            broken.append(f"send {row['send_id']} counts as {row['state']} and never reached the platform")
    facts = await state.rows(
        "SELECT type, subject, COUNT(*) AS n FROM kernel_outbox WHERE type IN ('store.order.confirmed',"
        " 'store.order.created', 'store.payment.succeeded') GROUP BY type, subject HAVING COUNT(*) > 1"
    )
    broken += [f"{row['type']} of {row['subject']} was told {row['n']} times" for row in facts]
    return broken


async def _oversold(state: State, orders: list[dict[str, Any]]) -> list[str]:
    levels = await state.rows("SELECT * FROM inventory_levels")
    broken = [
        f"{row['sku']} at {row['location']}: {row}" for row in levels if row["on_hand"] < 0 or row["reserved"] < 0
    ]
    sold: Counter[str] = Counter()
    for order in orders:
        if order["stock"] == "committed":
            for line in _json(order["lines"]):
                sold[line["sku"]] += line["quantity"]
    moved: Counter[str] = Counter()
    sums: Counter[tuple[str, str]] = Counter()
    for row in await state.rows("SELECT sku, location, cause, on_hand_change FROM inventory_movements"):
        sums[row["sku"], row["location"]] += row["on_hand_change"]
        if row["cause"] != "import":
            moved[row["sku"]] -= row["on_hand_change"]
    for sku in sold.keys() | moved.keys():
        if sold[sku] != moved[sku]:
            broken.append(f"{sku}: {sold[sku]} sold and {moved[sku]} taken from stock")
    for row in levels:
        if sums[row["sku"], row["location"]] != row["on_hand"]:
            broken.append(f"{row['sku']} at {row['location']}: its movements do not add up to its level")
    return broken


async def _overcharged(data: Path, orders: list[dict[str, Any]]) -> list[str]:
    charges = provider_rows(data, "SELECT * FROM movements WHERE failure IS NULL")
    charged = Counter(row["amount_minor"] for row in charges if row["kind"] == "charge")
    refunded = Counter(row["amount_minor"] for row in charges if row["kind"] == "refund")
    due = Counter(order["total_minor"] for order in orders if order["captured"])
    over = charged - refunded
    broken = [f"{n} charges of {amount} too many" for amount, n in (over - due).items()]
    broken += [f"{n} paid orders of {amount} were never charged" for amount, n in (due - over).items()]
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


async def _unfinished(state: State) -> list[str]:
    rows = await state.rows("SELECT consumer, type, id, state FROM kernel_inbox WHERE state NOT IN ('done', 'dead')")
    broken = [f"{row['consumer']}: {row['type']} {row['id']} is {row['state']}" for row in rows]
    rows = await state.rows("SELECT type, id FROM kernel_outbox WHERE NOT published")
    broken += [f"{row['type']} {row['id']} was never published" for row in rows]
    rows = await state.rows(
        "SELECT send_id, state FROM whatsapp_sends WHERE state IN ('queued', 'attempting', 'doubtful')"
    )
    broken += [f"send {row['send_id']} is {row['state']}" for row in rows]
    return broken


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str | bytes) else value
