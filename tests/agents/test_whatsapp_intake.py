"""What comes in at the gateway: stored once, told once, whatever its order; the account's news."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from agent_store.agents.whatsapp import intake, tables
from agent_store.agents.whatsapp.reading import parse
from agent_store.agents.whatsapp.repository import News
from agent_store.contracts.brands import Directory
from agent_store.contracts.whatsapp import (
    WhatsAppAccountUpdated,
    WhatsAppIdentityChanged,
    WhatsAppMarketingChosen,
    WhatsAppMediaDue,
    WhatsAppMessageDeleted,
    WhatsAppMessageEdited,
    WhatsAppMessageReceived,
)
from agent_store.kernel.agent import Agent
from agent_store.kernel.clock import ManualClock
from agent_store.kernel.context import Row
from tests.agents.test_whatsapp import FASHION, Brands
from tests.support.store import TestStore

FIXTURES = Path(__file__).parent.parent / "fixtures" / "whatsapp"
MEDIA_KINDS = {"image", "audio", "video", "document", "sticker"}
SENT = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def gateway() -> TestStore:
    """The gateway's tables and its intake; nothing that works on what comes in."""
    agent = Agent("whatsapp", tables=tables.metadata)
    return TestStore([agent], ports={Directory: Brands()}, clock=ManualClock(SENT + timedelta(hours=1)))


async def deliver(store: TestStore, body: bytes) -> None:
    delivery = parse(body)
    await store.runtime.transact("whatsapp", lambda tx: intake.record(tx, delivery))
    await store.settle()


async def deliver_fixture(store: TestStore, name: str) -> None:
    await deliver(store, (FIXTURES / f"{name}.json").read_bytes())


def message(wamid: str, kind: str, number: str = FASHION, at: int = 0, **more: Any) -> bytes:
    told = {"from": "5511988880001", "id": wamid, "timestamp": str(int(SENT.timestamp()) + at), "type": kind, **more}
    return envelope({"metadata": {"phone_number_id": number}, "messages": [told]})


def text(wamid: str, body: str, **more: Any) -> bytes:
    return message(wamid, "text", text={"body": body}, **more)


def edit(wamid: str, original: str, body: str, at: int, **more: Any) -> bytes:
    now = {"type": "text", "text": {"body": body}}
    return message(wamid, "edit", at=at, edit={"original_message_id": original, "message": now}, **more)


def revoke(wamid: str, original: str, at: int = 60, **more: Any) -> bytes:
    return message(wamid, "revoke", at=at, revoke={"original_message_id": original}, **more)


def envelope(value: dict[str, Any], field: str = "messages", time: int | None = None) -> bytes:
    change = {"field": field, "value": value}
    entry = {"id": "301550000000777", "changes": [change]} | ({} if time is None else {"time": time})
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


async def stored(store: TestStore, wamid: str) -> Row:
    (row,) = await store.rows(select(tables.messages).where(tables.messages.c.wamid == wamid))
    return row


# --- media -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(path.stem for path in (FIXTURES / "messages").glob("*.json")))
async def test_a_medium_is_due_beside_its_message_and_nothing_else_is(name: str) -> None:
    async with gateway() as store:
        await deliver_fixture(store, f"messages/{name}")
        await deliver_fixture(store, f"messages/{name}")
        due, told = store.events(WhatsAppMediaDue), store.events(WhatsAppMessageReceived)
        assert len(told) <= 1
        for received in told:
            assert received.fetching == (received.kind in MEDIA_KINDS)
            assert [(one.wamid, one.media) for one in due] == (
                [(received.wamid, received.content.media)] if received.fetching else []
            )


# --- changed -----------------------------------------------------------------------------------------------------


async def test_an_edit_is_kept_beside_what_was_said_before_and_told_once() -> None:
    async with gateway() as store:
        await deliver(store, text("w1", "vestido azul"))
        for _ in range(2):
            await deliver(store, edit("e1", "w1", "vestido verde", at=30))
        (edited,) = store.events(WhatsAppMessageEdited)
        assert (edited.wamid, edited.edit_wamid, edited.content.text) == ("w1", "e1", "vestido verde")
        assert (edited.sender, edited.at) == ("5511988880001", SENT + timedelta(seconds=30))
        row = await stored(store, "w1")
        assert "vestido azul" in row["raw"]
        assert "vestido verde" in row["edited"]
        assert row["edited_at"] == SENT + timedelta(seconds=30)


async def test_the_newest_edit_wins_whichever_comes_first() -> None:
    async with gateway() as store:
        await deliver(store, text("w1", "um"))
        await deliver(store, edit("e2", "w1", "três", at=60))
        await deliver(store, edit("e1", "w1", "dois", at=30))
        await deliver(store, edit("e2", "w1", "três", at=60))
        assert [event.content.text for event in store.events(WhatsAppMessageEdited)] == ["três"]
        assert "três" in (await stored(store, "w1"))["edited"]


async def test_edits_of_one_second_end_alike_in_any_order() -> None:
    edits = [edit("e1", "w1", "dois", at=30), edit("e2", "w1", "três", at=30)]
    ends: list[str] = []
    for order in (edits, edits[::-1]):
        async with gateway() as store:
            await deliver(store, text("w1", "um"))
            for body in (*order, *order):
                await deliver(store, body)
            ends.append((await stored(store, "w1"))["edited"])
    assert ends[0] == ends[1]


async def test_an_edit_that_comes_before_its_message_is_told_after_it() -> None:
    async with gateway() as store:
        await deliver(store, edit("e1", "w1", "vestido verde", at=30))
        assert store.events(WhatsAppMessageEdited) == []
        for _ in range(2):
            await deliver(store, text("w1", "vestido azul"))
        assert [event.content.text for event in store.events(WhatsAppMessageReceived)] == ["vestido azul"]
        assert [event.content.text for event in store.events(WhatsAppMessageEdited)] == ["vestido verde"]
        types = [one.type.rsplit(".", 1)[1] for one in store.envelopes]
        assert types == ["received", "edited"]
        row = await stored(store, "w1")
        assert (row["kind"], "vestido azul" in row["raw"]) == ("text", True)
        assert row["sent_at"] == SENT


async def test_an_edit_of_what_is_in_the_same_delivery_is_told_after_it() -> None:
    async with gateway() as store:
        first, second = json.loads(edit("e1", "w1", "verde", at=9)), json.loads(text("w1", "azul"))
        first["entry"].extend(second["entry"])
        await deliver(store, json.dumps(first).encode())
        assert [one.type.rsplit(".", 1)[1] for one in store.envelopes] == ["received", "edited"]


async def test_nobody_changes_a_message_at_another_number() -> None:
    async with gateway() as store:
        await deliver(store, text("w1", "azul"))
        await deliver(store, edit("e1", "w1", "verde", at=9, number="219870000000002"))
        await deliver(store, revoke("r1", "w1", number="219870000000002"))
        assert (store.events(WhatsAppMessageEdited), store.events(WhatsAppMessageDeleted)) == ([], [])
        row = await stored(store, "w1")
        assert (row["edited"], row["deleted_at"]) == (None, None)


async def test_an_edit_or_deletion_of_nobody_is_kept_and_not_told() -> None:
    async with gateway() as store:
        await deliver(store, text("w1", "azul"))
        value: dict[str, Any] = {
            "metadata": {"phone_number_id": FASHION},
            "messages": [
                {"id": "e1", "timestamp": "1767614430", "type": "edit",
                 "edit": {"original_message_id": "w1", "message": {"type": "text", "text": {"body": "verde"}}}},
                {"id": "r1", "timestamp": "1767614430", "type": "revoke", "revoke": {"original_message_id": "w1"}},
            ],
        }  # fmt: skip
        await deliver(store, envelope(value))
        assert (store.events(WhatsAppMessageEdited), store.events(WhatsAppMessageDeleted)) == ([], [])
        assert (await stored(store, "w1"))["deleted_at"] is not None


# --- taken back --------------------------------------------------------------------------------------------------


async def test_what_was_taken_back_is_forgotten_and_told_once() -> None:
    async with gateway() as store:
        await deliver(store, text("w1", "um segredo"))
        await deliver(store, edit("e1", "w1", "outro segredo", at=30))
        for _ in range(2):
            await deliver(store, revoke("r1", "w1"))
        (deleted,) = store.events(WhatsAppMessageDeleted)
        assert (deleted.wamid, deleted.sender, deleted.at) == ("w1", "5511988880001", SENT + timedelta(minutes=1))
        row = await stored(store, "w1")
        assert (row["raw"], row["edited"], row["deleted_at"]) == ("", None, SENT + timedelta(minutes=1))


async def test_what_was_taken_back_stays_so_whatever_comes_again() -> None:
    async with gateway() as store:
        await deliver(store, text("w1", "um segredo"))
        await deliver(store, revoke("r1", "w1"))
        await deliver(store, text("w1", "um segredo"))
        await deliver(store, edit("e1", "w1", "outro segredo", at=90))
        assert len(store.events(WhatsAppMessageReceived)) == len(store.events(WhatsAppMessageDeleted)) == 1
        assert store.events(WhatsAppMessageEdited) == []
        row = await stored(store, "w1")
        assert (row["raw"], row["edited"]) == ("", None)


@pytest.mark.parametrize("edited", [False, True])
async def test_what_was_taken_back_before_it_came_is_never_told(edited: bool) -> None:
    async with gateway() as store:
        if edited:
            await deliver(store, edit("e1", "w1", "outro segredo", at=30))
        await deliver(store, revoke("r1", "w1"))
        for _ in range(2):
            await deliver(store, text("w1", "um segredo"))
        assert [event.wamid for event in store.events(WhatsAppMessageDeleted)] == ["w1"]
        assert store.events(WhatsAppMessageReceived) == store.events(WhatsAppMessageEdited) == []
        row = await stored(store, "w1")
        assert (row["kind"], row["raw"], row["edited"]) == ("text", "", None)


async def test_a_picture_that_was_taken_back_before_it_came_is_not_fetched() -> None:
    async with gateway() as store:
        await deliver(store, revoke("r1", "w1"))
        await deliver(store, message("w1", "image", image={"id": "88", "mime_type": "image/jpeg"}))
        assert store.events(WhatsAppMediaDue) == []


# --- people ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "known_as", "number", "user"),
    [
        ("system_number_changed", "5511988880001", "5511988889999", "BR.11223344556677889900"),
        ("system_customer_changed_number", "5511988880001", "5511988889999", None),
        ("system_user_id_changed", "BR.90817263544536271809", None, "BR.11223344556677889900"),
        ("user_id_update", "BR.90817263544536271809", "5511988889999", "BR.11223344556677889900"),
    ],
)
async def test_a_customer_who_goes_by_another_number_or_id_is_told(
    name: str, known_as: str, number: str | None, user: str | None
) -> None:
    async with gateway() as store:
        await deliver_fixture(store, f"messages/{name}")
        (changed,) = store.events(WhatsAppIdentityChanged)
        assert (changed.sender, changed.wa_id, changed.user_id) == (known_as, number, user)
        assert changed.phone_number_id == FASHION
        told = [(event.kind, event.sender) for event in store.events(WhatsAppMessageReceived)]
        assert told == ([] if name == "user_id_update" else [("system", known_as)])


async def test_a_repeated_system_message_is_told_once() -> None:
    async with gateway() as store:
        for _ in range(2):
            await deliver_fixture(store, "messages/system_number_changed")
        assert len(store.events(WhatsAppIdentityChanged)) == 1


@pytest.mark.parametrize(("name", "wanted"), [("stop", False), ("resume", True)])
async def test_a_customer_who_stops_marketing_in_whatsapp_itself_is_told(name: str, wanted: bool) -> None:
    async with gateway() as store:
        await deliver_fixture(store, f"messages/user_preferences_{name}")
        (chosen,) = store.events(WhatsAppMarketingChosen)
        assert (chosen.wa_id, chosen.user_id, chosen.wanted) == ("5511988880001", "BR.90817263544536271809", wanted)
        assert (chosen.sender, chosen.phone_number_id, chosen.at) == ("5511988880001", FASHION, SENT)


# --- the account -------------------------------------------------------------------------------------------------


async def news(store: TestStore) -> list[tuple[str, str, str, str]]:
    found = await store.runtime.transact("whatsapp", lambda tx: tx.get(News).latest(100))
    return [(one.what, one.subject_id, one.state, one.severity) for one in found]


def status_of_template(event: str, time: int) -> bytes:
    value = {"event": event, "message_template_name": "pedido_confirmado", "message_template_language": "pt_BR"}
    return envelope(value, "message_template_status_update", int(SENT.timestamp()) + time)


async def test_news_is_told_once_and_kept() -> None:
    async with gateway() as store:
        for _ in range(2):
            await deliver(store, status_of_template("APPROVED", 0))
        (update,) = store.events(WhatsAppAccountUpdated)
        assert (update.what, update.subject_id, update.state, update.severity, update.at) == (
            "template", "pedido_confirmado/pt_BR", "APPROVED", "info", SENT,
        )  # fmt: skip
        assert await news(store) == [("template", "pedido_confirmado/pt_BR", "APPROVED", "info")]


async def test_older_news_never_takes_the_place_of_newer() -> None:
    async with gateway() as store:
        await deliver(store, status_of_template("PAUSED", 60))
        await deliver(store, status_of_template("APPROVED", 0))
        assert [event.state for event in store.events(WhatsAppAccountUpdated)] == ["PAUSED"]
        await deliver(store, status_of_template("REINSTATED", 120))
        assert await news(store) == [("template", "pedido_confirmado/pt_BR", "REINSTATED", "info")]


async def test_a_time_to_come_does_not_keep_later_news_out() -> None:
    async with gateway() as store:
        await deliver(store, status_of_template("PAUSED", 10**8))
        store.clock.move(timedelta(hours=1))
        await deliver(store, status_of_template("REINSTATED", 2 * 3600))
        assert [state for _, _, state, _ in await news(store)] == ["REINSTATED"]


async def test_alerts_come_first_and_what_is_no_danger_does_not_hide_them() -> None:
    async with gateway() as store:
        for name in ("template_approved", "restricted", "price_tier", "quality_flagged", "template_quality_green"):
            await deliver_fixture(store, f"account/{name}")
        assert [(what, severity) for what, _, _, severity in await news(store)] == [
            ("account", "alert"), ("quality", "warning"), ("other", "info"), ("quality", "info"), ("template", "info"),
        ]  # fmt: skip


async def test_a_number_is_known_by_its_id_when_the_directory_leaves_no_doubt() -> None:
    class Dialled(Brands):
        def brands(self) -> Any:
            fashion, tech = super().brands()
            return (fashion.model_copy(update={"display_phone": "+55 11 3000-0001"}), tech)

    agent = Agent("whatsapp", tables=tables.metadata)
    async with TestStore([agent], ports={Directory: Dialled()}) as store:
        await deliver_fixture(store, "account/quality_flagged")
        (update,) = store.events(WhatsAppAccountUpdated)
        assert update.subject_id == FASHION
        assert store.envelopes[-1].brand == "fashion"
    async with gateway() as store:
        await deliver_fixture(store, "account/quality_flagged")
        assert [subject for _, subject, _, _ in await news(store)] == ["551130000001"]
