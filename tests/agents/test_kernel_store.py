"""The embedded store: what a commit is, and that no failure leaves a waiter behind."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, func, insert, select, text

from agent_store.adapters.db.sqlite import SqliteStore
from agent_store.kernel import tables
from agent_store.kernel.errors import Conflict, TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.store import Unit
from tests.support.kernel import metadata as kernel_test_tables
from tests.support.kernel import notes

DATABASES = ("sqlite",)
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
metadata = MetaData()
parents = Table("kt_parents", metadata, Column("id", Integer, primary_key=True))
children = Table(
    "kt_children",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("parent", ForeignKey("kt_parents.id", deferrable=True, initially="DEFERRED")),
    Column("big", String),
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.sqlite3")
    await store.create({"kernel": tables.metadata, "one": metadata, "kt": kernel_test_tables}, {})
    yield store
    await store.close()


def event(id: str = "1", data: bytes = b"{}") -> Envelope:
    return Envelope(id=id, source="/s", type="t", time=NOW, data=data)


def write(text: str) -> Any:
    async def work(unit: Unit) -> str:
        await unit.db.run(insert(notes), {"text": text})
        return text

    return work


async def written(store: SqliteStore) -> list[str]:
    return [row["text"] for row in await store.reader.all(select(notes.c.text).order_by(notes.c.id))]


async def test_works_that_come_together_share_one_commit(store: SqliteStore) -> None:
    commits = store.commits
    assert await asyncio.gather(*[store.run(write(str(number))) for number in range(10)]) == [str(n) for n in range(10)]
    assert store.commits == commits + 1
    assert await written(store) == [str(n) for n in range(10)]


async def test_what_is_being_written_is_seen_by_nobody_before_the_commit(store: SqliteStore) -> None:
    async def work(unit: Unit) -> None:
        await unit.db.run(insert(notes), {"text": "a"})
        assert await written(store) == []
        assert await unit.db.all(select(notes.c.text)) == [{"text": "a"}]

    await store.run(work)
    assert await written(store) == ["a"]


async def test_a_broken_rule_reaches_the_caller_as_a_temporary_error(store: SqliteStore) -> None:
    neighbours = [store.run(write("a")), store.run(write("forbidden")), store.run(write("b"))]
    first, refused, last = await asyncio.gather(*neighbours, return_exceptions=True)
    assert (first, last) == ("a", "b")
    assert isinstance(refused, TemporaryError)
    assert refused.code == "constraint"
    assert await written(store) == ["a", "b"]


async def test_a_group_whose_commit_fails_is_run_singly_and_only_the_culprit_fails(store: SqliteStore) -> None:
    async def orphan(unit: Unit) -> None:
        await unit.db.run(insert(children), {"id": 1, "parent": 7})  # checked at the commit only

    seen: list[str] = []
    store.on_commit(lambda events, due: seen.extend(event.id for event in events))

    async def emit(unit: Unit) -> None:
        unit.events.append(event("e"))

    results = await asyncio.gather(
        store.run(write("a")), store.run(orphan), store.run(emit), store.run(write("forbidden")), return_exceptions=True
    )
    assert results[0] == "a"
    assert [getattr(result, "code", None) for result in results] == [None, "constraint", None, "constraint"]
    assert isinstance(results[1].__cause__, sqlite3.IntegrityError)  # type: ignore[union-attr]
    assert await written(store) == ["a"]
    assert seen == ["e"]
    with pytest.raises(TemporaryError):  # alone too
        await store.run(orphan)


async def test_a_full_disk_is_a_temporary_error_and_the_store_goes_on_later(store: SqliteStore) -> None:
    (pages,) = store._writer.execute("PRAGMA page_count").fetchone()
    store._writer.execute(f"PRAGMA max_page_count = {pages + 4}")

    async def big(unit: Unit) -> None:
        await unit.db.run(insert(children), {"id": 1, "big": "x" * 100_000})

    async def big_and_stubborn(unit: Unit) -> str:
        with pytest.raises(TemporaryError, match="disk full"):
            await big(unit)
        await unit.db.many(insert(notes), [{"text": "by itself"}])
        return "thought that it had written"

    results = await asyncio.gather(
        store.run(write("a")), store.run(big), store.run(big_and_stubborn), return_exceptions=True
    )
    assert results[0] == "a"
    for failure in results[1:]:
        assert isinstance(failure, TemporaryError)
        assert failure.code == "database"
        assert "is the disk full?" in failure.message
    with pytest.raises(TemporaryError, match="disk full"):
        await store.run(big)
    assert await written(store) == ["a"]
    store._writer.execute("PRAGMA max_page_count = 100000")
    await store.run(big)
    assert await store.run(write("b")) == "b"


async def test_a_file_that_another_process_holds_is_a_temporary_error(store: SqliteStore, tmp_path: Path) -> None:
    store._writer.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(tmp_path / "store.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    results = await asyncio.gather(store.run(write("a")), store.run(write("b")), return_exceptions=True)
    assert [getattr(result, "code", None) for result in results] == ["database", "database"]
    other.execute("ROLLBACK")
    other.close()
    assert await store.run(write("c")) == "c"


async def test_a_waiter_that_gives_up_before_its_turn_has_nothing_done_and_in_the_middle_all_or_nothing(
    store: SqliteStore,
) -> None:
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


async def test_a_queue_of_which_everybody_gave_up_is_nothing_to_do(store: SqliteStore) -> None:
    await store.run(write("a"))
    commits = store.commits
    queued = asyncio.create_task(store.run(write("b")))
    await asyncio.sleep(0)
    queued.cancel()
    await asyncio.wait([queued])
    await store.run(write("c"))
    assert await written(store) == ["a", "c"]
    assert store.commits == commits + 1


async def test_a_waiter_that_gives_up_on_a_work_that_fails_harms_nobody(store: SqliteStore) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def fails(unit: Unit) -> None:
        begun.set()
        await gate.wait()
        raise Conflict("no")

    running = asyncio.create_task(store.run(fails))
    await begun.wait()
    running.cancel()
    gate.set()
    assert await store.run(write("a")) == "a"


async def test_a_work_may_not_wait_for_the_store_and_nothing_may_go_on_after_it(store: SqliteStore) -> None:
    kept: list[Unit] = []

    async def nested(unit: Unit) -> None:
        kept.append(unit)
        await store.run(write("inner"))

    with pytest.raises(RuntimeError, match="a transaction is open here already"):
        await store.run(nested)
    for statement in (kept[0].db.run(insert(notes), {"text": "x"}), kept[0].db.many(insert(notes), [{"text": "x"}])):
        with pytest.raises(RuntimeError, match="this transaction is over"):
            await statement
    assert await written(store) == []


async def test_a_work_that_takes_too_long_is_given_up(store: SqliteStore) -> None:
    async def slow(unit: Unit) -> None:
        await unit.db.run(insert(notes), {"text": "slow"})
        await asyncio.sleep(30)

    with pytest.raises(TimeoutError):
        await store.run(slow, timeout=0.001)
    assert await written(store) == []


async def test_a_bug_in_a_statement_stays_itself(store: SqliteStore) -> None:
    async def wrong(unit: Unit) -> None:
        await unit.db.all(text("SELECT nowhere_column"))

    with pytest.raises(sqlite3.OperationalError, match="no such column"):
        await store.run(wrong)


async def test_data_that_is_no_text_is_the_emitters_own_error(store: SqliteStore) -> None:
    async def emit(unit: Unit) -> None:
        unit.events.append(event(data=b"\xff"))

    bad, good = await asyncio.gather(store.run(emit), store.run(write("a")), return_exceptions=True)
    assert isinstance(bad, ValueError)
    assert good == "a"


async def test_a_listener_that_fails_harms_neither_the_commit_nor_the_other_listeners(store: SqliteStore) -> None:
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


async def test_a_writer_that_breaks_off_leaves_nobody_waiting_and_begins_again(store: SqliteStore) -> None:
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


async def test_close_finishes_what_is_queued_and_takes_no_more(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.sqlite3", group_limit=2)
    await store.create({"kernel": tables.metadata, "kt": kernel_test_tables}, {})
    queued = [asyncio.create_task(store.run(write(str(number)))) for number in range(5)]
    await asyncio.sleep(0)
    await store.close()
    assert [task.result() for task in queued] == ["0", "1", "2", "3", "4"]
    with pytest.raises(TemporaryError, match="shutting down") as caught:
        await store.run(write("late"))
    assert caught.value.code == "shutting-down"
    again = SqliteStore(tmp_path / "s.sqlite3")
    assert await written(again) == ["0", "1", "2", "3", "4"]
    await again.close()


async def test_abandon_drops_what_is_not_committed_and_tells_whoever_waits(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.sqlite3")
    await store.create({"kernel": tables.metadata, "kt": kernel_test_tables}, {})
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
        with pytest.raises(TemporaryError, match="shutting down"):
            await task
    again = SqliteStore(tmp_path / "s.sqlite3")
    assert await written(again) == []
    again.abandon()


async def test_tables_that_cannot_be_made_leave_nothing_half_made(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.sqlite3")
    for wrong in ("CREATE NONSENSE", "ROLLBACK; "):
        with pytest.raises(sqlite3.OperationalError):
            await store.create({"one": metadata}, {"one": [wrong, "CREATE NONSENSE"]})
    await store.create({"one": metadata}, {})
    assert await store.reader.first(select(func.count().label("n")).select_from(parents)) == {"n": 0}
    await store.close()


async def test_the_reader_cannot_write(store: SqliteStore) -> None:
    with pytest.raises(TemporaryError, match="readonly"):
        await store.reader.run(insert(notes), {"text": "x"})
