"""A Cloud API of one's own: phones that write signed webhooks to the store and take its Graph calls, over real HTTP.

It only serves the phone number ids that it is given, signs with a secret of its own, and refuses to work when the
store sends elsewhere: it can never speak for a real number. Its chats survive a restart, in a file of their own.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import httpx
import structlog
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from agent_store.adapters.whatsapp.cloud import (
    GraphFault,
    Json,
    digits,
    message_webhook,
    read_receipt,
    read_send,
    status_webhook,
)
from agent_store.agents.whatsapp.api import sign
from agent_store.agents.whatsapp.model import without_cards
from agent_store.agents.whatsapp.phone import Bubble, BubbleKind, BubbleStatus, Option, Person, ShopNumber
from agent_store.agents.whatsapp.ports import TrustedApp
from agent_store.contracts.brands import Directory
from agent_store.kernel.errors import Conflict, InvalidInput, NotFound
from agent_store.kernel.privacy import redact_cards

_log = structlog.get_logger("agent_store.simulator")

GRAPH_PATH: Final = "/simulator/graph"
"""The store's own path that stands for `https://graph.facebook.com`."""

_KEEP = timedelta(days=7)
"""How long a webhook is tried before it is given up, as the platform does."""
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 60.0
_AT_ONCE = 32
_CHAT_LENGTH = 500
"""Messages kept a chat; older ones are forgotten at the next start."""

_FIRST_PEOPLE = (
    ("Ana Souza", "5511900000001"),
    ("Lucas Martins", "5521900000002"),
    ("Emily Clark", "14155550103"),
    ("Nina Rocha", None),
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS people (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, wa_id TEXT UNIQUE, user_id TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE IF NOT EXISTS bubbles (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, wamid TEXT NOT NULL UNIQUE, person_id TEXT NOT NULL REFERENCES people(id),
    phone_number_id TEXT NOT NULL, mine INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, image TEXT,
    options TEXT NOT NULL, button TEXT, reply_to TEXT, at REAL NOT NULL, status TEXT NOT NULL, error TEXT,
    webhook TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS bubbles_of_chat ON bubbles (person_id, phone_number_id, seq);
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, lane TEXT NOT NULL, wamid TEXT NOT NULL, becomes TEXT NOT NULL,
    body TEXT NOT NULL, due REAL NOT NULL, attempts INTEGER NOT NULL, since REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS deliveries_of_lane ON deliveries (lane, seq);
"""

_RANK: dict[BubbleStatus, int] = {"sent": 0, "delivered": 1, "read": 2, "failed": 3}


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds after the store's send at which each status is reported."""

    sent: float = 0.0
    delivered: float = 0.15
    read: float = 0.6


def numbers_of(directory: Directory) -> Sequence[ShopNumber]:
    """Every number of every brand, and the shared one, in the directory of this moment."""
    found: list[ShopNumber] = []
    for brand in directory.brands():
        found += [
            ShopNumber(number, brand.name, brand.seller, brand.display_phone, brand.id, brand.emoji, brand.color)
            for number in brand.phone_number_ids
        ]
    shared = directory.shared
    found += [ShopNumber(number, shared.name, "", shared.display_phone) for number in shared.phone_number_ids]
    return found


class Simulator:
    """Phones, the Graph side and the webhook side. `start` takes up deliveries that a stopped process left."""

    def __init__(
        self,
        path: Path | str,
        *,
        webhook_url: str,
        numbers: Callable[[], Sequence[ShopNumber]],
        app_secret: str,
        access_token: str,
        elsewhere: str | None = None,
        pace: Pace = Pace(),
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`webhook_url`: the store's own `/webhooks/whatsapp`. `elsewhere`: AGENT_STORE_WHATSAPP_GRAPH_URL when set."""
        if not app_secret or not access_token:
            raise ValueError("the simulator needs an app secret and an access token of its own")
        self.webhook_url = webhook_url
        self._numbers = numbers
        self._secret = app_secret
        self._token = access_token
        self._elsewhere = elsewhere or None
        self._pace = pace
        self._revision = 0
        self._changed = asyncio.Event()
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._running = False
        self._http = httpx.AsyncClient(timeout=15, transport=transport, trust_env=False)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        if self._db.execute("SELECT 1 FROM people").fetchone() is None:
            for name, wa_id in _FIRST_PEOPLE:
                self._insert_person(name, wa_id)

    # --- life ------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to deliver, also what is left from before. Call it when the store answers."""
        self._running = True
        self._db.execute(
            "DELETE FROM bubbles WHERE seq IN (SELECT seq FROM (SELECT seq, row_number() OVER"
            " (PARTITION BY person_id, phone_number_id ORDER BY seq DESC) AS place FROM bubbles) WHERE place > ?)",
            (_CHAT_LENGTH,),
        )
        for row in self._db.execute("SELECT DISTINCT lane FROM deliveries").fetchall():
            self._open_lane(row["lane"])

    async def stop(self) -> None:
        """What is not delivered stays in the file and goes out after the next start."""
        self._running = False
        tasks = list(self._lanes.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._http.aclose()
        self._db.close()

    async def idle(self) -> None:
        """Wait until every webhook has been taken."""
        while self._lanes:
            await asyncio.wait(list(self._lanes.values()))

    # --- what is shown ---------------------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        return self._revision

    @property
    def elsewhere(self) -> str | None:
        return self._elsewhere

    def _touch(self) -> None:
        self._revision += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, after: int, within: float) -> int:
        """Wait until the revision is above `after`, at most `within` seconds; returns the revision."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self._revision <= after:
                    await self._changed.wait()
        return self._revision

    def numbers(self) -> Sequence[ShopNumber]:
        return self._numbers()

    def serves(self, phone_number_id: str) -> bool:
        """Is it one of the numbers it was given? The webhook trusts the simulator's signature for these only."""
        return self._elsewhere is None and any(number.phone_number_id == phone_number_id for number in self._numbers())

    @property
    def trusted(self) -> TrustedApp:
        """What the webhook needs to take this simulator's deliveries, for its numbers only."""
        return TrustedApp(self._secret, self.serves)

    def people(self) -> Sequence[Person]:
        return [_person(row) for row in self._db.execute("SELECT * FROM people ORDER BY rowid")]

    def person(self, person_id: str) -> Person:
        row = self._db.execute("SELECT * FROM people WHERE id = ?", (person_id,)).fetchone()
        if row is None:
            raise NotFound(f"there is no simulated customer {person_id}")
        return _person(row)

    def add_person(self, name: str, *, with_phone: bool = True, wa_id: str | None = None) -> Person:
        """`wa_id`: digits; default a made-up one. Without a phone only the scoped id is shown to the store."""
        name = name.strip()[:60]
        if not name:
            raise InvalidInput("a customer needs a name")
        if wa_id is not None and (not wa_id.isdecimal() or not 8 <= len(wa_id) <= 15):
            raise InvalidInput("wa_id has 8 to 15 digits: country code, area and number, nothing else")
        if wa_id is not None and self._by_phone(wa_id) is not None:
            raise Conflict("a simulated customer has this number already")
        made_up = f"55119{secrets.randbelow(10**8):08}" if with_phone else None
        person = self._insert_person(name, wa_id or made_up)
        self._touch()
        return person

    def _insert_person(self, name: str, wa_id: str | None) -> Person:
        country = "US" if wa_id and wa_id.startswith("1") else "BR"
        person = Person(secrets.token_hex(6), name, wa_id, f"{country}.{secrets.randbelow(10**18) + 10**18}")
        self._db.execute(
            "INSERT INTO people VALUES (?, ?, ?, ?)", (person.id, person.name, person.wa_id, person.user_id)
        )
        return person

    def bubbles(self, person_id: str, phone_number_id: str, *, limit: int = 100, after: int = 0) -> Sequence[Bubble]:
        rows = self._db.execute(
            "SELECT * FROM bubbles WHERE person_id = ? AND phone_number_id = ? AND seq > ? ORDER BY seq DESC LIMIT ?",
            (person_id, phone_number_id, after, limit),
        ).fetchall()
        return [_bubble(row) for row in reversed(rows)]

    def latest(self, person_id: str) -> dict[str, Bubble]:
        found: dict[str, Bubble] = {}
        for number in self._numbers():
            row = self._db.execute(
                "SELECT * FROM bubbles WHERE person_id = ? AND phone_number_id = ? ORDER BY seq DESC LIMIT 1",
                (person_id, number.phone_number_id),
            ).fetchone()
            if row is not None:
                found[number.phone_number_id] = _bubble(row)
        return found

    def bubble(self, wamid: str) -> Bubble:
        return _bubble(self._row(wamid))

    def _row(self, wamid: str) -> sqlite3.Row:
        row: sqlite3.Row | None = self._db.execute("SELECT * FROM bubbles WHERE wamid = ?", (wamid,)).fetchone()
        if row is None:
            raise NotFound(f"the simulator has no message {wamid}")
        return row

    def _by_phone(self, wa_id: str) -> Person | None:
        row = self._db.execute("SELECT * FROM people WHERE wa_id = ?", (wa_id,)).fetchone()
        return None if row is None else _person(row)

    def _by_user(self, user_id: str) -> Person | None:
        row = self._db.execute("SELECT * FROM people WHERE user_id = ?", (user_id,)).fetchone()
        return None if row is None else _person(row)

    # --- the customer's side ---------------------------------------------------------------------------------------

    async def say(
        self, person_id: str, phone_number_id: str, text: str, *, reply_to: str | None = None, copies: int = 1
    ) -> Bubble:
        """Write a text. `copies` webhooks of the one message are delivered at the same time."""
        text = text.strip()
        if not 0 < len(text) <= 4096:
            raise InvalidInput("a text has 1 to 4096 characters")
        message: Json = {"type": "text", "text": {"body": text}}
        return self._write(person_id, phone_number_id, message, "text", text, reply_to=reply_to, copies=copies)

    async def tap(self, wamid: str, option_id: str, *, copies: int = 1) -> Bubble:
        asked = self.bubble(wamid)
        option = next((option for option in asked.options if option.id == option_id), None)
        if asked.mine or option is None:
            raise NotFound(f"message {wamid} has no option {option_id!r}")
        answer: Json = {"id": option.id, "title": option.title}
        if asked.kind == "list":
            if option.description:
                answer["description"] = option.description
            interactive: Json = {"type": "list_reply", "list_reply": answer}
        else:
            interactive = {"type": "button_reply", "button_reply": answer}
        message: Json = {"type": "interactive", "interactive": interactive}
        return self._write(
            asked.person_id, asked.phone_number_id, message, "reply", option.title, reply_to=wamid, copies=copies
        )

    async def send_raw(self, person_id: str, phone_number_id: str, message: Json, *, copies: int = 1) -> Bubble:
        """Deliver any message object (its `type` and what goes with it): kinds that the store may not know."""
        kind = message.get("type")
        text = f"[{kind if isinstance(kind, str) else 'sem tipo'}]"
        own = {
            name: value for name, value in message.items() if name not in ("id", "from", "from_user_id", "timestamp")
        }
        return self._write(person_id, phone_number_id, own, "other", text, copies=copies)

    async def deliver_again(self, wamid: str, copies: int = 1) -> None:
        """The same webhook once more, on purpose: the platform does that too."""
        webhook: str | None = self._row(wamid)["webhook"]
        if webhook is None:
            raise Conflict("only a customer's message can be delivered again")
        for _ in range(copies):
            self._post(f"again:{secrets.token_hex(8)}", wamid, "delivered", webhook, 0.0)

    def _write(
        self,
        person_id: str,
        phone_number_id: str,
        message: Json,
        kind: BubbleKind,
        text: str,
        *,
        reply_to: str | None = None,
        copies: int = 1,
    ) -> Bubble:
        number = self._number(phone_number_id)
        person = self.person(person_id)
        # This phone's file stands beside the store's: what must not be stored there is not stored here either.
        text, message = redact_cards(text), without_cards(message)
        if reply_to is not None:
            message = {"context": {"from": digits(number.display_phone), "id": self.bubble(reply_to).wamid}, **message}
        at, wamid = datetime.now(UTC), _wamid()
        webhook = json.dumps(message_webhook(number, person, wamid, at, message), ensure_ascii=False)
        self._insert_bubble(wamid, person, phone_number_id, True, kind, text, at, reply_to=reply_to, webhook=webhook)
        lane = f"chat:{person.id}:{phone_number_id}"
        self._post(lane, wamid, "delivered", webhook, 0.0)
        for _ in range(copies - 1):
            self._post(f"again:{secrets.token_hex(8)}", wamid, "delivered", webhook, 0.0)
        return self.bubble(wamid)

    def _number(self, phone_number_id: str) -> ShopNumber:
        self._refuse_elsewhere()
        found = next((number for number in self._numbers() if number.phone_number_id == phone_number_id), None)
        if found is None:
            raise NotFound(f"{phone_number_id} is no number of this store")
        return found

    def _refuse_elsewhere(self) -> None:
        if self._elsewhere is not None:
            raise Conflict(
                "the simulator is off: AGENT_STORE_WHATSAPP_GRAPH_URL sends this store's messages to a real Graph API"
            )

    # --- the store's side ------------------------------------------------------------------------------------------

    def check_token(self, authorization: str) -> None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self._token.encode()):
            raise GraphFault(401, 190, "Invalid OAuth access token")

    async def graph_send(self, phone_number_id: str, body: Json) -> Json:
        """Take a Graph call of the store; statuses follow as webhooks. Raises GraphFault."""
        try:
            number = self._number(phone_number_id)
        except NotFound as error:
            raise GraphFault(
                400, 100, f"Unsupported post request. Object with ID '{phone_number_id}' does not exist",
                kind="GraphMethodException",
            ) from error  # fmt: skip
        receipt = read_receipt(body)
        if receipt is not None:
            self._become(receipt, "read")
            return {"success": True}
        sent = read_send(body)
        if sent.to is not None:
            person = self._by_phone(sent.to) or self._insert_person(f"+{sent.to}", sent.to)
            addressed: Json = {"input": sent.to, "wa_id": sent.to}
        else:
            assert sent.recipient is not None  # noqa: S101 (read_send has seen one of the two)
            found = self._by_user(sent.recipient)
            if found is None:
                raise GraphFault(400, 131026, "Message undeliverable", "the recipient is no user of this business")
            person, addressed = found, {"input": sent.recipient, "user_id": sent.recipient}
        at, wamid = datetime.now(UTC), _wamid()
        self._insert_bubble(
            wamid, person, phone_number_id, False, sent.kind, sent.text, at,
            image=sent.image, options=sent.options, button=sent.button, reply_to=sent.reply_to,
        )  # fmt: skip
        # Whoever answers has read: the Cloud API itself only tells it when the business says so.
        self._db.execute(
            "UPDATE bubbles SET status = 'read' WHERE person_id = ? AND phone_number_id = ? AND mine = 1"
            " AND status = 'delivered'",
            (person.id, phone_number_id),
        )
        for status, after in (
            ("sent", self._pace.sent), ("delivered", self._pace.delivered), ("read", self._pace.read)
        ):  # fmt: skip
            webhook = status_webhook(number, person, wamid, status, at + timedelta(seconds=after), sent.callback)
            self._post(f"status:{wamid}", wamid, status, json.dumps(webhook, ensure_ascii=False), after)
        return {"messaging_product": "whatsapp", "contacts": [addressed], "messages": [{"id": wamid}]}

    # --- rows ------------------------------------------------------------------------------------------------------

    def _insert_bubble(
        self,
        wamid: str,
        person: Person,
        phone_number_id: str,
        mine: bool,
        kind: BubbleKind,
        text: str,
        at: datetime,
        *,
        image: str | None = None,
        options: tuple[Option, ...] = (),
        button: str | None = None,
        reply_to: str | None = None,
        webhook: str | None = None,
    ) -> None:
        shown = json.dumps([[option.id, option.title, option.description] for option in options])
        self._db.execute(
            "INSERT INTO bubbles (wamid, person_id, phone_number_id, mine, kind, text, image, options, button, reply_to,"
            " at, status, webhook) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'sent', ?)",
            (
                wamid,
                person.id,
                phone_number_id,
                int(mine),
                kind,
                text,
                image,
                shown,
                button,
                reply_to,
                at.timestamp(),
                webhook,
            ),
        )
        self._touch()

    def _become(self, wamid: str, status: str, error: str | None = None) -> None:
        row = self._db.execute("SELECT * FROM bubbles WHERE wamid = ?", (wamid,)).fetchone()
        if row is None:
            return
        to = cast(BubbleStatus, status)
        if row["mine"] and to == "delivered" and self._was_answered(row):
            to = "read"  # the answer was faster than the webhook's 200
        if _RANK[to] > _RANK[row["status"]]:
            self._db.execute("UPDATE bubbles SET status = ?, error = ? WHERE wamid = ?", (to, error, wamid))
            self._touch()

    def _was_answered(self, row: sqlite3.Row) -> bool:
        later = self._db.execute(
            "SELECT 1 FROM bubbles WHERE person_id = ? AND phone_number_id = ? AND seq > ? AND mine = 0 LIMIT 1",
            (row["person_id"], row["phone_number_id"], row["seq"]),
        )
        return later.fetchone() is not None

    # --- delivering ------------------------------------------------------------------------------------------------

    def _post(self, lane: str, wamid: str, becomes: str, body: str, after: float) -> None:
        """Queue a webhook. One lane is delivered in order; what it reports is shown once the store has taken it."""
        now = datetime.now(UTC).timestamp()
        self._db.execute(
            "INSERT INTO deliveries (lane, wamid, becomes, body, due, attempts, since) VALUES (?, ?, ?, ?, ?, 0, ?)",
            (lane, wamid, becomes, body, now + after, now),
        )
        self._open_lane(lane)

    def _open_lane(self, lane: str) -> None:
        if self._running and lane not in self._lanes:
            self._lanes[lane] = asyncio.create_task(self._run_lane(lane), name=f"simulator {lane}")

    async def _run_lane(self, lane: str) -> None:
        try:
            while True:
                row = self._db.execute(
                    "SELECT * FROM deliveries WHERE lane = ? ORDER BY seq LIMIT 1", (lane,)
                ).fetchone()
                if row is None:
                    return
                wait = row["due"] - datetime.now(UTC).timestamp()
                if wait > 0:
                    await asyncio.sleep(min(wait, _LONGEST_WAIT))
                    continue
                await self._deliver(row)
        finally:
            self._lanes.pop(lane, None)

    async def _deliver(self, row: sqlite3.Row) -> None:
        """One try; what isn't answered 200 is tried again with growing pauses, for a week."""
        body = cast(str, row["body"]).encode()
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": sign(self._secret, body)}
        said = ""
        try:
            async with self._slots:
                answer = await self._http.post(self.webhook_url, content=body, headers=headers)
            said = "" if answer.status_code == 200 else f"HTTP {answer.status_code}"
        except httpx.HTTPError as error:
            said = type(error).__name__
        now = datetime.now(UTC).timestamp()
        if not said:
            self._db.execute("DELETE FROM deliveries WHERE seq = ?", (row["seq"],))
            self._become(row["wamid"], row["becomes"])
            return
        attempts = cast(int, row["attempts"]) + 1
        if now - row["since"] > _KEEP.total_seconds():
            _log.error("simulator.webhook.given_up", wamid=row["wamid"], reason=said)
            self._db.execute("DELETE FROM deliveries WHERE seq = ?", (row["seq"],))
            self._become(row["wamid"], "failed", said)
            return
        pause = min(_FIRST_WAIT * 2 ** min(attempts - 1, 10), _LONGEST_WAIT)
        _log.info("simulator.webhook.again", wamid=row["wamid"], reason=said, attempt=attempts, seconds=pause)
        self._db.execute(
            "UPDATE deliveries SET attempts = ?, due = ? WHERE seq = ?", (attempts, now + pause, row["seq"])
        )


def _wamid() -> str:
    return "wamid." + base64.urlsafe_b64encode(b"simulated:" + os.urandom(18)).decode()


def _person(row: sqlite3.Row) -> Person:
    return Person(row["id"], row["name"], row["wa_id"], row["user_id"])


def _bubble(row: sqlite3.Row) -> Bubble:
    return Bubble(
        seq=row["seq"],
        wamid=row["wamid"],
        person_id=row["person_id"],
        phone_number_id=row["phone_number_id"],
        mine=bool(row["mine"]),
        kind=row["kind"],
        text=row["text"],
        at=datetime.fromtimestamp(row["at"], UTC),
        status=row["status"],
        image=row["image"],
        options=tuple(Option(*option) for option in json.loads(row["options"])),
        button=row["button"],
        reply_to=row["reply_to"],
        error=row["error"],
    )


# --- HTTP ------------------------------------------------------------------------------------------------------------


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewCustomer(_Body):
    name: str = Field(min_length=1, max_length=60)
    with_phone: bool = True
    wa_id: str | None = None


class NewMessage(_Body):
    """A text, or with `message` any message object of the webhook's shape (`{"type": "sticker", …}`)."""

    customer: str
    phone_number_id: str
    text: str | None = None
    message: dict[str, Any] | None = None
    reply_to: str | None = None
    copies: int = Field(default=1, ge=1, le=100)


class Tap(_Body):
    id: str
    copies: int = Field(default=1, ge=1, le=100)


class Again(_Body):
    copies: int = Field(default=1, ge=1, le=100)


def simulator_router(simulator: Simulator, *, authorize: Callable[[Request], None]) -> APIRouter:
    """`/simulator/api/…` for staff (`authorize` raises otherwise) and `/simulator/graph/…` for the store's own token."""
    router = APIRouter(prefix="/simulator")
    api = APIRouter(prefix="/api", tags=["simulator"], dependencies=[Depends(authorize)])

    @api.get("/numbers")
    async def numbers() -> list[ShopNumber]:
        """The shop's numbers that can be written to."""
        return list(simulator.numbers())

    @api.get("/customers")
    async def customers() -> list[Person]:
        return list(simulator.people())

    @api.post("/customers", status_code=201)
    async def add_customer(new: NewCustomer) -> Person:
        return simulator.add_person(new.name, with_phone=new.with_phone, wa_id=new.wa_id)

    @api.get("/customers/{customer}/chats")
    async def chats(customer: str) -> dict[str, Bubble]:
        """The newest message of each chat, by phone number id."""
        simulator.person(customer)
        return simulator.latest(customer)

    @api.get("/customers/{customer}/chats/{phone_number_id}/messages")
    async def chat(
        customer: str, phone_number_id: str, after: int = 0, limit: int = 100, wait: float = 0
    ) -> list[Bubble]:
        """Messages with a `seq` above `after`, oldest first; with `wait` (at most 30 seconds) not before there is one."""
        simulator.person(customer)
        most = max(1, min(limit, _CHAT_LENGTH))
        loop = asyncio.get_running_loop()
        end = loop.time() + max(0.0, min(wait, 30.0))
        while True:
            revision = simulator.revision
            found = list(simulator.bubbles(customer, phone_number_id, limit=most, after=after))
            left = end - loop.time()
            if found or left <= 0:
                return found
            await simulator.changed(revision, left)

    @api.post("/messages", status_code=201)
    async def send(new: NewMessage) -> Bubble:
        """Write to the store as a customer."""
        if (new.text is None) == (new.message is None):
            raise InvalidInput("give either text or message")
        if new.message is not None:
            return await simulator.send_raw(new.customer, new.phone_number_id, new.message, copies=new.copies)
        return await simulator.say(
            new.customer, new.phone_number_id, new.text or "", reply_to=new.reply_to, copies=new.copies
        )

    @api.get("/messages/{wamid}")
    async def message(wamid: str) -> Bubble:
        return simulator.bubble(wamid)

    @api.post("/messages/{wamid}/tap", status_code=201)
    async def tap(wamid: str, choice: Tap) -> Bubble:
        """Tap a reply button or a list row of the store's message."""
        return await simulator.tap(wamid, choice.id, copies=choice.copies)

    @api.post("/messages/{wamid}/deliver-again", status_code=202)
    async def deliver_again(wamid: str, again: Again) -> None:
        """The same webhook once more, as often as asked."""
        await simulator.deliver_again(wamid, again.copies)

    async def graph(version: str, phone_number_id: str, request: Request) -> Response:
        try:
            simulator.check_token(request.headers.get("authorization", ""))
            try:
                body: Any = await request.json()
            except ValueError as error:
                raise GraphFault(400, 100, "Invalid parameter", "the body is not JSON") from error
            if not isinstance(body, dict):
                raise GraphFault(400, 100, "Invalid parameter", "the body is not an object")
            return JSONResponse(await simulator.graph_send(phone_number_id, cast(Json, body)))
        except GraphFault as fault:
            return JSONResponse(fault.body, fault.status)

    # The version is part of the path and of no consequence here.
    router.add_api_route(
        "/graph/{version}/{phone_number_id}/messages", graph, methods=["POST"], include_in_schema=False
    )
    router.include_router(api)
    return router
