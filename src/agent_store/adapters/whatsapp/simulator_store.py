"""What the simulator remembers, in an SQLite file of its own: customers, bubbles, webhooks on their way, files, templates,
items of catalogues. A file of an older version is taken over at the start.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from agent_store.adapters.whatsapp.cloud import Json
from agent_store.adapters.whatsapp.cloud_templates import Definition, TemplateStatus
from agent_store.adapters.whatsapp.simulator_content import Content, from_text, to_text, values
from agent_store.agents.whatsapp.phone import Bubble, BubbleStatus, MediumKind, Option, Person
from agent_store.kernel.errors import Conflict, NotFound

VERSION = 2
"""Of the file, in `PRAGMA user_version`: 0 and 1 are those of before media, templates and the clock."""
CHAT_LENGTH = 500
"""Messages kept a chat; older ones are forgotten at the next start."""
RANK: dict[BubbleStatus, int] = {"sent": 0, "delivered": 1, "read": 2, "failed": 3}
UPLOADS_KEPT = timedelta(days=30)
RECEIVED_KEPT = timedelta(days=7)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS people (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, wa_id TEXT UNIQUE, user_id TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE IF NOT EXISTS bubbles (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, wamid TEXT NOT NULL UNIQUE, person_id TEXT NOT NULL REFERENCES people(id),
    phone_number_id TEXT NOT NULL, mine INTEGER NOT NULL, content TEXT NOT NULL, reply_to TEXT, at REAL NOT NULL,
    status TEXT NOT NULL, error TEXT, error_code INTEGER, webhook TEXT, flow_token TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS bubbles_of_chat ON bubbles (person_id, phone_number_id, seq);
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, lane TEXT NOT NULL, wamid TEXT NOT NULL, becomes TEXT NOT NULL,
    body TEXT NOT NULL, due REAL NOT NULL, attempts INTEGER NOT NULL, since REAL NOT NULL,
    lose INTEGER NOT NULL DEFAULT 0, said TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX IF NOT EXISTS deliveries_of_lane ON deliveries (lane, seq);
CREATE TABLE IF NOT EXISTS chats (
    person_id TEXT NOT NULL, phone_number_id TEXT NOT NULL, last_in REAL, ad_at REAL,
    PRIMARY KEY (person_id, phone_number_id)
) STRICT;
CREATE TABLE IF NOT EXISTS media (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, mime_type TEXT NOT NULL, filename TEXT NOT NULL, sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL, uploaded INTEGER NOT NULL, at REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS templates (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, language TEXT NOT NULL, category TEXT NOT NULL, components TEXT NOT NULL,
    status TEXT NOT NULL, reason TEXT NOT NULL, own INTEGER NOT NULL, due REAL, UNIQUE (name, language)
) STRICT;
CREATE TABLE IF NOT EXISTS items (
    catalog_id TEXT NOT NULL, retailer_id TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY (catalog_id, retailer_id)
) STRICT;
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""

_FIRST_PEOPLE = (
    ("Ana Souza", "5511900000001"),
    ("Lucas Martins", "5521900000002"),
    ("Emily Clark", "14155550103"),
    ("Nina Rocha", None),
)


class SimulatorStore:
    """Rows and files. `path`: the SQLite file; files of customers and of the store lie in a folder beside it."""

    def __init__(self, path: Path | str) -> None:
        place = Path(path)
        self.folder = place.parent / f"{place.stem}-media"
        self.db = sqlite3.connect(place, isolation_level=None, check_same_thread=False)
        self.db.row_factory = sqlite3.Row
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = NORMAL")
        try:
            self._prepare(place)
        except BaseException:
            self.db.close()
            raise
        if self.db.execute("SELECT 1 FROM people").fetchone() is None:
            for name, wa_id in _FIRST_PEOPLE:
                self.insert_person(name, wa_id)

    def close(self) -> None:
        self.db.close()

    def _prepare(self, path: Path) -> None:
        found = cast(int, self.db.execute("PRAGMA user_version").fetchone()[0])
        if found > VERSION:
            raise Conflict(
                f"{path} was written by a newer version of this program (its format is {found}, this program knows "
                f"{VERSION}): use that version, or delete the file to begin with new chats"
            )
        columns = {row["name"] for row in self.db.execute("PRAGMA table_info(bubbles)")}
        self.db.execute("BEGIN IMMEDIATE")
        try:
            old = "content" not in columns and bool(columns)
            if old:
                self.db.execute("ALTER TABLE bubbles RENAME TO old_bubbles")
                self.db.execute("DROP INDEX bubbles_of_chat")
                self.db.execute("ALTER TABLE deliveries ADD COLUMN lose INTEGER NOT NULL DEFAULT 0")
                self.db.execute("ALTER TABLE deliveries ADD COLUMN said TEXT NOT NULL DEFAULT ''")
            for statement in _SCHEMA.split(";\n"):
                if statement.strip():
                    self.db.execute(statement)
            if old:
                self._take_over()
            self.db.execute(f"PRAGMA user_version = {VERSION}")
            self.db.execute("COMMIT")
        except BaseException:
            self.db.execute("ROLLBACK")
            raise

    def _take_over(self) -> None:
        """The bubbles of a file of before: their content stood in columns."""
        for row in self.db.execute("SELECT * FROM old_bubbles ORDER BY seq").fetchall():
            content = Content(
                row["kind"],
                row["text"],
                image=row["image"],
                options=tuple(Option(*option) for option in json.loads(row["options"])),
                button=row["button"],
            )
            self.db.execute(
                "INSERT INTO bubbles (seq, wamid, person_id, phone_number_id, mine, content, reply_to, at, status, error,"
                " webhook) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    row["seq"], row["wamid"], row["person_id"], row["phone_number_id"], row["mine"], to_text(content),
                    row["reply_to"], row["at"], row["status"], row["error"], row["webhook"],
                ),
            )  # fmt: skip
        self.db.execute(
            "INSERT INTO chats (person_id, phone_number_id, last_in) SELECT person_id, phone_number_id, max(at)"
            " FROM bubbles WHERE mine = 1 GROUP BY person_id, phone_number_id"
        )
        self.db.execute("DROP TABLE old_bubbles")

    def forget_old(self) -> None:
        self.db.execute(
            "DELETE FROM bubbles WHERE seq IN (SELECT seq FROM (SELECT seq, row_number() OVER"
            " (PARTITION BY person_id, phone_number_id ORDER BY seq DESC) AS place FROM bubbles) WHERE place > ?)",
            (CHAT_LENGTH,),
        )

    def forget_all(self) -> None:
        """Chats, files, webhooks on their way, catalogues and foreign templates; the first customers are there anew."""
        for table in ("bubbles", "deliveries", "chats", "media", "items", "settings", "people"):
            self.db.execute(f"DELETE FROM {table}")  # noqa: S608 (the names stand in the line above)
        self.db.execute("DELETE FROM templates")
        if self.folder.is_dir():
            for file in self.folder.iterdir():
                file.unlink()
        for name, wa_id in _FIRST_PEOPLE:
            self.insert_person(name, wa_id)

    # --- customers -------------------------------------------------------------------------------------------------

    def people(self) -> Sequence[Person]:
        return [_person(row) for row in self.db.execute("SELECT * FROM people ORDER BY rowid")]

    def person(self, person_id: str) -> Person:
        row = self.db.execute("SELECT * FROM people WHERE id = ?", (person_id,)).fetchone()
        if row is None:
            raise NotFound(f"there is no simulated customer {person_id}")
        return _person(row)

    def by_phone(self, wa_id: str) -> Person | None:
        row = self.db.execute("SELECT * FROM people WHERE wa_id = ?", (wa_id,)).fetchone()
        return None if row is None else _person(row)

    def by_user(self, user_id: str) -> Person | None:
        row = self.db.execute("SELECT * FROM people WHERE user_id = ?", (user_id,)).fetchone()
        return None if row is None else _person(row)

    def insert_person(self, name: str, wa_id: str | None) -> Person:
        country = "US" if wa_id and wa_id.startswith("1") else "BR"
        person = Person(secrets.token_hex(6), name, wa_id, f"{country}.{secrets.randbelow(10**18) + 10**18}")
        self.db.execute(
            "INSERT INTO people VALUES (?, ?, ?, ?)", (person.id, person.name, person.wa_id, person.user_id)
        )
        return person

    def set_phone(self, person_id: str, wa_id: str) -> Person:
        self.db.execute("UPDATE people SET wa_id = ? WHERE id = ?", (wa_id, person_id))
        return self.person(person_id)

    # --- bubbles ---------------------------------------------------------------------------------------------------

    def bubbles(self, person_id: str, phone_number_id: str, *, limit: int, after: int = 0) -> Sequence[Bubble]:
        rows = self.db.execute(
            "SELECT * FROM bubbles WHERE person_id = ? AND phone_number_id = ? AND seq > ? ORDER BY seq DESC LIMIT ?",
            (person_id, phone_number_id, after, limit),
        ).fetchall()
        return [_bubble(row) for row in reversed(rows)]

    def row(self, wamid: str) -> sqlite3.Row:
        row: sqlite3.Row | None = self.db.execute("SELECT * FROM bubbles WHERE wamid = ?", (wamid,)).fetchone()
        if row is None:
            raise NotFound(f"the simulator has no message {wamid}")
        return row

    def bubble(self, wamid: str) -> Bubble:
        return _bubble(self.row(wamid))

    def content(self, wamid: str) -> Content:
        return from_text(self.row(wamid)["content"])

    def insert_bubble(
        self,
        wamid: str,
        person_id: str,
        phone_number_id: str,
        *,
        mine: bool,
        content: Content,
        at: datetime,
        reply_to: str | None = None,
        webhook: str | None = None,
        flow_token: str | None = None,
    ) -> None:
        self.db.execute(
            "INSERT INTO bubbles (wamid, person_id, phone_number_id, mine, content, reply_to, at, status, webhook,"
            " flow_token) VALUES (?, ?, ?, ?, ?, ?, ?, 'sent', ?, ?)",
            (
                wamid, person_id, phone_number_id, int(mine), to_text(content), reply_to, at.timestamp(), webhook,
                flow_token,
            ),
        )  # fmt: skip

    def set_content(self, wamid: str, content: Content) -> None:
        self.db.execute("UPDATE bubbles SET content = ? WHERE wamid = ?", (to_text(content), wamid))

    def set_webhook(self, wamid: str, webhook: str) -> None:
        """Of the store's message: what reports that it was read, whenever that will be."""
        self.db.execute("UPDATE bubbles SET webhook = ? WHERE wamid = ?", (webhook, wamid))

    def unread(self, person_id: str, phone_number_id: str) -> Sequence[sqlite3.Row]:
        """The store's messages that the customer has on the phone and has not looked at."""
        return self.db.execute(
            "SELECT * FROM bubbles WHERE person_id = ? AND phone_number_id = ? AND mine = 0 AND status = 'delivered'"
            " AND webhook IS NOT NULL ORDER BY seq",
            (person_id, phone_number_id),
        ).fetchall()

    def become(self, wamid: str, to: BubbleStatus, error: str | None = None, code: int | None = None) -> bool:
        """Take a bubble's status forward; False when it is there already, or further."""
        row = self.db.execute("SELECT * FROM bubbles WHERE wamid = ?", (wamid,)).fetchone()
        if row is None:
            return False
        if row["mine"] and to == "delivered" and self._was_answered(row):
            to = "read"  # the answer was faster than the webhook's 200
        if RANK[to] <= RANK[row["status"]]:
            return False
        self.db.execute(
            "UPDATE bubbles SET status = ?, error = ?, error_code = ? WHERE wamid = ?", (to, error, code, wamid)
        )
        return True

    def _was_answered(self, row: sqlite3.Row) -> bool:
        later = self.db.execute(
            "SELECT 1 FROM bubbles WHERE person_id = ? AND phone_number_id = ? AND seq > ? AND mine = 0 LIMIT 1",
            (row["person_id"], row["phone_number_id"], row["seq"]),
        )
        return later.fetchone() is not None

    def read_up_to(self, person_id: str, phone_number_id: str, seq: int | None = None) -> None:
        """The store has read what the customer wrote, up to this message; None: all of it."""
        self.db.execute(
            "UPDATE bubbles SET status = 'read' WHERE person_id = ? AND phone_number_id = ? AND mine = 1"
            " AND status = 'delivered' AND seq <= ?",
            (person_id, phone_number_id, 2**62 if seq is None else seq),
        )

    # --- chats -----------------------------------------------------------------------------------------------------

    def heard(self, person_id: str, phone_number_id: str, at: datetime, *, from_ad: bool) -> None:
        """The customer wrote: the window opens."""
        self.db.execute(
            "INSERT INTO chats (person_id, phone_number_id, last_in, ad_at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (person_id, phone_number_id) DO UPDATE SET last_in = excluded.last_in,"
            " ad_at = coalesce(excluded.ad_at, ad_at)",
            (person_id, phone_number_id, at.timestamp(), at.timestamp() if from_ad else None),
        )

    def last_heard(self, person_id: str, phone_number_id: str) -> tuple[datetime | None, datetime | None]:
        """When the customer wrote last, and when they came from an advertisement last."""
        row = self.db.execute(
            "SELECT last_in, ad_at FROM chats WHERE person_id = ? AND phone_number_id = ?",
            (person_id, phone_number_id),
        ).fetchone()
        return (None, None) if row is None else (_instant(row["last_in"]), _instant(row["ad_at"]))

    def written_to(self, person_id: str) -> Sequence[str]:
        """The numbers that the customer wrote to."""
        rows = self.db.execute(
            "SELECT phone_number_id FROM chats WHERE person_id = ? AND last_in IS NOT NULL", (person_id,)
        )
        return [row["phone_number_id"] for row in rows]

    # --- files -----------------------------------------------------------------------------------------------------

    def keep_file(
        self, content: bytes, kind: MediumKind, mime_type: str, filename: str, at: datetime, *, uploaded: bool
    ) -> str:
        """Write the bytes, then the row; returns the medium's id. `uploaded`: by the store, not by a customer."""
        id = str(secrets.randbelow(9 * 10**15) + 10**15)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.folder / id).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        self.db.execute(
            "INSERT INTO media VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (id, kind, mime_type, filename, digest, len(content), int(uploaded), at.timestamp()),
        )
        return id

    def medium(self, id: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self.db.execute("SELECT * FROM media WHERE id = ?", (id,)).fetchone()
        return row

    def file(self, id: str) -> Path:
        return self.folder / id

    def delete_file(self, id: str) -> None:
        self.db.execute("DELETE FROM media WHERE id = ?", (id,))
        self.file(id).unlink(missing_ok=True)

    def drop_expired_files(self, now: datetime) -> None:
        """Only what no phone shows any more: the platform's expiry is told by the answer, not by the file."""
        rows = self.db.execute(
            "SELECT id FROM media WHERE at < ? AND NOT EXISTS (SELECT 1 FROM bubbles WHERE instr(content, media.id) > 0)",
            ((now - UPLOADS_KEPT).timestamp(),),
        ).fetchall()
        for row in rows:
            self.delete_file(row["id"])

    # --- templates -------------------------------------------------------------------------------------------------

    def templates(self) -> Sequence[Definition]:
        return [_template(row) for row in self.db.execute("SELECT * FROM templates ORDER BY name, language")]

    def template(self, name: str, language: str) -> Definition | None:
        row = self.db.execute("SELECT * FROM templates WHERE name = ? AND language = ?", (name, language)).fetchone()
        return None if row is None else _template(row)

    def template_by_id(self, id: str) -> Definition | None:
        row = self.db.execute("SELECT * FROM templates WHERE id = ?", (id,)).fetchone()
        return None if row is None else _template(row)

    def put_template(
        self, name: str, language: str, category: str, components: Iterable[Json], status: TemplateStatus,
        *, own: bool = False, due: datetime | None = None,
    ) -> Definition:  # fmt: skip
        """New, or changed; `due`: when its review ends. An own one keeps the status that it was given on purpose."""
        self.db.execute(
            "INSERT INTO templates (id, name, language, category, components, status, reason, own, due)"
            " VALUES (?, ?, ?, ?, ?, ?, '', ?, ?) ON CONFLICT (name, language) DO UPDATE SET"
            " category = excluded.category, components = excluded.components,"
            " status = CASE WHEN excluded.own = 1 THEN status ELSE excluded.status END,"
            " reason = CASE WHEN excluded.own = 1 THEN reason ELSE '' END, due = excluded.due",
            (
                str(secrets.randbelow(9 * 10**14) + 10**14), name, language, category,
                json.dumps(list(components), ensure_ascii=False), status, int(own),
                None if due is None else due.timestamp(),
            ),
        )  # fmt: skip
        found = self.template(name, language)
        assert found is not None  # noqa: S101 (it was written one line ago)
        return found

    def set_template(self, id: str, status: TemplateStatus, reason: str) -> None:
        self.db.execute("UPDATE templates SET status = ?, reason = ?, due = NULL WHERE id = ?", (status, reason, id))

    def delete_templates(self, ids: Iterable[str]) -> None:
        self.db.executemany("DELETE FROM templates WHERE id = ?", [(id,) for id in ids])

    def under_review(self) -> Sequence[tuple[str, float]]:
        """Id and the end of its review of each, by real time."""
        rows = self.db.execute("SELECT id, due FROM templates WHERE due IS NOT NULL")
        return [(row["id"], row["due"]) for row in rows]

    # --- catalogues ------------------------------------------------------------------------------------------------

    def put_item(self, catalog_id: str, retailer_id: str, data: Mapping[str, Any]) -> None:
        self.db.execute(
            "INSERT INTO items VALUES (?, ?, ?) ON CONFLICT (catalog_id, retailer_id) DO UPDATE SET data = excluded.data",
            (catalog_id, retailer_id, json.dumps(dict(data), ensure_ascii=False)),
        )

    def delete_item(self, catalog_id: str, retailer_id: str) -> bool:
        done = self.db.execute("DELETE FROM items WHERE catalog_id = ? AND retailer_id = ?", (catalog_id, retailer_id))
        return done.rowcount > 0

    def item(self, catalog_id: str, retailer_id: str) -> Json | None:
        row = self.db.execute(
            "SELECT data FROM items WHERE catalog_id = ? AND retailer_id = ?", (catalog_id, retailer_id)
        ).fetchone()
        return None if row is None else json.loads(row["data"])

    def items(self, catalog_id: str, *, after: str = "", limit: int = 100) -> Sequence[tuple[str, Json]]:
        rows = self.db.execute(
            "SELECT * FROM items WHERE catalog_id = ? AND retailer_id > ? ORDER BY retailer_id LIMIT ?",
            (catalog_id, after, limit),
        )
        return [(row["retailer_id"], json.loads(row["data"])) for row in rows]

    # --- settings --------------------------------------------------------------------------------------------------

    def setting(self, name: str, default: Any = None) -> Any:
        row = self.db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return default if row is None else json.loads(row["value"])

    def set_setting(self, name: str, value: Any) -> None:
        self.db.execute(
            "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, json.dumps(value, ensure_ascii=False)),
        )


def base64_of(hexadecimal: str) -> str:
    """A hash as webhooks write it."""
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _person(row: sqlite3.Row) -> Person:
    return Person(row["id"], row["name"], row["wa_id"], row["user_id"])


def _template(row: sqlite3.Row) -> Definition:
    return Definition(
        id=row["id"],
        name=row["name"],
        language=row["language"],
        category=row["category"],
        components=tuple(json.loads(row["components"])),
        status=row["status"],
        reason=row["reason"],
    )


def _bubble(row: sqlite3.Row) -> Bubble:
    return Bubble(
        seq=row["seq"],
        wamid=row["wamid"],
        person_id=row["person_id"],
        phone_number_id=row["phone_number_id"],
        mine=bool(row["mine"]),
        at=datetime.fromtimestamp(row["at"], UTC),
        status=row["status"],
        reply_to=row["reply_to"],
        error=row["error"],
        error_code=row["error_code"],
        **values(from_text(row["content"])),
    )
