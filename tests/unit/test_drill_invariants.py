"""Each invariant of a drill really catches its breach: tables of a store in good order, with one thing broken."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent_store.adapters.db import schema
from agent_store.adapters.db.sqlite import SqliteStore
from agent_store.adapters.payments.mock import MockPaymentProvider
from agent_store.entrypoints.drill.invariants import Verdict, check
from agent_store.entrypoints.drill.load import Load
from agent_store.entrypoints.drill.platform import Reached
from agent_store.entrypoints.drill.state import SqliteState
from agent_store.entrypoints.rooms import AGENTS, agent_named
from agent_store.kernel.clock import ManualClock

DRESS, SHOP = "FAS-VPIMENTA-VM-P", "cd-sp"
_DEFAULTS: dict[str, Any] = {"INTEGER": 0, "BIGINT": 0, "BOOLEAN": 0, "FLOAT": 0.0}


class Books:
    """The tables of a store in which one customer has bought one dress, and what reached the platform."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store.sqlite3"
        self.db = sqlite3.connect(self.path, isolation_level=None)
        self.db.execute("PRAGMA synchronous = OFF")
        self.load = Load(acknowledged={"wamid.1", "wamid.2"}, customers=1)
        self.reached = [self.reach("send-1"), self.reach("send-2")]
        self.store = SqliteStore(self.path)
        self.provider = MockPaymentProvider(ManualClock(), lambda: self.store)

    def reach(self, send_id: str) -> Reached:
        return Reached(send_id, "5511", f"wamid.{send_id}", {})

    def add(self, table: str, **values: Any) -> None:
        """A row; what is not given and may not be absent is 0 or ""."""
        columns = self.db.execute(f"PRAGMA table_info({table})").fetchall()
        for _, name, kind, needed, default, key in columns:
            if name not in values and (needed or key) and default is None and not (key and kind == "INTEGER"):
                values[name] = _DEFAULTS.get(kind.partition("(")[0], "")
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" for _ in values)
        encoded = [json.dumps(value) if isinstance(value, dict | list) else value for value in values.values()]
        self.db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", encoded)  # noqa: S608  # our own

    def set(self, table: str, where: str = "1", **values: Any) -> None:
        changes = ", ".join(f'"{name}" = ?' for name in values)
        done = self.db.execute(f"UPDATE {table} SET {changes} WHERE {where}", list(values.values()))  # noqa: S608
        assert done.rowcount

    def loose(self) -> None:
        """Rules of the tables no longer stand in the way: what they keep out is to be seen all the same."""
        self.db.execute("PRAGMA ignore_check_constraints = ON")

    async def fill(self) -> None:
        self.add("conversations_customers", id="c1", language="pt")
        self.add(
            "conversations_conversations", id="v1", customer_id="c1", speaker="bot", language="pt", turn=2, answered=2
        )
        for number in (1, 2):
            self.add(
                "conversations_messages", conversation_id="v1", seq=number, direction="in", turn=number,
                external_id=f"wamid.{number}",
            )  # fmt: skip
            self.event("store.chat.message.new", "v1", {"number": number})
            self.event("store.chat.response", "v1", {"turn": number})
            self.event("store.whatsapp.message.send", "v1", {"send_id": f"send-{number}"})
            self.add("whatsapp_sends", send_id=f"send-{number}", conversation_id="v1", number=number, state="sent")
        charge = await self.provider.charge("4242", _money(10_000), "pay-1")
        self.add(
            "orders_orders", id="o1", number="AS-1", customer_id="c1", units=1, total_minor=10_000, subtotal_minor=10_000,
            captured=1, stock="committed", state="confirmed", version=1, attempt=1, lines=[{"sku": DRESS, "quantity": 1}],
            delivery={},
        )  # fmt: skip
        self.add(
            "payments_payments", id="p1", order_id="o1", amount_minor=10_000, state="paid", reference=charge.reference
        )
        self.event("store.order.confirmed", "o1", {})
        self.add("inventory_levels", sku=DRESS, location=SHOP, on_hand=4, reserved=0)
        moves = ((1, "import", 5, 0), (2, "reserve", 0, 1), (3, "commit", -1, -1))
        for version, cause, on_hand, reserved in moves:
            self.add(
                "inventory_movements", sku=DRESS, version=version, location=SHOP, cause=cause, on_hand_change=on_hand,
                reserved_change=reserved,
            )  # fmt: skip

    def event(self, kind: str, subject: str, data: dict[str, Any], *, published: int = 1) -> None:
        number = self.db.execute("SELECT COUNT(*) FROM kernel_outbox").fetchone()[0]
        self.add(
            "kernel_outbox", source="/test", id=f"e{number}", type=kind, subject=subject, data=data, published=published
        )

    async def verdict(self) -> Verdict:
        return await check(SqliteState(self.path), self.load, self.reached, look_again=0)

    async def close(self) -> None:
        self.db.close()
        await self.store.close()


def _money(minor: int) -> Any:
    from agent_store.kernel.money import Money

    return Money(minor=minor)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store's file without a row."""
    path = tmp_path_factory.mktemp("empty") / "store.sqlite3"
    schema.prepare_sqlite(path, [agent_named(name) for name in AGENTS])
    return path


@pytest.fixture
async def books(empty: Path, tmp_path: Path) -> Any:
    shutil.copy(empty, tmp_path)
    found = Books(tmp_path)
    await found.fill()
    yield found
    await found.close()


async def test_books_in_good_order_hold(books: Books) -> None:
    verdict = await books.verdict()
    assert verdict.broken == {name: [] for name in verdict.broken}
    assert verdict.holds
    assert verdict.counts["orders paid"] == 1
    assert (verdict.dead, verdict.uncertain) == ([], [])


LOST, UNSAID, DOUBLED, OVERSOLD, CHARGED, DISORDER, UNFINISHED = (
    "acknowledged messages lost", "replies lost", "duplicate effects", "oversold units", "double charges",
    "replies out of order", "work left unfinished",
)  # fmt: skip
BREACHES: dict[str, tuple[Callable[[Books], Any], str, str]] = {
    "a message that was acknowledged is nowhere": (
        lambda b: b.load.acknowledged.add("wamid.9"), LOST, "wamid.9 was acknowledged and is nowhere",
    ),
    "a message was never given to the seller": (
        lambda b: b.set("conversations_messages", "seq = 2", turn=None), LOST, "wamid.2 waits",
    ),
    "a turn has no answer": (
        lambda b: b.set("conversations_conversations", turn=3), LOST, "turn 3 has no answer",
    ),
    "a reply has no send": (
        lambda b: b.event("store.whatsapp.message.send", "v1", {"send_id": "send-9"}), UNSAID, "has no send",
    ),
    "a reply was given up": (
        lambda b: b.set("whatsapp_sends", "number = 2", state="failed", error="refused"), UNSAID, "was given up: refused",
    ),
    "a send that counts as sent never arrived": (
        lambda b: b.reached.pop(), UNSAID, "send-2 counts as sent and never reached",
    ),
    "a message is in its conversation twice": (
        lambda b: b.add("conversations_messages", conversation_id="v1", seq=3, direction="in", turn=2,
                        external_id="wamid.2"), DOUBLED, "wamid.2 is in its conversation 2 times",
    ),
    "a send reached the platform twice": (
        lambda b: b.reached.append(b.reach("send-2")), DOUBLED, "send-2 reached the platform 2 times",
    ),
    "something reached the platform that the store never sent": (
        lambda b: b.reached.append(b.reach("ghost")), DOUBLED, "ghost reached the platform and the store knows nothing",
    ),
    "a turn was granted twice": (
        lambda b: b.event("store.chat.message.new", "v1", {"number": 2}), DOUBLED, "turn 2 of v1 was granted 2 times",
    ),
    "a turn was answered twice": (
        lambda b: b.event("store.chat.response", "v1", {"turn": 2}), DOUBLED, "turn 2 of v1 was answered 2 times",
    ),
    "an order was confirmed twice": (
        lambda b: b.event("store.order.confirmed", "o1", {}), DOUBLED, "store.order.confirmed of o1 was told 2 times",
    ),
    "a cart change counted twice": (
        lambda b: b.set("orders_orders", units=2), DOUBLED, "AS-1 has 2 units",
    ),
    "a customer's order is there twice": (
        lambda b: b.add("orders_orders", id="o2", number="AS-2", customer_id="c1", units=1, version=1, attempt=1,
                        state="cancelled", stock="released", lines=[], delivery={}), DOUBLED, "c1 ordered once and has 2",
    ),
    "more was reserved than is there": (
        lambda b: (b.loose(), b.set("inventory_levels", reserved=9)), OVERSOLD, "4 on hand, 9 reserved",
    ),
    "stock is below zero": (
        lambda b: (b.loose(), b.set("inventory_levels", on_hand=-1)), OVERSOLD, "-1 on hand",
    ),
    "a unit was sold that never left the shelf": (
        lambda b: b.set("orders_orders", lines=json.dumps([{"sku": DRESS, "quantity": 2}])), OVERSOLD,
        "2 sold and 1 taken from stock",
    ),
    "the ledger does not add up": (
        lambda b: b.set("inventory_levels", on_hand=3), OVERSOLD, "do not add up",
    ),
    "a charge belongs to nobody": (
        lambda b: b.set("payments_payments", reference="other"), CHARGED, "belongs to no paid order",
    ),
    "an order counts as paid and nobody paid": (
        lambda b: b.db.execute("DELETE FROM payments_payments"), CHARGED, "counts as paid and has no payment",
    ),
    "another amount was charged": (
        lambda b: b.set("orders_orders", total_minor=9_000, subtotal_minor=9_000), CHARGED, "10000 was charged for it",
    ),
    "replies came in another order": (
        lambda b: b.reached.reverse(), DISORDER, "message 1 came after 2",
    ),
    "an event was never handled": (
        lambda b: b.add("kernel_inbox", consumer="orders", source="/x", id="1", type="t", state="accepted"), UNFINISHED,
        "orders: t 1 is accepted",
    ),
    "an event was never published": (
        lambda b: b.event("store.x", "s", {}, published=0), UNFINISHED, "store.x e7 was never published",
    ),
    "a send is on its way for ever": (
        lambda b: b.add("whatsapp_sends", send_id="send-3", conversation_id="v1", number=3, state="attempting"), UNFINISHED,
        "send-3 is attempting",
    ),
}  # fmt: skip


@pytest.mark.parametrize("breach", BREACHES)
async def test_a_breach_is_caught_under_its_name_and_no_other(books: Books, breach: str) -> None:
    do, name, sentence = BREACHES[breach]
    do(books)
    verdict = await books.verdict()
    assert not verdict.holds
    assert any(sentence in told for told in verdict.broken[name]), verdict.broken
    assert [other for other, told in verdict.broken.items() if told] == [name]


async def test_a_second_charge_is_caught_whatever_its_key(books: Books) -> None:
    await books.provider.charge("4242", _money(10_000), "pay-1 again")
    assert [told for told in (await books.verdict()).broken[CHARGED] if "belongs to no paid order" in told]


async def test_a_charge_that_was_given_back_is_none(books: Books) -> None:
    extra = await books.provider.charge("4242", _money(10_000), "pay-1 again")
    await books.provider.refund(extra.reference, _money(10_000), "refund-1")
    assert (await books.verdict()).holds


async def test_what_people_have_taken_over_is_not_waited_for(books: Books) -> None:
    books.set("conversations_conversations", turn=3, speaker="person")
    verdict = await books.verdict()
    assert verdict.holds
    assert verdict.counts["conversations handed to a person"] == 1


async def test_dead_letters_and_uncertain_sends_are_told_and_not_judged(books: Books) -> None:
    books.add("kernel_dead", consumer="orders", type="t", id="7", reason="permanent", attempts=3, error="no")
    books.add("kernel_dead", consumer="orders", type="t", id="8", reason="permanent", replayed_at=1)
    books.add("kernel_dead", consumer="orders", type="t", id="9", reason="permanent", dropped_at=1)
    books.set("whatsapp_sends", "number = 2", state="uncertain")
    books.reached.pop()
    verdict = await books.verdict()
    assert verdict.holds
    assert verdict.dead == ["orders: t 7: permanent after 3 tries: no"]
    assert verdict.uncertain == ["send send-2: whether it reached the platform is not known"]
