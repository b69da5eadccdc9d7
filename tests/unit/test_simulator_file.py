"""The simulator's file: one of an older version is taken over, one of a newer is refused with a sentence."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.adapters.whatsapp.cloud import GraphFault
from agent_store.adapters.whatsapp.cloud_out import read_receipt, read_send
from agent_store.adapters.whatsapp.cloud_templates import Definition, check_definition, fill
from agent_store.adapters.whatsapp.simulator_content import Content, from_text, to_text
from agent_store.adapters.whatsapp.simulator_store import VERSION, SimulatorStore
from agent_store.agents.whatsapp.phone import Medium, Option, OrderLine, Product, Reaction, Spot
from agent_store.kernel.errors import Conflict

_OLD = """
CREATE TABLE people (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, wa_id TEXT UNIQUE, user_id TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE bubbles (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, wamid TEXT NOT NULL UNIQUE, person_id TEXT NOT NULL REFERENCES people(id),
    phone_number_id TEXT NOT NULL, mine INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, image TEXT,
    options TEXT NOT NULL, button TEXT, reply_to TEXT, at REAL NOT NULL, status TEXT NOT NULL, error TEXT,
    webhook TEXT
) STRICT;
CREATE INDEX bubbles_of_chat ON bubbles (person_id, phone_number_id, seq);
CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, lane TEXT NOT NULL, wamid TEXT NOT NULL, becomes TEXT NOT NULL,
    body TEXT NOT NULL, due REAL NOT NULL, attempts INTEGER NOT NULL, since REAL NOT NULL
) STRICT;
CREATE INDEX deliveries_of_lane ON deliveries (lane, seq);
INSERT INTO people VALUES ('p1', 'Ana', '5511900000001', 'BR.1');
INSERT INTO bubbles VALUES (7, 'w1', 'p1', '1001', 1, 'text', 'oi', NULL, '[]', NULL, NULL, 1000.0, 'read', NULL, '{}');
INSERT INTO bubbles VALUES (9, 'w2', 'p1', '1001', 0, 'list', 'Qual?', NULL, '[["a", "Azul", "claro"]]', 'Ver', 'w1', 1001.0,
    'delivered', NULL, NULL);
INSERT INTO deliveries (lane, wamid, becomes, body, due, attempts, since) VALUES ('l', 'w1', 'delivered', '{}', 1.0, 2, 1.0);
"""


def test_a_file_of_before_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "phones.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(_OLD)
    for start in range(2):
        store = SimulatorStore(path)
        first, second = store.bubbles("p1", "1001", limit=10)
        assert (first.seq, first.text, first.status, first.mine) == (7, "oi", "read", True)
        assert (second.seq, second.kind, second.button, second.reply_to) == (9, "list", "Ver", "w1")
        assert second.options == (Option("a", "Azul", "claro"),)
        assert [person.name for person in store.people()] == ["Ana"]
        last, _ = store.last_heard("p1", "1001")
        assert last is not None
        assert last.timestamp() == 1000.0
        (row,) = store.db.execute("SELECT attempts, lose FROM deliveries").fetchall()
        assert (row["attempts"], row["lose"]) == (2, 0)
        store.insert_bubble(f"new{start}", "p1", "other", mine=True, content=Content("text", "x"), at=last)
        assert store.bubble(f"new{start}").seq > 9
        store.close()


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "phones.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(Conflict, match="newer version"):
        SimulatorStore(path)


def test_content_comes_back_as_it_was_kept() -> None:
    content = Content(
        "products", "Veja", header="Pães", medium=Medium("1", "image", "/x", "image/png"), spot=Spot(1.5, -2.5),
        products=(Product("S", "Pão", 100),), lines=(OrderLine("S", 2),), reactions=(Reaction("👍", True),),
        form={"a": [1, {"b": None}]}, options=(Option("a", "A"),),
    )  # fmt: skip
    assert from_text(to_text(content)) == content
    assert json.loads(to_text(Content("text", "oi"))) == {"kind": "text", "text": "oi"}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)
_NAMES = st.sampled_from(
    ["type", "text", "body", "to", "image", "link", "id", "interactive", "action", "buttons", "reply", "title", "header",
     "sections", "rows", "template", "name", "language", "code", "components", "parameters", "context", "recipient",
     "messaging_product", "status", "message_id", "product_items", "catalog_id", "contacts", "phones", "location"]
)  # fmt: skip
_WORDS = st.sampled_from(
    ["text", "image", "interactive", "button", "list", "product_list", "cta_url", "flow", "template", "whatsapp", "read",
     "reaction", "contacts", "location", "catalog_message", "5511900000001", "https://p.example/a.png", "x", ""]
)  # fmt: skip
_BODIES = st.dictionaries(
    _NAMES,
    st.recursive(
        _WORDS | _JSON,
        lambda inner: st.dictionaries(_NAMES, inner, max_size=5) | st.lists(inner, max_size=3),
        max_leaves=12,
    ),
    max_size=8,
)


def _refusal(act: Callable[[], object]) -> GraphFault | None:
    try:
        act()
    except GraphFault as refusal:
        return refusal
    return None


@given(_BODIES)
def test_any_body_of_a_send_is_read_or_refused_as_the_platform_refuses(body: dict[str, object]) -> None:
    whole = {"messaging_product": "whatsapp", "to": "5511900000001", **body}
    refusal = _refusal(lambda: read_receipt(whole) or read_send(whole))
    assert refusal is None or (400 <= refusal.status < 600 and refusal.body["error"]["code"])


@given(_BODIES)
def test_any_template_is_taken_or_refused(body: dict[str, object]) -> None:
    refusal = _refusal(lambda: check_definition({"name": "cake", "language": "pt_BR", "category": "UTILITY", **body}))
    assert refusal is None or refusal.body["error"]["code"] in (100, 131008, 131009)


@given(_BODIES)
def test_any_parameters_of_a_template_are_filled_in_or_refused(body: dict[str, object]) -> None:
    parts = (
        {"type": "HEADER", "format": "IMAGE"},
        {"type": "BODY", "text": "Oi {{1}}!"},
        {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Sim"}]},
    )
    found = Definition("1", "cake", "pt_BR", "UTILITY", parts, "APPROVED")
    refusal = _refusal(lambda: fill(found, dict(body)))
    assert refusal is None or refusal.body["error"]["code"]
