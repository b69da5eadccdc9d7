"""SQLAlchemy's statements, compiled once and run on the bare driver, mean what SQLAlchemy says."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    select,
    text,
    tuple_,
    update,
)  # fmt: skip
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable

from agent_store.adapters.db.sqlite import SqliteSession
from agent_store.adapters.db.statements import Cache
from agent_store.kernel.errors import TemporaryError
from agent_store.kernel.sql import UtcTime, insert

NOON = datetime(2026, 1, 5, 12, 0, 0, 123456, tzinfo=UTC)
DIALECT = sqlite.dialect(paramstyle="named")

t = Table(
    "unit_things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", String, server_default="nameless"),
    Column("tags", JSON),
    Column("on_sale", Boolean),
    Column("at", UtcTime),
    Column("colour", String, unique=True),
)
defaults = Table("unit_defaults", t.metadata, Column("id", Integer, primary_key=True), Column("n", Integer, default=1))


@pytest.fixture
def cache() -> Cache:
    return Cache(DIALECT)


@pytest.fixture
def db(cache: Cache) -> Iterator[SqliteSession]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(str(CreateTable(t).compile(dialect=DIALECT)))
    yield SqliteSession(connection, cache)
    connection.close()


async def test_every_type_comes_back_as_it_went_in(db: SqliteSession) -> None:
    row = {"id": 1, "name": "é", "tags": {"a": [1, None, "ã"]}, "on_sale": True, "at": NOON, "colour": None}
    assert await db.run(insert(t), row) == 1
    assert await db.first(select(t)) == row
    assert await db.all(select(t)) == [row]
    assert await db.first(select(t.c.at).where(t.c.at == bindparam("at")), {"at": NOON}) == {"at": NOON}


async def test_a_time_in_another_zone_is_the_same_time_and_a_naive_one_is_refused(db: SqliteSession) -> None:
    from zoneinfo import ZoneInfo

    await db.run(insert(t), {"id": 1, "at": NOON.astimezone(ZoneInfo("America/Sao_Paulo"))})
    assert await db.all(select(t.c.at)) == [{"at": NOON}]
    with pytest.raises(ValueError, match="naive"):
        await db.run(insert(t), {"id": 2, "at": datetime(2026, 1, 1)})  # noqa: DTZ001  # that is the point


def test_on_postgresql_a_time_is_a_time() -> None:
    dialect = postgresql.dialect()
    assert UtcTime().load_dialect_impl(dialect).timezone is True  # type: ignore[attr-defined]  # a TIMESTAMP
    assert UtcTime().process_bind_param(NOON, dialect) is NOON
    assert UtcTime().process_result_value(NOON, dialect) is NOON
    assert UtcTime().process_bind_param(None, dialect) is None


async def test_one_insert_takes_whatever_columns_it_is_given(db: SqliteSession) -> None:
    statement = insert(t)
    await db.run(statement, {"id": 1})
    await db.run(statement, {"id": 2, "name": "b"})
    await db.run(statement, {"name": "c", "id": 3})
    assert [row["name"] for row in await db.all(select(t).order_by(t.c.id))] == ["nameless", "b", "c"]


async def test_an_insert_may_do_nothing_or_update_on_conflict(db: SqliteSession) -> None:
    nothing = insert(t).on_conflict_do_nothing()
    base = insert(t)
    newest = base.on_conflict_do_update(index_elements=[t.c.id], set_={"name": base.excluded["name"]})
    assert await db.run(nothing, {"id": 1, "name": "a"}) == 1
    assert await db.run(nothing, {"id": 1, "name": "b"}) == 0
    await db.run(newest, {"id": 1, "name": "c"})
    assert await db.all(select(t.c.name)) == [{"name": "c"}]


async def test_returning_gives_rows_back_with_their_types(db: SqliteSession) -> None:
    made = await db.first(insert(t).returning(t.c.id, t.c.at, t.c.on_sale), {"id": 1, "at": NOON, "on_sale": False})
    assert made == {"id": 1, "at": NOON, "on_sale": False}
    changed = await db.all(update(t).values(name=bindparam("p_name")).returning(t.c.name, t.c.tags), {"p_name": "n"})
    assert changed == [{"name": "n", "tags": None}]
    assert await db.first(delete(t).where(t.c.id == bindparam("p_id")).returning(t.c.id), {"p_id": 9}) is None
    assert await db.run(delete(t)) == 1


@pytest.mark.parametrize("wanted", [[], [1], [1, 3], [1, 2, 3], [9, 8, 7, 6, 5], list(range(100))])
async def test_a_list_may_have_any_length_and_be_a_set(db: SqliteSession, wanted: list[int]) -> None:
    await db.many(insert(t), [{"id": id} for id in range(1, 5)])
    statement = select(t.c.id).where(t.c.id.in_(bindparam("ids", expanding=True))).order_by(t.c.id)
    expected = [id for id in range(1, 5) if id in wanted]
    assert [row["id"] for row in await db.all(statement, {"ids": wanted})] == expected
    assert [row["id"] for row in await db.all(statement, {"ids": set(wanted)})] == expected


async def test_lists_of_all_lengths_share_a_few_texts(cache: Cache) -> None:
    statement = select(t.c.id).where(t.c.id.in_(bindparam("ids", expanding=True)))
    texts = {cache.get(statement, {"ids": list(range(length))}).sql for length in range(1000)}
    assert len(texts) <= 12


async def test_a_list_has_its_columns_type_and_may_be_of_pairs(db: SqliteSession) -> None:
    await db.many(insert(t), [{"id": id, "at": NOON + timedelta(hours=id), "name": "n"} for id in range(3)])
    times = select(t.c.id).where(t.c.at.in_(bindparam("times", expanding=True)), t.c.name == "n")
    assert await db.all(times, {"times": [NOON, NOON + timedelta(hours=7)]}) == [{"id": 0}]
    pairs = select(t.c.id).where(tuple_(t.c.id, t.c.name).in_(bindparam("pairs", expanding=True))).order_by(t.c.id)
    assert await db.all(pairs, {"pairs": [(1, "n"), (2, "n"), (2, "x")]}) == [{"id": 1}, {"id": 2}]
    assert await db.all(pairs, {"pairs": []}) == []


async def test_constants_in_a_statement_are_bound_too(db: SqliteSession) -> None:
    await db.many(insert(t), [{"id": 1, "name": "a", "on_sale": True}, {"id": 2, "name": "b", "on_sale": False}])
    statement = select(t.c.id).where(t.c.id.in_([1, 2]), t.c.on_sale == True, t.c.name != "z").limit(5)  # noqa: E712
    assert await db.all(statement) == [{"id": 1}]
    assert await db.run(update(t).where(t.c.id == 1).values(on_sale=False, tags=["x"])) == 1
    assert await db.all(select(t.c.tags).where(t.c.id == 1)) == [{"tags": ["x"]}]


async def test_plain_text_works_where_sqlalchemy_has_no_word(db: SqliteSession) -> None:
    assert await db.first(text("SELECT :a + 1 AS b"), {"a": 1}) == {"b": 2}


async def test_many_rows_of_different_columns_are_refused_and_none_is_nothing(db: SqliteSession) -> None:
    with pytest.raises(ValueError, match="same columns"):
        await db.many(insert(t), [{"id": 1}, {"id": 2, "name": "b"}])
    await db.many(insert(t), [])
    assert await db.all(select(t)) == []


async def test_a_default_that_would_not_be_run_is_refused(cache: Cache) -> None:
    with pytest.raises(TypeError, match=r"unit_defaults\.n: give a value"):
        cache.get(insert(defaults), {"id": 1})
    assert cache.get(insert(defaults), {"id": 1, "n": 2}).bind({"id": 1, "n": 2}) == {"id": 1, "n": 2}


async def test_a_broken_rule_of_a_table_is_the_kernels_error_and_a_wrong_statement_stays_the_drivers(
    db: SqliteSession,
) -> None:
    await db.run(insert(t), {"id": 1, "colour": "red"})

    async def broken(work: Any, message: str) -> None:
        with pytest.raises(TemporaryError, match=message) as caught:
            await work
        assert caught.value.code == "constraint"
        assert isinstance(caught.value.__cause__, sqlite3.IntegrityError)

    await broken(db.run(insert(t), {"id": 2, "colour": "red"}), "forbids this change: UNIQUE constraint failed")
    await broken(db.many(insert(t), [{"id": 2, "colour": "red"}]), "UNIQUE")
    await broken(db.first(insert(t).returning(t.c.id), {"id": 2, "colour": "red"}), "UNIQUE")
    await broken(db.all(insert(t).returning(t.c.id), {"id": 2, "colour": "red"}), "UNIQUE")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await db.all(text("SELECT * FROM nowhere"))
    with pytest.raises(sqlite3.ProgrammingError, match="binding"):
        await db.run(update(t).values(name=bindparam("p_name")), {})


async def test_a_statement_that_is_not_kept_is_forgotten(cache: Cache) -> None:
    import gc

    for number in range(50):
        cache.get(select(t.c.id).where(t.c.id == number), None)
    gc.collect()
    assert len(cache._known) < 5


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
def test_insert_on_conflict_is_the_same_statement_for_both_databases(name: str) -> None:
    """What `_unnamed` sets is all that PostgreSQL's compiler asks beyond SQLite's."""
    dialect = postgresql.dialect() if name == "postgresql" else sqlite.dialect()
    table = Table("thing", MetaData(), Column("id", String, primary_key=True), Column("n", Integer))
    base = insert(table)
    update = base.on_conflict_do_update(
        index_elements=[table.c.id], set_={"n": table.c.n + base.excluded.n}, where=table.c.n < 5
    )
    text = " ".join(str(update.compile(dialect=dialect)).split())
    assert "ON CONFLICT (id) DO UPDATE SET n = (thing.n + excluded.n) WHERE thing.n < " in text
    assert str(base.on_conflict_do_nothing().compile(dialect=dialect)).endswith("ON CONFLICT DO NOTHING")
