"""The kernel's own statements on its tables: rows to envelopes and back, inbox marks, steps, calls, timers, dead letters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Delete,
    String,
    Table,
    and_,
    bindparam,
    case,
    delete,
    func,
    or_,
    select,
    text,
    tuple_,
    update,
)

from agent_store.kernel import cloudevents
from agent_store.kernel.context import Row, Session
from agent_store.kernel.event import Envelope
from agent_store.kernel.sql import insert
from agent_store.kernel.tables import (
    ACCEPTED,
    DEAD,
    DONE,
    PARKED,
    RETRY,
    calls,
    dead,
    fences,
    inbox,
    marks,
    order,
    outbox,
    steps,
    timers,
    workers,
)

_COLUMNS = (
    outbox.c.source, outbox.c.id, outbox.c.type, outbox.c.time, outbox.c.subject, outbox.c.partitionkey, outbox.c.sequence,
    outbox.c.topic, outbox.c.brand, outbox.c.channel, outbox.c.correlationid, outbox.c.causationid, outbox.c.traceparent,
    outbox.c.attributes, outbox.c.data,
)  # fmt: skip

INSERT_EVENT = insert(outbox).on_conflict_do_nothing(index_elements=[outbox.c.source, outbox.c.id])
_MARK_PUBLISHED = (
    update(outbox)
    .where(outbox.c.source == bindparam("p_source"), outbox.c.id.in_(bindparam("ids", expanding=True)))
    .values(published=True)
)
INSERT_TIMER = insert(timers).on_conflict_do_nothing()
DUE_TIMERS = (
    select(timers)
    .where(timers.c.due_at <= bindparam("now"))
    .order_by(timers.c.due_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
NEXT_TIMER = select(func.min(timers.c.due_at).label("due_at"))
DELETE_TIMER = delete(timers).where(timers.c.source == bindparam("p_source"), timers.c.id == bindparam("p_id"))

INSERT_INBOX = insert(inbox).on_conflict_do_nothing()
_THIS = and_(
    inbox.c.consumer == bindparam("p_consumer"),
    inbox.c.source == bindparam("p_source"),
    inbox.c.id == bindparam("p_id"),
)
_MINE = inbox.c.owner.is_not_distinct_from(bindparam("p_owner"))
GET_INBOX = select(inbox.c.state, inbox.c.attempts, inbox.c.due_at, inbox.c.owner).where(_THIS)
TAKE_INBOX = update(inbox).where(_THIS).values(owner=bindparam("p_owner"), attempts=bindparam("p_attempts"))
ACCEPT_INBOX = (
    update(inbox).where(_THIS, _MINE, text("state NOT IN ('done', 'dead')")).values(state=ACCEPTED, due_at=None)
)
HOLD_INBOX = select(inbox.c.id).where(_THIS, _MINE, text("state NOT IN ('done', 'dead')")).with_for_update()
_state = bindparam("p_state", type_=String)
SET_INBOX = (
    update(inbox)
    .where(_THIS, _MINE, text("state NOT IN ('done', 'dead')"))
    .values(
        state=_state,
        attempts=bindparam("p_attempts"),
        due_at=bindparam("p_due"),
        done_at=bindparam("p_done"),
        error=bindparam("p_error"),
        body=case((_state == DEAD, None), else_=inbox.c.body),
    )
)
FINISH_INBOX = (
    update(inbox)
    .where(_THIS, _MINE, text("state NOT IN ('done', 'dead')"))
    .values(state=DONE, done_at=bindparam("p_done"), due_at=None, body=None)
)
"""Touches no row when another worker has taken the event over meanwhile: then this one's work is not to count."""
PUT_DOWN = (
    update(inbox)
    .where(text("state NOT IN ('done', 'dead')"), _MINE)
    .values(
        owner=None,
        state=case((inbox.c.state == ACCEPTED, RETRY), else_=inbox.c.state),
        due_at=case((inbox.c.state == ACCEPTED, None), else_=inbox.c.due_at),
    )
)
"""What a worker holds when it stops in good order: nobody's, and no crash is to be counted."""
DIED = "its process died"
"""What stands as the error of an event whose last try ended so."""
COUNT_CRASH = update(inbox).where(_THIS).values(attempts=inbox.c.attempts + 1, state=RETRY, error=DIED)
OPEN_INBOX = (
    select(outbox.c.seq, inbox.c.consumer, inbox.c.state, inbox.c.attempts, inbox.c.due_at, inbox.c.error, *_COLUMNS)
    .select_from(inbox.join(outbox, and_(inbox.c.source == outbox.c.source, inbox.c.id == outbox.c.id)))
    .where(text("state NOT IN ('done', 'dead')"))
    .order_by(outbox.c.seq)
)
PENDING_EVENTS = (
    select(outbox.c.seq, *_COLUMNS)
    # Written as its partial index is, or SQLite would not use it.
    .where(text("NOT kernel_outbox.published"), outbox.c.seq > bindparam("after"))
    .order_by(outbox.c.seq)
    .limit(bindparam("most"))
)
CONSUMERS_OF = select(inbox.c.consumer).where(inbox.c.source == bindparam("p_source"), inbox.c.id == bindparam("p_id"))

GET_ORDER = select(order.c.last, order.c.taken).where(
    order.c.consumer == bindparam("p_consumer"),
    order.c.type == bindparam("p_type"),
    order.c.subject == bindparam("p_subject"),
)
_set_order = insert(order)
SET_ORDER = _set_order.on_conflict_do_update(
    index_elements=[order.c.consumer, order.c.type, order.c.subject],
    set_={
        "last": _set_order.excluded["last"],
        "taken": _set_order.excluded["taken"],
        "at": _set_order.excluded["at"],
    },
)

INSERT_STEP = insert(steps)
STEPS_OF = select(steps.c.name, steps.c.kind, steps.c.digest, steps.c.result).where(
    steps.c.consumer == bindparam("p_consumer"),
    steps.c.source == bindparam("p_source"),
    steps.c.id == bindparam("p_id"),
)
FORGET_FAILED = delete(steps).where(
    steps.c.consumer == bindparam("p_consumer"),
    steps.c.source == bindparam("p_source"),
    steps.c.id == bindparam("p_id"),
    steps.c.kind == "failed",
)
FORGET_FAILURES = delete(steps).where(
    steps.c.consumer == bindparam("p_consumer"),
    steps.c.source == bindparam("p_source"),
    steps.c.id == bindparam("p_id"),
    steps.c.kind.in_(["failed", "error"]),
)
GET_CALL = select(calls.c.digest, calls.c.result).where(
    calls.c.tool == bindparam("p_tool"), calls.c.key == bindparam("p_key")
)
INSERT_CALL = insert(calls)

# Locked: whoever brings a higher token waits for those who were let in before, and they for it.
GET_FENCE = (
    select(fences.c.token)
    .where(fences.c.agent == bindparam("p_agent"), fences.c.conversation_id == bindparam("p_conversation"))
    .with_for_update()
)
_set_fence = insert(fences)
SET_FENCE = _set_fence.on_conflict_do_update(
    index_elements=[fences.c.agent, fences.c.conversation_id],
    set_={"token": _set_fence.excluded["token"], "at": _set_fence.excluded["at"]},
)

INSERT_DEAD = insert(dead)
LIST_DEAD = select(dead).order_by(dead.c.seq.desc()).limit(bindparam("most"))
GET_DEAD = select(dead).where(dead.c.seq == bindparam("p_seq"))
MARK_REPLAYED = (
    update(dead)
    .where(dead.c.seq == bindparam("p_seq"))
    .values(replayed_at=bindparam("p_at"), dropped_at=None, by=bindparam("p_by"))
)
MARK_DROPPED = (
    update(dead)
    .where(dead.c.seq == bindparam("p_seq"), dead.c.replayed_at.is_(None), dead.c.dropped_at.is_(None))
    .values(dropped_at=bindparam("p_at"), by=bindparam("p_by"))
)
_WAITING = text("replayed_at IS NULL AND dropped_at IS NULL")
AUTO_DEAD = (
    select(dead)
    .where(_WAITING, dead.c.auto.is_(True), dead.c.consumer == bindparam("p_consumer"), dead.c.seq > bindparam("after"))
    .order_by(dead.c.seq)
    .limit(bindparam("most"))
)
"""What waits for its consumer to be reachable again."""
DEAD_OF = select(dead.c.seq).where(
    _WAITING,
    dead.c.consumer == bindparam("p_consumer"),
    dead.c.source == bindparam("p_source"),
    dead.c.id == bindparam("p_id"),
)
REOPEN_INBOX = (
    update(inbox)
    .where(_THIS, inbox.c.state == DEAD)
    .values(
        state=RETRY, attempts=0, due_at=None, done_at=None, error=None,
        owner=bindparam("p_owner"), body=bindparam("p_body"),
    )
)  # fmt: skip

# --- workers: who sees to which inbox rows, on a network bus

_beat = insert(workers)
BEAT = _beat.on_conflict_do_update(
    index_elements=[workers.c.id],
    set_={"beat": workers.c.beat + 1, "consumers": _beat.excluded["consumers"], "at": _beat.excluded["at"]},
)
WORKERS = select(workers.c.id, workers.c.beat, workers.c.consumers)
DELETE_WORKER = delete(workers).where(workers.c.id == bindparam("p_id"))
DELETE_WORKERS = delete(workers)


def _nobodys(owner: ColumnElement[str | None]) -> ColumnElement[bool]:
    """Its owner is none, gone, or among the `dead` ones that were watched standing still."""
    return or_(
        owner.is_(None),
        owner.not_in(select(workers.c.id)),
        owner.in_(bindparam("dead", expanding=True)),
    )


_orphans = (
    select(inbox.c.consumer, inbox.c.source, inbox.c.id)
    .where(
        inbox.c.consumer.in_(bindparam("consumers", expanding=True)),
        text("state NOT IN ('done', 'dead')"),
        _nobodys(inbox.c.owner),
    )
    .order_by(inbox.c.received_at, inbox.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
CLAIM_ORPHANS = (
    update(inbox)
    .where(tuple_(inbox.c.consumer, inbox.c.source, inbox.c.id).in_(_orphans))
    .values(
        owner=bindparam("p_owner"),
        # Accepted: it was being handled when its worker died, and may have been why.
        attempts=case((inbox.c.state == ACCEPTED, inbox.c.attempts + 1), else_=inbox.c.attempts),
        state=case((inbox.c.state == ACCEPTED, RETRY), else_=inbox.c.state),
        error=case((inbox.c.state == ACCEPTED, DIED), else_=inbox.c.error),
    )
    .returning(
        inbox.c.consumer, inbox.c.source, inbox.c.id, inbox.c.state, inbox.c.attempts, inbox.c.due_at,
        inbox.c.received_at, inbox.c.error, inbox.c.body,
    )
)  # fmt: skip
OWNED = (
    select(inbox.c.consumer, inbox.c.source, inbox.c.id)
    .where(text("state NOT IN ('done', 'dead')"), inbox.c.owner == bindparam("p_owner"))
    .order_by(inbox.c.received_at, inbox.c.id)
)
OWNED_ROW = select(
    inbox.c.consumer,
    inbox.c.source,
    inbox.c.id,
    inbox.c.state,
    inbox.c.attempts,
    inbox.c.due_at,
    inbox.c.error,
    inbox.c.body,
).where(_THIS, _MINE, text("state NOT IN ('done', 'dead')"))
_orphaned = (
    text("state NOT IN ('done', 'dead')"),
    inbox.c.body.is_not(None),
    or_(inbox.c.due_at.is_(None), inbox.c.due_at <= bindparam("now")),
    _nobodys(inbox.c.owner),
)
ORPHANED = select(inbox.c.consumer).where(*_orphaned).distinct()
"""Consumers with rows that nobody sees to and that are due."""
ORPHAN_OF = select(inbox.c.body).where(inbox.c.consumer == bindparam("p_consumer"), *_orphaned).limit(1)

_take_duty = insert(marks)
TAKE_DUTY = _take_duty.on_conflict_do_update(
    index_elements=[marks.c.name],
    set_={"owner": _take_duty.excluded["owner"]},
    where=or_(marks.c.owner == _take_duty.excluded["owner"], _nobodys(marks.c.owner)),
)
"""Touches no row while another living worker has the duty."""
GET_MARK = select(marks.c.value).where(marks.c.name == bindparam("p_name"))
SET_MARK = update(marks).where(marks.c.name == bindparam("p_name")).values(value=bindparam("p_value"))

STALE_EVENTS = (
    select(outbox.c.seq, *_COLUMNS)
    .where(text("NOT kernel_outbox.published"), outbox.c.seq > bindparam("after"), outbox.c.seq <= bindparam("until"))
    .order_by(outbox.c.seq)
    .limit(bindparam("most"))
)
EVENTS_UNTIL = (
    select(outbox.c.seq, outbox.c.published, *_COLUMNS)
    .where(outbox.c.seq > bindparam("after"), outbox.c.seq <= bindparam("until"))
    .order_by(outbox.c.seq)
    .limit(bindparam("most"))
)
RECORDED = select(inbox.c.consumer, inbox.c.source, inbox.c.id).where(
    tuple_(inbox.c.source, inbox.c.id).in_(bindparam("keys", expanding=True))
)
GET_EVENT = select(*_COLUMNS).where(outbox.c.source == bindparam("p_source"), outbox.c.id == bindparam("p_id"))

EVENTS_AFTER = (
    select(outbox.c.seq, *_COLUMNS)
    .where(outbox.c.seq > bindparam("after"))
    .order_by(outbox.c.seq)
    .limit(bindparam("most"))
)
LAST_SEQ = select(func.max(outbox.c.seq).label("seq"))

# --- retention: what is finished and old, a batch at a time, so that no statement holds the loop for long

_before: BindParameter[Any] = bindparam("before")
_most: BindParameter[Any] = bindparam("most")


def _oldest(table: Table, age: ColumnElement[datetime], *where: ColumnElement[bool]) -> Delete:
    """Delete at most `most` rows that are older than `before`, the oldest first."""
    key = list(table.primary_key.columns)
    batch = select(*key).where(age < _before, *where).order_by(age).limit(_most)
    return delete(table).where((tuple_(*key) if len(key) > 1 else key[0]).in_(batch))


_pending = select(outbox.c.seq).where(
    outbox.c.source == inbox.c.source, outbox.c.id == inbox.c.id, outbox.c.published.is_(False)
)
_unfinished_steps = select(inbox.c.id).where(
    inbox.c.consumer == steps.c.consumer,
    inbox.c.source == steps.c.source,
    inbox.c.id == steps.c.id,
    inbox.c.state != DONE,
)
_unfinished_event = select(inbox.c.id).where(
    inbox.c.source == outbox.c.source, inbox.c.id == outbox.c.id, inbox.c.state != DONE
)

_letter = select(dead.c.seq).where(
    dead.c.consumer == inbox.c.consumer, dead.c.source == inbox.c.source, dead.c.id == inbox.c.id
)

RETENTION = (
    _oldest(dead, dead.c.replayed_at),
    _oldest(dead, dead.c.dropped_at),
    _oldest(inbox, inbox.c.received_at, inbox.c.state == DEAD, ~_letter.exists(), ~_pending.exists()),
    _oldest(steps, steps.c.at, ~_unfinished_steps.exists()),
    _oldest(calls, calls.c.at),
    _oldest(inbox, inbox.c.received_at, inbox.c.state == DONE, ~_pending.exists()),
    _oldest(order, order.c.at),
    _oldest(fences, fences.c.at),
)
"""What the steward forgets when it is older than the retention; nothing that is unfinished, and no dead letter that waits
for somebody. The outbox comes after."""

_page = (
    select(outbox.c.seq, outbox.c.time)
    .where(outbox.c.seq > bindparam("after"))
    .order_by(outbox.c.seq)
    .limit(_most)
    .subquery()
)
OUTBOX_PAGE = select(func.max(_page.c.seq).label("last"), func.min(_page.c.time).label("oldest"))
"""The next rows of the outbox: it has no index by time, its order of insertion stands for one."""
SWEEP_OUTBOX = delete(outbox).where(
    outbox.c.seq > bindparam("after"),
    outbox.c.seq <= bindparam("last"),
    outbox.c.time < _before,
    outbox.c.published.is_(True),
    ~_unfinished_event.exists(),
)


def _rarer(event: Envelope) -> str | None:
    """The attributes that share one JSON column. Our own events have a data schema and no other: the short way."""
    if event.datacontenttype == "application/json" and event.tracestate is None and not event.extensions:
        return None if event.dataschema is None else f'{{"dataschema":{json.dumps(event.dataschema)}}}'
    rare = {
        "dataschema": event.dataschema,
        "datacontenttype": event.datacontenttype,
        "tracestate": event.tracestate,
        "extensions": dict(event.extensions),
    }
    return json.dumps({name: value for name, value in rare.items() if value})


def row_of(event: Envelope, *, published: bool) -> dict[str, Any]:
    """An outbox row."""
    return {
        "source": event.source,
        "id": event.id,
        "type": event.type,
        "time": event.time,
        "subject": event.subject,
        "partitionkey": event.partitionkey,
        "sequence": event.sequence,
        "topic": event.topic,
        "brand": event.brand,
        "channel": event.channel,
        "correlationid": event.correlationid,
        "causationid": event.causationid,
        "traceparent": event.traceparent,
        "attributes": _rarer(event),
        "data": event.data.decode(),
        "published": published,
    }


def envelope_of(row: Row) -> Envelope:
    rare: dict[str, Any] = json.loads(row["attributes"]) if row["attributes"] else {}
    return Envelope(
        id=row["id"],
        source=row["source"],
        type=row["type"],
        time=row["time"],
        data=row["data"].encode(),
        subject=row["subject"],
        partitionkey=row["partitionkey"],
        sequence=row["sequence"],
        topic=row["topic"],
        brand=row["brand"],
        channel=row["channel"],
        correlationid=row["correlationid"],
        causationid=row["causationid"],
        traceparent=row["traceparent"],
        dataschema=rare.get("dataschema"),
        datacontenttype=rare.get("datacontenttype", "application/json"),
        tracestate=rare.get("tracestate"),
        extensions=rare.get("extensions", {}),
    )


async def write_events(db: Session, events: Iterable[Envelope], heard: Callable[[Envelope], bool]) -> list[Envelope]:
    """Into the outbox; what nobody hears is published with that. Returns those that are new: an (source, id) that
    stands there stays as it is.

    Raises ValueError for data that is no UTF-8 text and for a naive time.
    """
    return [event for event in events if await db.run(INSERT_EVENT, row_of(event, published=not heard(event)))]


async def mark_published(db: Session, keys: Iterable[tuple[str, str]]) -> None:
    """Of these (source, id) the outbox rows are published. A statement a source: PostgreSQL plans a long list of pairs as
    that many conditions (500: 70 ms), a list of ids as one (10 ms)."""
    ids: dict[str, list[str]] = {}
    for source, id in keys:
        ids.setdefault(source, []).append(id)
    for source, found in sorted(ids.items()):
        await db.run(_MARK_PUBLISHED, {"p_source": source, "ids": sorted(found)})


def timer_row(event: Envelope, at: datetime) -> dict[str, Any]:
    return {"source": event.source, "id": event.id, "due_at": at, "body": cloudevents.to_structured(event).decode()}


async def write_timers(db: Session, due: Sequence[tuple[Envelope, datetime]]) -> None:
    if due:
        await db.many(INSERT_TIMER, [timer_row(event, at) for event, at in due])


async def write_dead(
    db: Session,
    consumer: str,
    event: Envelope,
    *,
    reason: str,
    attempts: int,
    error: str,
    at: datetime,
    auto: bool = False,
) -> None:
    await db.run(
        INSERT_DEAD,
        {
            "consumer": consumer,
            "source": event.source,
            "id": event.id,
            "type": event.type,
            "reason": reason,
            "attempts": attempts,
            "error": error,
            "body": cloudevents.to_structured(event).decode(),
            "at": at,
            "auto": auto,
        },
    )


__all__ = [
    "ACCEPTED",
    "DEAD",
    "DONE",
    "PARKED",
    "RETRY",
    "envelope_of",
    "row_of",
    "timer_row",
    "write_dead",
    "write_events",
    "write_timers",
]
