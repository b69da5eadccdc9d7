"""Every kind of payload that the Cloud API's webhook reference knows, through the gateway of a running store."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.embedded import NUMBERS
from tests.support.graph import signed
from tests.support.process import SECRET, TOKEN, StoreProcess

pytestmark = pytest.mark.timeout(240)
FIXTURES = Path(__file__).parent.parent / "fixtures" / "whatsapp"
RECORDED = {
    path.relative_to(FIXTURES).with_suffix("").as_posix(): path.read_text()
    for path in sorted(FIXTURES.glob("*/*.json"))
}
MESSAGES = [name for name in RECORDED if name.startswith("messages/")]
SILENT = ("reaction", "system", "edit", "revoke", "user_id_update", "user_preferences")
"""What is taken in and deserves no answer."""
SHIFT = int(time.time()) - 1_767_614_400 - 3600
"""Seconds from the day of the recordings to an hour before now: what is older than a day is not answered freely."""


def owned(name: str, text: str, index: int) -> tuple[bytes, str]:
    """A recorded payload of a customer of its own, at the number of a brand; and the customer's number or id.

    What it says of another message (an edit, a deletion) is about one of that customer's own too.
    """
    number, user = f"55119{60_000_000 + index:08d}", f"BR.{90_000_000_000 + index}"
    for before, after in (
        ("219870000000001", NUMBERS["fashion"]),
        ("5511988880001", number),
        ("5511988889999", f"55219{60_000_000 + index:08d}"),
        ("BR.90817263544536271809", user),
        ("BR.11223344556677889900", f"BR.{80_000_000_000 + index}"),
        ("wamid.HBgMS0lORD", f"wamid.{index:04d}"),
    ):
        text = text.replace(before, after)
    text = re.sub(r"\b1767\d{6}\b", lambda found: str(int(found[0]) + SHIFT), text)
    return text.encode(), user if name.endswith("user_id_only") else number


def wamid_of(body: bytes) -> str:
    return json.loads(body)["entry"][0]["changes"][0]["value"]["messages"][0]["id"]


async def test_every_kind_is_taken_stored_and_answered_where_it_deserves_an_answer(tmp_path: Path) -> None:
    prepared = {name: owned(name, text, index) for index, (name, text) in enumerate(RECORDED.items(), 1)}
    talkative = [name for name in MESSAGES if not name.removeprefix("messages/").startswith(SILENT)]
    async with StoreProcess(tmp_path / "var") as store:
        await store.start()

        async def post(body: bytes, headers: dict[str, str]) -> int:
            return (await store.http.post("/webhooks/whatsapp", content=body, headers=headers)).status_code

        for name, (body, _) in prepared.items():
            for _ in range(2):  # the platform delivers again whenever it is in doubt
                assert await post(body, signed(SECRET, body)) == 200, name
            assert await post(body, signed("of-another-app", body)) == 401, name

        waiting = set(talkative)
        deadline = time.monotonic() + 120
        while waiting:
            waiting = {name for name in waiting if not store.graph.to(prepared[name][1])}
            assert time.monotonic() < deadline, f"nobody answered {sorted(waiting)}"
            await asyncio.sleep(0.1)
        staff = {"Authorization": f"Bearer {TOKEN}"}
        assert (await store.http.get("/api/dead", headers=staff)).json() == []
        for name in MESSAGES:
            if name not in talkative:
                assert store.graph.to(prepared[name][1]) == [], name
        assert await store.end(signal.SIGTERM) == 0
        assert "Traceback" not in store.printed()
        rows = read(store.data / "store.sqlite3", "SELECT wamid, kind, raw, edited, deleted_at FROM whatsapp_messages")
        kept = {row["wamid"]: row for row in rows}
        for name in talkative:
            row = kept[wamid_of(prepared[name][0])]
            assert json.loads(row["raw"])["id"] == row["wamid"]
        assert sum(row["edited"] is not None for row in rows) == 2
        assert sum(row["deleted_at"] is not None for row in rows) == 1
        news = read(store.data / "store.sqlite3", "SELECT DISTINCT what FROM whatsapp_news")
        assert {row["what"] for row in news} >= {"account", "limit", "name", "other", "quality", "security", "template"}


def read(path: Path, query: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(query)]
