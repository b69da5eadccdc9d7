"""The store on PostgreSQL: what a commit is, what is tried again, and that nobody waits for ever."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import asyncpg
import pytest
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    func,
    select,
    text,
    tuple_,
    update,
)  # fmt: skip

from agent_store.adapters.db.postgres import PostgresStore
from agent_store.adapters.db.roles import role_of
from agent_store.entrypoints.programs import Postgres
from agent_store.kernel import journal, tables
from agent_store.kernel.context import Session
from agent_store.kernel.errors import Conflict, TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.sql import UtcTime, insert, partial_index
from agent_store.kernel.store import Unit

NOW = datetime(2026, 1, 5, 12, 0, 0, 123456, tzinfo=UTC)

one = MetaData()
notes = Table(
    "one_notes",
    one,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("text", String(40), nullable=False),
    Column("once", String, unique=True),
    CheckConstraint("text <> 'forbidden'"),
)
parents = Table("one_parents", one, Column("id", Integer, primary_key=True))
children = Table(
    "one_children",
    one,
    Column("id", Integer, primary_key=True),
    Column("parent", ForeignKey("one_parents.id", deferrable=True, initially="DEFERRED")),
)
counters = Table("one_counters", one, Column("name", String, primary_key=True), Column("n", BigInteger, nullable=False))
things = Table(
    "one_things",
    one,
    Column("id", Integer, primary_key=True),
    Column("name", String, server_default="nameless"),
    Column("tags", JSON),
    Column("on_sale", Boolean),
    Column("at", UtcTime),
    Column("ratio", Float),
    Column("big", BigInteger),
    partial_index("one_things_on_sale", "id", where="on_sale"),
)
two = MetaData()
secrets = Table("two_secrets", two, Column("id", Integer, primary_key=True))

COUNT = select(counters.c.n).where(counters.c.name == bindparam("name"))
SET = update(counters).where(counters.c.name == bindparam("p_name")).values(n=bindparam("p_n"))
TABLES = {"kernel": tables.metadata, "one": one, "two": two}


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncGenerator[PostgresStore]:
    """Its tables are made without the options: a short time is for what is done with them."""
    await PostgresStore(url).create(TABLES, {})
    store = PostgresStore(url, agents=TABLES, create=False, **options)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(postgres_url: str) -> AsyncGenerator[PostgresStore]:
    async with opened(postgres_url) as store:
        yield store


@pytest.fixture
async def other(postgres_url: str, store: PostgresStore) -> AsyncGenerator[asyncpg.Connection[asyncpg.Record]]:
    """Somebody else in the same database."""
    connection = await asyncpg.connect(postgres_url, server_settings={"search_path": "one, kernel"})
    yield connection
    await connection.close()


def event(id: str = "1", data: bytes = b"{}") -> Envelope:
    return Envelope(id=id, source="/s", type="t", time=NOW, data=data)


def claim(id: str = "1", state: str = "done", **more: Any) -> dict[str, Any]:
    return {
        "consumer": "c",
        "source": "/s",
        "id": id,
        "type": "t",
        "state": state,
        "attempts": 0,
        "received_at": NOW,
        **more,
    }


def write(text: str) -> Callable[[Unit], Any]:
    async def work(unit: Unit) -> str:
        await unit.db.run(insert(notes), {"text": text})
        return text

    return work


async def written(store: PostgresStore) -> list[str]:
    return [row["text"] for row in await store.reader.all(select(notes.c.text).order_by(notes.c.id))]


async def code_of(result: Any) -> str:
    with pytest.raises(TemporaryError) as caught:
        await result
    return caught.value.code


# --- statements ------------------------------------------------------------------------------------------------------


async def test_every_type_comes_back_as_it_went_in(store: PostgresStore) -> None:
    row = {"id": 1, "name": "é", "tags": {"a": [1, None, "ã"]}, "on_sale": True, "at": NOW, "ratio": 0.5, "big": 2**40}

    async def work(unit: Unit) -> None:
        assert await unit.db.run(insert(things), row) == 1
        assert await unit.db.first(select(things)) == row

    await store.run(work)
    for db in (store.reader, store.reader_of("one")):
        assert await db.all(select(things)) == [row]
        assert await db.first(select(things.c.at).where(things.c.at == bindparam("at")), {"at": NOW}) == {"at": NOW}
        assert await db.first(select(things).where(things.c.id == 2)) is None
    (sums,) = await store.reader.all(select(func.sum(things.c.big).label("s"), func.sum(things.c.id).label("i")))
    assert (sums, type(sums["s"])) == ({"s": 2**40, "i": 1}, int)


async def test_rows_are_written_changed_and_counted(store: PostgresStore) -> None:
    base = insert(things)
    newest = base.on_conflict_do_update(index_elements=[things.c.id], set_={"name": base.excluded["name"]})

    async def work(unit: Unit) -> None:
        db = unit.db
        assert db.kind == "postgresql"
        await db.run(base, {"id": 1})
        assert await db.first(select(things.c.name, things.c.tags)) == {"name": "nameless", "tags": None}
        assert await db.run(insert(things).on_conflict_do_nothing(), {"id": 1}) == 0
        await db.run(newest, {"id": 1, "name": "c"})
        await db.many(base, [{"id": id, "at": NOW, "name": "n"} for id in range(2, 6)])
        await db.many(base, [])
        assert await db.run(update(things).values(on_sale=False)) == 5
        made = await db.first(base.returning(things.c.id, things.c.at), {"id": 6, "at": NOW})
        assert made == {"id": 6, "at": NOW}
        assert await db.run(delete(things).where(things.c.id == bindparam("p_id")), {"p_id": 6}) == 1
        assert await db.first(text("SELECT :a + 1 AS b"), {"a": 1}) == {"b": 2}
        with pytest.raises(ValueError, match="same columns"):
            await db.many(base, [{"id": 8}, {"id": 9, "name": "b"}])
        with pytest.raises(ValueError, match="naive"):
            await db.run(base, {"id": 8, "at": datetime(2026, 1, 1)})  # noqa: DTZ001  # that is the point

    await store.run(work)
    ids = select(things.c.id).where(things.c.id.in_(bindparam("ids", expanding=True))).order_by(things.c.id)
    for wanted in ([], [1], [1, 3], {9, 8, 5}, list(range(100))):
        assert [row["id"] for row in await store.reader.all(ids, {"ids": wanted})] == [
            n for n in range(1, 6) if n in wanted
        ]
    pairs = select(things.c.id).where(tuple_(things.c.id, things.c.name).in_(bindparam("pairs", expanding=True)))
    assert await store.reader.all(pairs, {"pairs": [(2, "n"), (3, "x")]}) == [{"id": 2}]
    times = select(things.c.id).where(things.c.at.in_(bindparam("times", expanding=True)), things.c.id < 3)
    assert await store.reader.all(times, {"times": [NOW]}) == [{"id": 2}]
    locked = select(things.c.id).where(things.c.id == 1).with_for_update(skip_locked=True)

    async def lock(unit: Unit) -> Any:
        return await unit.db.all(locked)

    assert await store.run(lock) == [{"id": 1}]


async def test_a_partial_index_has_its_condition(
    store: PostgresStore, other: asyncpg.Connection[asyncpg.Record]
) -> None:
    defined = await other.fetchval("SELECT indexdef FROM pg_indexes WHERE indexname = 'one_things_on_sale'")
    assert defined.endswith("WHERE on_sale")


async def test_the_reader_cannot_write_and_takes_one_statement_at_a_time_from_each(store: PostgresStore) -> None:
    for attempt in (
        store.reader.run(insert(notes), {"text": "x"}),
        store.reader.many(insert(notes), [{"text": "x"}]),
    ):
        with pytest.raises(TemporaryError, match="read-only"):
            await attempt
    slow = text("SELECT 1 AS a FROM pg_sleep(0.05)")
    assert await asyncio.gather(*(store.reader.first(slow) for _ in range(9))) == [{"a": 1}] * 9


async def test_a_bug_in_a_statement_stays_itself(store: PostgresStore) -> None:
    async def wrong(unit: Unit) -> None:
        await unit.db.all(text("SELECT nowhere_column"))

    async def wrong_value(unit: Unit) -> None:
        await unit.db.run(insert(things), {"id": "one"})

    with pytest.raises(asyncpg.UndefinedColumnError):
        await store.run(wrong)
    with pytest.raises(asyncpg.UndefinedColumnError):
        await store.reader.all(text("SELECT nowhere_column"))
    with pytest.raises(asyncpg.DataError, match="invalid input for query argument"):
        await store.run(wrong_value)
    with pytest.raises(KeyError, match="p_n"):
        await store.reader.run(SET, {"p_name": "a"})


# --- groups ----------------------------------------------------------------------------------------------------------


async def test_works_that_come_together_share_one_commit_and_agents_do_not(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_store.adapters.db.postgres.SLOW", 60.0)
    assert await asyncio.gather(*[store.run(write(str(number))) for number in range(10)]) == [str(n) for n in range(10)]
    assert (store.commits, store.works) == (1, 10)
    assert await written(store) == [str(n) for n in range(10)]
    both = [store.run(write("a"), agent=agent) for agent in ("one", "two", "one", "two")]
    await asyncio.gather(*both)
    assert (store.commits, store.works) == (3, 14)


async def test_agents_commit_beside_each_other_and_an_agent_does_not_wait_for_a_long_one_of_its_own(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_store.adapters.db.postgres.SLOW", 60.0)
    gate = asyncio.Event()

    async def waits(unit: Unit) -> None:
        await gate.wait()

    running = asyncio.create_task(store.run(waits, agent="one"))
    await asyncio.sleep(0)
    assert await store.run(write("another's"), agent="two") == "another's"
    own = [store.run(write("own 1"), agent="one"), store.run(write("own 2"), agent="one")]
    assert await asyncio.gather(*own) == ["own 1", "own 2"]
    assert store.commits == 2, "those that came while it ran made one group"
    gate.set()
    await running


async def test_what_is_being_written_is_seen_by_nobody_before_the_commit(store: PostgresStore) -> None:
    async def work(unit: Unit) -> None:
        await unit.db.run(insert(notes), {"text": "a"})
        assert await written(store) == []
        assert await unit.db.all(select(notes.c.text)) == [{"text": "a"}]

    await store.run(work)
    assert await written(store) == ["a"]


async def test_what_one_work_raises_harms_no_neighbour(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent_store.adapters.db.postgres.SLOW", 60.0)
    runs = Counter[str]()

    def counted(name: str, error: Exception | None = None) -> Callable[[Unit], Any]:
        async def work(unit: Unit) -> str:
            runs[name] += 1
            await unit.db.run(insert(notes), {"text": name})
            if error is not None:
                raise error
            return name

        return work

    first, refused, last = await asyncio.gather(
        store.run(counted("a")), store.run(counted("no", Conflict("no"))), store.run(counted("b")),
        return_exceptions=True,
    )  # fmt: skip
    assert (first, last) == ("a", "b")
    assert isinstance(refused, Conflict)
    assert runs == {"a": 2, "no": 2, "b": 1}
    assert await written(store) == ["a", "b"]
    with pytest.raises(Conflict):
        await store.run(counted("alone", Conflict("no")))
    assert runs["alone"] == 1
    many = [store.run(counted(f"n{n}", Conflict("no") if n % 2 else None)) for n in range(12)]
    results = await asyncio.gather(*many, return_exceptions=True)
    assert [isinstance(result, Conflict) for result in results] == [n % 2 == 1 for n in range(12)]
    assert await written(store) == ["a", "b", *(f"n{n}" for n in range(0, 12, 2))]


async def test_what_a_work_raises_is_about_what_is_committed(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A neighbour that is run once more may write another number than the one which the refusal has seen."""
    monkeypatch.setattr("agent_store.adapters.db.postgres.SLOW", 60.0)
    runs = count(1)

    async def place(unit: Unit) -> str:
        number = f"order {next(runs)}"
        await unit.db.run(insert(notes), {"text": number})
        return number

    async def refuse(unit: Unit) -> None:
        rows = await unit.db.all(select(notes.c.text))
        if rows:
            raise Conflict(f"ordered already: {rows[0]['text']}")

    placed, *refused = await asyncio.gather(
        store.run(place), *(store.run(refuse) for _ in range(2)), return_exceptions=True
    )
    assert await written(store) == [placed]
    assert [str(one) for one in refused] == [f"ordered already: {placed}"] * 2


async def test_a_broken_rule_reaches_the_caller_as_a_temporary_error(store: PostgresStore) -> None:
    async def orphan(unit: Unit) -> None:
        await unit.db.run(insert(children), {"id": 1, "parent": 7})  # checked at the commit only

    heard: list[str] = []
    store.on_commit(lambda events, due: heard.extend(event.id for event in events))

    async def emit(unit: Unit) -> None:
        unit.events.append(event("e"))

    results = await asyncio.gather(
        store.run(write("a")), store.run(orphan), store.run(emit), store.run(write("forbidden")), store.run(write("x" * 41)),
        store.run(write("nul \0")), return_exceptions=True,
    )  # fmt: skip
    assert results[0] == "a"
    codes = [getattr(result, "code", None) for result in results]
    assert codes == [None, "constraint", None, "constraint", "constraint", "constraint"]
    assert heard == ["e"]
    assert await written(store) == ["a"]


async def test_a_statement_that_failed_is_not_forgotten_by_a_handler_that_goes_on(store: PostgresStore) -> None:
    async def stubborn(unit: Unit) -> str:
        with pytest.raises(TemporaryError):
            await unit.db.run(insert(notes), {"text": "forbidden"})
        with pytest.raises(TemporaryError):
            await unit.db.all(select(notes))
        return "thought that it had written"

    async def cuts_short(unit: Unit) -> str:
        sleeping = asyncio.create_task(unit.db.all(text("SELECT pg_sleep(10)")))
        await waiting_for(store, "PgSleep")
        sleeping.cancel()
        await asyncio.wait([sleeping])
        assert sleeping.cancelled()
        return "thought that it could go on"

    assert await code_of(store.run(stubborn)) == "constraint"
    assert await code_of(store.run(cuts_short)) == "database"
    assert await store.run(write("a")) == "a"


async def test_a_slow_work_is_run_alone_so_that_its_neighbours_go_on(store: PostgresStore) -> None:
    gate, runs = asyncio.Event(), list[str]()

    async def slow(unit: Unit) -> str:
        runs.append("slow")
        await gate.wait()
        return "slow"

    running = asyncio.create_task(store.run(slow))
    neighbours = [asyncio.create_task(store.run(write(name))) for name in "ab"]
    assert await asyncio.gather(*neighbours) == ["a", "b"]
    assert not running.done()
    gate.set()
    assert await running == "slow"
    assert len(runs) == 2


async def test_a_work_that_takes_too_long_is_given_up(store: PostgresStore) -> None:
    runs: list[str] = []

    async def slow(unit: Unit) -> None:
        runs.append("slow")
        await unit.db.all(text("SELECT pg_sleep(10)"))

    outcomes = await asyncio.gather(store.run(slow, timeout=0.05), store.run(write("a")), return_exceptions=True)
    assert isinstance(outcomes[0], TimeoutError)
    assert outcomes[1] == "a"
    assert len(runs) == 1
    with pytest.raises(TimeoutError):
        await store.run(slow, timeout=0.05)
    assert await store.run(write("b")) == "b"


async def test_a_waiter_that_gives_up_before_its_turn_has_nothing_done_and_in_the_middle_all_or_nothing(
    postgres_url: str,
) -> None:
    async with opened(postgres_url, writers=1) as store:
        begun, gate = asyncio.Event(), asyncio.Event()

        async def slow(unit: Unit) -> None:
            await unit.db.run(insert(notes), {"text": "slow 1"})
            begun.set()
            await gate.wait()
            await unit.db.run(insert(notes), {"text": "slow 2"})

        running = asyncio.create_task(store.run(slow))
        await begun.wait()
        queued = asyncio.create_task(store.run(write("queued")))
        await asyncio.sleep(0)
        running.cancel()
        queued.cancel()
        gate.set()
        assert await store.run(write("after")) == "after"
        assert await written(store) == ["slow 1", "slow 2", "after"]
        assert running.cancelled()
        assert queued.cancelled()


async def test_what_a_handler_waits_for_may_be_cancelled(store: PostgresStore) -> None:
    async def waits(unit: Unit) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    results = await asyncio.gather(store.run(waits), store.run(write("a")), return_exceptions=True)
    assert [getattr(result, "code", result) for result in results] == ["cancelled", "a"]


async def test_a_work_may_not_wait_for_the_store_and_nothing_may_go_on_after_it(store: PostgresStore) -> None:
    kept: list[Session] = []

    async def nested(unit: Unit) -> None:
        kept.append(unit.db)
        await store.run(write("inner"))

    with pytest.raises(RuntimeError, match="a transaction is open here already"):
        await store.run(nested)
    for statement in (kept[0].run(insert(notes), {"text": "x"}), kept[0].many(insert(notes), [{"text": "x"}])):
        with pytest.raises(RuntimeError, match="this transaction is over"):
            await statement
    assert await written(store) == []


async def test_two_statements_of_one_handler_at_once_go_one_after_the_other(store: PostgresStore) -> None:
    async def both(unit: Unit) -> list[Any]:
        return list(await asyncio.gather(*(unit.db.first(text("SELECT 1 AS a")) for _ in range(5))))

    assert await store.run(both) == [{"a": 1}] * 5


# --- what is sent ----------------------------------------------------------------------------------------------------


async def test_events_are_announced_once_and_what_nobody_hears_is_published_at_once(store: PostgresStore) -> None:
    told: list[tuple[list[str], list[datetime]]] = []
    store.on_commit(lambda events, due: told.append(([event.id for event in events], list(due))))
    store.ask_heard(lambda event: event.id != "unheard")

    def emit(*ids: str) -> Callable[[Unit], Any]:
        async def work(unit: Unit) -> None:
            unit.events.extend(event(id) for id in ids)

        return work

    await asyncio.gather(store.run(emit("1", "2", "1")), store.run(emit("2", "3", "unheard")))
    await store.run(emit("3"))
    assert told == [(["1", "2", "3", "unheard"], [])]
    rows = await store.reader.all(select(tables.outbox).order_by(tables.outbox.c.seq))
    assert [(row["id"], row["published"]) for row in rows] == [
        ("1", False), ("2", False), ("3", False), ("unheard", True),
    ]  # fmt: skip
    assert journal.envelope_of(rows[0]) == event("1")

    async def later(unit: Unit) -> None:
        unit.timers.extend([(event("t"), NOW), (event("t"), NOW)])

    await store.run(later)
    assert told[-1] == ([], [NOW, NOW])
    assert len(await store.reader.all(select(tables.timers))) == 1


async def test_data_that_is_no_text_is_the_emitters_own_error(store: PostgresStore) -> None:
    async def emit(unit: Unit) -> None:
        unit.events.append(event(data=b"\xff"))

    bad, good = await asyncio.gather(store.run(emit), store.run(write("a")), return_exceptions=True)
    assert isinstance(bad, ValueError)
    assert good == "a"


async def test_a_claim_is_given_once(store: PostgresStore, postgres_url: str) -> None:
    async def claimed(unit: Unit) -> bool:
        return unit.claimed

    at_once = [store.run(claimed, claim=claim(id)) for id in ("1", "2", "1")]
    assert await asyncio.gather(*at_once) == [True, True, False]
    assert await store.run(claimed, claim=claim("1", "accepted")) is False
    assert await store.run(claimed) is True
    forms = [store.run(claimed, claim=claim("3")), store.run(claimed, claim=claim("4", "accepted", body="{}"))]
    assert await asyncio.gather(*forms) == [True, True]
    rows = await store.reader.all(select(tables.inbox.c.id, tables.inbox.c.state).order_by(tables.inbox.c.id))
    assert [(row["id"], row["state"]) for row in rows] == [
        ("1", "done"), ("2", "done"), ("3", "done"), ("4", "accepted"),
    ]  # fmt: skip

    async def fails(unit: Unit) -> None:
        raise Conflict("no")

    with pytest.raises(Conflict):
        await store.run(fails, claim=claim("5"))
    assert await store.run(claimed, claim=claim("5")) is True
    with pytest.raises(ValueError, match="naive"):
        await store.run(claimed, claim={**claim("6"), "received_at": datetime(2026, 1, 1)})  # noqa: DTZ001


async def test_of_two_processes_that_claim_the_same_one_gets_it(store: PostgresStore, postgres_url: str) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def holds(unit: Unit) -> bool:
        begun.set()
        await gate.wait()
        return unit.claimed

    async def claimed(unit: Unit) -> bool:
        return unit.claimed

    async with opened(postgres_url) as second:
        first = asyncio.create_task(store.run(holds, claim=claim("1")))
        await begun.wait()
        late = asyncio.create_task(second.run(claimed, claim=claim("1")))
        await waiting_for(store, "Lock")
        gate.set()
        assert await first is True
        assert await late is False
        assert second.retries == 1
        racing = [each.run(claimed, claim=claim(f"r{n}")) for n in range(50) for each in (store, second)]
        outcomes = await asyncio.gather(*racing)
    assert [outcomes[n] + outcomes[n + 1] for n in range(0, 100, 2)] == [1] * 50


async def waiting_for(store: PostgresStore, what: str) -> None:
    """Until a session of this database waits for it: an event of the server's, or a type of them."""
    waiting = text(
        "SELECT count(*) AS n FROM pg_stat_activity "
        "WHERE :what IN (wait_event, wait_event_type) AND datname = current_database()"
    )
    async with asyncio.timeout(5):
        while not (await store.reader.first(waiting, {"what": what}) or {})["n"]:
            await asyncio.sleep(0.005)  # what is waited for has no event


# --- others in the way -----------------------------------------------------------------------------------------------


async def test_a_change_that_another_process_overtook_is_tried_again_on_what_is_there_now(
    store: PostgresStore, other: asyncpg.Connection[asyncpg.Record]
) -> None:
    await other.execute("INSERT INTO one_counters VALUES ('a', 0)")
    runs: list[int] = []

    async def add(unit: Unit) -> None:
        n = (await unit.db.first(COUNT, {"name": "a"}) or {})["n"]
        runs.append(n)
        if len(runs) == 1:
            await other.execute("UPDATE one_counters SET n = n + 10")
        await unit.db.run(SET, {"p_name": "a", "p_n": n + 1})

    await store.run(add)
    assert runs == [0, 10]
    assert await store.reader.first(COUNT, {"name": "a"}) == {"n": 11}
    assert store.retries == 1


async def test_a_change_that_is_always_overtaken_is_given_up(
    store: PostgresStore, other: asyncpg.Connection[asyncpg.Record]
) -> None:
    await other.execute("INSERT INTO one_counters VALUES ('a', 0)")
    runs: list[int] = []

    async def add(unit: Unit) -> None:
        n = (await unit.db.first(COUNT, {"name": "a"}) or {})["n"]
        runs.append(n)
        await other.execute("UPDATE one_counters SET n = n + 1")
        await unit.db.run(SET, {"p_name": "a", "p_n": 0})

    assert await code_of(store.run(add)) == "database"
    assert runs == [0, 1, 2, 3, 4]


async def test_a_lost_update_is_impossible_between_processes(store: PostgresStore, postgres_url: str) -> None:
    async def add(unit: Unit) -> None:
        row = await unit.db.first(COUNT.with_for_update(), {"name": "a"})
        assert row is not None
        await unit.db.run(SET, {"p_name": "a", "p_n": row["n"] + 1})

    async def begin(unit: Unit) -> None:
        await unit.db.run(insert(counters), {"name": "a", "n": 0})

    has, gate = asyncio.Event(), asyncio.Event()

    async def add_slowly(unit: Unit) -> None:
        await add(unit)
        has.set()
        await gate.wait()

    await store.run(begin)
    async with opened(postgres_url) as second:
        slow = asyncio.create_task(store.run(add_slowly))
        await has.wait()
        overtaken = asyncio.create_task(second.run(add))
        await waiting_for(store, "Lock")
        gate.set()
        await asyncio.gather(slow, overtaken)
        assert second.retries == 1
        await asyncio.gather(*(each.run(add) for _ in range(39) for each in (store, second)))
    assert await store.reader.first(COUNT, {"name": "a"}) == {"n": 80}


async def test_a_deadlock_is_tried_again(store: PostgresStore, other: asyncpg.Connection[asyncpg.Record]) -> None:
    await other.execute("INSERT INTO one_counters VALUES ('a', 0), ('b', 0)")
    has = {"a": asyncio.Event(), "b": asyncio.Event()}
    through = {"a": asyncio.Event(), "b": asyncio.Event()}

    async def both(first: str, then: str) -> None:
        async def work(unit: Unit) -> None:
            if has[first].is_set():  # tried again
                await through[then].wait()
            await unit.db.run(SET, {"p_name": first, "p_n": 1})
            has[first].set()
            await has[then].wait()
            await unit.db.run(SET, {"p_name": then, "p_n": 1})

        await store.run(work, agent=first)
        through[first].set()

    await asyncio.gather(both("a", "b"), both("b", "a"))
    assert store.retries == 1
    assert store.works == 2


async def test_a_row_that_another_process_has_just_written_is_seen_at_the_second_try(
    store: PostgresStore, other: asyncpg.Connection[asyncpg.Record]
) -> None:
    runs: list[str] = []
    find = select(notes.c.text).where(notes.c.once == bindparam("once"))

    async def write_once(unit: Unit) -> str:
        row = await unit.db.first(find, {"once": "x"})
        runs.append("run")
        if row is not None:
            return row["text"]
        if len(runs) == 1:
            await other.execute("INSERT INTO one_notes (text, once) VALUES ('theirs', 'x')")
        await unit.db.run(insert(notes), {"text": "ours", "once": "x"})
        return "ours"

    assert await store.run(write_once) == "theirs"
    assert len(runs) == 2


async def test_a_row_that_stands_is_a_broken_rule_at_the_second_try(store: PostgresStore) -> None:
    runs: list[str] = []

    async def blind(unit: Unit) -> None:
        runs.append("run")
        await unit.db.run(insert(notes), {"text": "a", "once": "x"})

    await store.run(blind)
    assert await code_of(store.run(blind)) == "constraint"
    assert len(runs) == 3


async def test_a_table_that_is_changed_under_way_does_not_stop_the_store(
    store: PostgresStore, other: asyncpg.Connection[asyncpg.Record]
) -> None:
    async def read(unit: Unit) -> Any:
        return await unit.db.all(text("SELECT * FROM one_counters"))

    await store.run(read)
    await store.reader.all(text("SELECT * FROM one_counters"))
    await other.execute("ALTER TABLE one_counters ADD COLUMN more text")
    assert await store.run(read) == []
    assert await store.reader.all(text("SELECT * FROM one_counters")) == []


# --- what is slow, full or away --------------------------------------------------------------------------------------


async def test_a_statement_that_is_slow_or_waits_for_a_lock_is_given_up(
    postgres_url: str,
) -> None:
    sleep = text("SELECT pg_sleep(10)")

    async def slow(unit: Unit) -> None:
        await unit.db.all(sleep)

    async def locked(unit: Unit) -> None:
        await unit.db.run(SET, {"p_name": "a", "p_n": 1})

    async with opened(postgres_url, statement_timeout=timedelta(milliseconds=300)) as store:
        assert await code_of(store.run(slow)) == "database"
        assert await code_of(store.reader.all(sleep)) == "database"
    async with opened(postgres_url, lock_timeout=timedelta(milliseconds=200)) as store:
        other = await asyncpg.connect(postgres_url, server_settings={"search_path": "one"})
        await other.execute("INSERT INTO one_counters VALUES ('a', 0)")
        async with other.transaction():
            await other.execute("UPDATE one_counters SET n = 5")
            outcomes = await asyncio.gather(store.run(locked), store.run(write("a")), return_exceptions=True)
            assert [getattr(outcome, "code", outcome) for outcome in outcomes] == ["database", "a"]
        await other.close()
        await store.run(locked)


async def test_a_transaction_in_which_nothing_is_said_loses_its_locks_and_changes_nothing(postgres_url: str) -> None:
    """As in a process that was stopped in the middle."""
    async with opened(postgres_url, idle_timeout=timedelta(seconds=1)) as store:
        begun, gate = asyncio.Event(), asyncio.Event()

        async def stopped(unit: Unit) -> None:
            await unit.db.run(insert(counters), {"name": "a", "n": 0})
            begun.set()
            await gate.wait()

        running = asyncio.create_task(store.run(stopped))
        await begun.wait()
        other = await asyncpg.connect(postgres_url, server_settings={"search_path": "one"})
        await other.execute("INSERT INTO one_counters VALUES ('a', 7)")  # waits for the first one's end
        await other.close()
        gate.set()
        assert await code_of(running) == "database"
        assert await store.reader.first(COUNT, {"name": "a"}) == {"n": 7}


async def test_a_server_without_room_is_used_with_fewer_connections(postgres_url: str) -> None:
    admin = await asyncpg.connect(postgres_url)
    login = f"narrow_{postgres_url.rpartition('_')[2]}"
    await admin.execute(f"CREATE ROLE {login} LOGIN CONNECTION LIMIT 1")
    await admin.execute(f"GRANT CREATE ON DATABASE {postgres_url.rpartition('/')[2]} TO {login}")
    try:
        async with opened(postgres_url.replace("postgres@", f"{login}@")) as store:
            works = [store.run(write(agent), agent=agent) for agent in ("one", "two", "three")]
            assert sorted(await asyncio.gather(*works)) == ["one", "three", "two"]
            with pytest.raises(TemporaryError, match="too many connections"):
                await store.reader.first(text("SELECT 1 AS a"))
    finally:
        await admin.execute(f"DROP OWNED BY {login}")
        await admin.execute(f"DROP ROLE {login}")
        await admin.close()


async def test_a_database_that_is_away_says_so_to_everybody_at_once() -> None:
    store = PostgresStore("postgresql://postgres@127.0.0.1:1/none", connect_timeout=timedelta(seconds=60))
    started = time.monotonic()
    works = [store.run(write("a"), agent=agent) for agent in ("one", "two") for _ in range(100)]
    outcomes = await asyncio.gather(*works, return_exceptions=True)
    assert {getattr(outcome, "code", outcome) for outcome in outcomes} == {"database"}
    assert await code_of(store.reader.first(text("SELECT 1 AS a"))) == "database"
    assert await code_of(store.create(TABLES, {})) == "database"
    assert time.monotonic() - started < 20
    await store.close()


async def test_nothing_is_answered_for_long_by_a_server_that_does_not_answer() -> None:
    """Neither at the first connection, nor in the middle of a transaction, nor to a reader; afterwards all is as before."""
    brief: dict[str, Any] = {"connect_timeout": timedelta(seconds=3), "statement_timeout": timedelta(seconds=1)}
    async with Postgres() as server, opened(server.url, **brief) as store:
        begun, gate = asyncio.Event(), asyncio.Event()

        async def in_the_middle(unit: Unit) -> None:
            begun.set()
            await gate.wait()
            await unit.db.run(insert(notes), {"text": "never"})

        await store.reader.first(text("SELECT 1 AS a"))
        running = asyncio.create_task(store.run(in_the_middle, agent="one"))
        await begun.wait()
        server.pause()
        gate.set()
        started = time.monotonic()
        waiting = [running, *(store.run(write("a"), agent=agent) for agent in ("one", "two", "three"))]
        outcomes = await asyncio.gather(*waiting, store.reader.first(text("SELECT 1 AS a")), return_exceptions=True)
        assert {getattr(outcome, "code", outcome) for outcome in outcomes} == {"database"}
        assert time.monotonic() - started < 10
        server.resume()
        await recovered(store)
        assert "never" not in await written(store)


async def recovered(store: PostgresStore) -> None:
    """Within ten seconds it works again, by itself."""
    written = False
    async with asyncio.timeout(10):
        while True:
            try:
                if not written:
                    await store.run(write("again"))
                    written = True
                await store.reader.first(text("SELECT 1 AS a"))
            except TemporaryError:
                await asyncio.sleep(0.02)  # what is waited for has no event
            else:
                return


async def test_a_server_that_is_killed_in_a_transaction_loses_it_and_nothing_else() -> None:
    async with Postgres() as server, opened(server.url) as store:
        assert await store.run(write("before")) == "before"
        for end in ("kill", "terminate"):
            begun, gate = asyncio.Event(), asyncio.Event()

            async def in_the_middle(unit: Unit, begun: asyncio.Event = begun, gate: asyncio.Event = gate) -> None:
                await unit.db.run(insert(notes), {"text": "never"})
                begun.set()
                await gate.wait()
                await unit.db.run(insert(notes), {"text": "never"})

            running = asyncio.create_task(store.run(in_the_middle))
            await begun.wait()
            if end == "kill":
                server.kill()
            else:
                await server.terminate()
            gate.set()
            assert await code_of(running) == "database"
            assert await code_of(store.run(write("never"))) == "database"
            assert await code_of(store.reader.first(text("SELECT 1 AS a"))) == "database"
            await server.start()
            await recovered(store)
        assert await written(store) == ["before", "again", "again"]


async def test_connections_that_the_server_has_forgotten_are_not_the_callers_trouble() -> None:
    """A restart while nothing was going on."""
    async with Postgres() as server, opened(server.url) as store:
        await asyncio.gather(store.run(write("a"), agent="one"), store.run(write("b"), agent="two"))
        await asyncio.gather(*(store.reader.first(text("SELECT pg_sleep(0.02)")) for _ in range(3)))
        await server.terminate()
        await server.start()
        assert await store.reader.first(text("SELECT 1 AS a")) == {"a": 1}
        assert await store.run(write("c")) == "c"


class Wire:
    """A link to a server that can be cut at a word."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.cut_at: bytes | None = None
        self._server: asyncio.Server
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there, here = await asyncio.open_connection("127.0.0.1", self._port)
        back = asyncio.create_task(self._pass(there, writer))
        try:
            while data := await reader.read(65536):
                if self.cut_at is not None and self.cut_at in data:
                    back.cancel()  # the server hears it, and its answer is lost
                    here.write(data)
                    await there.read(65536)
                    break
                here.write(data)
        finally:
            back.cancel()
            here.close()
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


async def test_a_commit_whose_answer_is_lost_is_no_success_and_its_claim_makes_the_retry_right(
    postgres: Postgres, postgres_url: str
) -> None:
    wire = Wire(postgres.port)
    async with wire as port, opened(postgres_url.replace(f":{postgres.port}", f":{port}")) as store:
        runs: list[bool] = []

        async def work(unit: Unit) -> None:
            runs.append(unit.claimed)
            if unit.claimed:
                await unit.db.run(insert(notes), {"text": "once"})

        wire.cut_at = b"COMMIT"
        with pytest.raises(TemporaryError, match="whether it took the change is not known"):
            await store.run(work, claim=claim())
        wire.cut_at = None
        await store.run(work, claim=claim())
        assert await written(store) == ["once"]
        assert runs == [True, False]


async def test_a_link_that_breaks_before_the_commit_changes_nothing(postgres: Postgres, postgres_url: str) -> None:
    wire = Wire(postgres.port)
    async with wire as port, opened(postgres_url.replace(f":{postgres.port}", f":{port}")) as store:
        wire.cut_at = b"INSERT INTO one_notes"
        outcomes = await asyncio.gather(store.run(write("a")), store.run(write("b")), return_exceptions=True)
        assert [getattr(outcome, "code", outcome) for outcome in outcomes] == ["database", "database"]
        wire.cut_at = None
        assert await store.run(write("c")) == "c"
        assert await written(store) == ["c"]


# --- tables and rights -----------------------------------------------------------------------------------------------


async def test_two_processes_that_start_at_once_make_the_tables_once(postgres_url: str) -> None:
    stores = [PostgresStore(postgres_url) for _ in range(4)]
    ddl = {"two": ["CREATE TABLE IF NOT EXISTS two_more (id int)"]}
    await asyncio.gather(*(store.create(TABLES, ddl) for store in stores))
    for store in stores:
        assert await store.reader.all(select(secrets)) == []
        assert await store.reader.all(text("SELECT * FROM two_more")) == []
        await store.close()


async def test_tables_that_cannot_be_made_leave_nothing_half_made(postgres_url: str) -> None:
    store = PostgresStore(postgres_url)
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await store.create(TABLES, {"two": ["CREATE NONSENSE"]})
    with pytest.raises(asyncpg.UndefinedTableError):
        await store.reader.all(select(notes))
    await store.create(TABLES, {})
    assert await store.reader.all(select(notes)) == []
    await store.close()


async def test_tables_may_be_left_to_migrations(store: PostgresStore, postgres_url: str) -> None:
    await store.run(write("a"))
    late = PostgresStore(postgres_url, create=False)
    more = MetaData()
    Table("one_more", more, Column("id", Integer, primary_key=True))
    await late.create({**TABLES, "one": more}, {})
    assert await written(late) == ["a"]
    with pytest.raises(asyncpg.UndefinedTableError):
        await late.reader.all(text("SELECT * FROM one_more"))
    await late.close()


async def test_an_agents_role_reaches_its_own_tables_and_the_kernels_and_no_others(
    store: PostgresStore, other: asyncpg.Connection[asyncpg.Record], postgres_url: str
) -> None:
    await store.run(write("a"))
    made = await other.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = $1", role_of("one"))
    if not made:  # roles are the whole server's
        await other.execute(f"CREATE ROLE {role_of('one')} NOLOGIN")
    for schema in ("kernel", "one"):
        await other.execute(
            f"GRANT USAGE ON SCHEMA {schema} TO {role_of('one')};"
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role_of('one')};"
            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role_of('one')}"
        )
    restricted = PostgresStore(postgres_url, agents=("one", "two"), roles=True, create=False)

    async def reach(unit: Unit) -> None:
        unit.events.append(event("r"))
        unit.timers.append((event("t"), NOW))
        assert await unit.db.all(select(secrets)) == []

    async def reach_by_name(unit: Unit) -> None:
        await unit.db.all(text("SELECT * FROM two.two_secrets"))

    async def change(unit: Unit) -> None:
        await unit.db.run(insert(notes), {"text": "b"})
        unit.events.append(event("c"))
        unit.timers.append((event("t"), NOW))

    assert await restricted.run(change, agent="one", claim=claim()) is None
    with pytest.raises(asyncpg.UndefinedTableError):
        await restricted.run(reach, agent="one")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await restricted.run(reach_by_name, agent="one")
    await restricted.run(reach)  # with the kernel's own rights, on the same connection
    with pytest.raises(asyncpg.UndefinedTableError):
        await restricted.run(reach, agent="one")
    reader = restricted.reader_of("one")
    assert await reader.all(select(notes.c.text).order_by(notes.c.id)) == [{"text": "a"}, {"text": "b"}]
    with pytest.raises(asyncpg.UndefinedTableError):
        await reader.all(select(secrets))
    assert await restricted.reader.all(select(secrets)) == []
    with pytest.raises(asyncpg.UndefinedTableError):
        await reader.all(select(secrets))
    with pytest.raises(TemporaryError, match="agent_store_nobody"):
        await restricted.run(change, agent="nobody")
    await restricted.close()


# --- the end ---------------------------------------------------------------------------------------------------------


async def test_close_finishes_what_is_queued_and_takes_no_more(postgres_url: str) -> None:
    store = PostgresStore(postgres_url, group_limit=2)
    await store.create(TABLES, {})
    queued = [asyncio.create_task(store.run(write(str(number)))) for number in range(5)]
    await asyncio.sleep(0)
    await store.close()
    assert [task.result() for task in queued] == ["0", "1", "2", "3", "4"]
    assert await code_of(store.run(write("late"))) == "shutting-down"
    async with opened(postgres_url) as again:
        assert await written(again) == ["0", "1", "2", "3", "4"]
        activity = text(
            "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'agent-store' AND datname = current_database()"
        )
        assert await again.reader.first(activity) == {"n": 1}


async def test_abandon_drops_what_is_not_committed_and_tells_whoever_waits(postgres_url: str) -> None:
    store = PostgresStore(postgres_url, writers=1)
    await store.create(TABLES, {})
    begun = asyncio.Event()

    async def slow(unit: Unit) -> None:
        await unit.db.run(insert(notes), {"text": "slow"})
        begun.set()
        await asyncio.sleep(30)

    running = asyncio.create_task(store.run(slow))
    await begun.wait()
    queued = asyncio.create_task(store.run(write("queued")))
    await asyncio.sleep(0)
    store.abandon()
    for task in (running, queued):
        assert await code_of(task) == "shutting-down"
    async with opened(postgres_url) as again:
        assert await written(again) == []


async def test_a_listener_that_fails_harms_neither_the_commit_nor_the_other_listeners(store: PostgresStore) -> None:
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["message"]))

    def broken(events: object, due: object) -> None:
        raise KeyError("a bug")

    store.on_commit(broken)
    store.on_commit(lambda events, due: told.append([event.id for event in events]))

    async def emit(unit: Unit) -> int:
        unit.events.append(event("e"))
        return 1

    assert await store.run(emit) == 1
    assert told == ["a listener to commits failed", ["e"]]


async def test_a_writer_that_breaks_off_leaves_nobody_waiting_and_begins_again(store: PostgresStore) -> None:
    class Interrupt(BaseException):
        """As KeyboardInterrupt comes through whatever runs."""

    async def interrupted(unit: Unit) -> None:
        await unit.db.run(insert(notes), {"text": "x"})
        raise Interrupt

    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    waiting = [asyncio.create_task(store.run(work)) for work in (write("a"), interrupted, write("b"))]
    await asyncio.wait(waiting, timeout=5)
    for task in waiting:
        with pytest.raises(TemporaryError, match=r"writer broke off: Interrupt\(\)"):
            await task
    assert await store.run(write("c")) == "c"
    assert await written(store) == ["c"]
