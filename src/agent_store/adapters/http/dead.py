"""Dead letters over HTTP, for staff: what could not be handled, why, and what is to become of it."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Annotated, Any, cast

import structlog
from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field

from agent_store.adapters.http.auth import StaffAuth
from agent_store.kernel.context import Row
from agent_store.kernel.dead import MOST, Bulk, Filter, State, drop_all, replay_all
from agent_store.kernel.runtime import Runtime

_log = structlog.get_logger("agent_store.dead")

Seq = Annotated[int, Path(ge=1, le=2**63 - 1, description="the dead letter's number")]

_TELLS_NOTHING_OF_PEOPLE = re.compile(
    r"(?:.*_)?(?:id|ids|sku|skus|state|status|kind|type|code|brand|channel|currency|language|priority|intent|topic"
    r"|method|at|until|version|sequence|turn|number)"
)
_NEVERTHELESS_PERSONAL = frozenset({"wa_id", "user_id", "phone_number", "document_number", "address_number"})
_PHONE_LIKE = re.compile(r"(?<![\w-])\+?\d[\d ().-]{7,}\d(?![\w-])")


class DeadLetter(BaseModel):
    """`reason`: permanent, exhausted, timeout, crash, undelivered, unreadable. `auto`: it never reached its consumer, and
    is replayed by itself once that can be reached. `by`: who has replayed or dropped it. `attempts` were counted by us."""

    seq: int
    at: datetime
    consumer: str
    type: str
    source: str
    id: str
    reason: str
    attempts: int
    error: str
    auto: bool
    state: str
    replayed_at: datetime | None
    dropped_at: datetime | None
    by: str | None

    @classmethod
    def of(cls, row: Row) -> DeadLetter:
        return cls(**_fields(row))


class DeadLetterInFull(DeadLetter):
    """`body` is the CloudEvent; texts, names, phone numbers and addresses in it are masked unless they were asked for."""

    body: Any
    masked: bool

    @classmethod
    def of_row(cls, row: Row, *, reveal: bool) -> DeadLetterInFull:
        return cls(**_fields(row), body=_body(row["body"], reveal=reveal), masked=not reveal)


class Which(BaseModel):
    """Of those that wait. `type` ending in `*` means all types that begin so."""

    consumer: str | None = Field(default=None, max_length=200)
    type: str | None = Field(default=None, max_length=200)
    reason: str | None = Field(default=None, max_length=40)
    limit: int = Field(default=MOST, ge=1, le=MOST)

    def filter(self) -> Filter:
        return Filter(self.consumer, self.type, self.reason)


class BulkResult(BaseModel):
    """`done`: numbers. `failed`: number to sentence. `left`: so many more match and were not looked at."""

    done: list[int]
    failed: dict[int, str]
    left: int

    @classmethod
    def of(cls, bulk: Bulk) -> BulkResult:
        return cls(done=bulk.done, failed=bulk.failed, left=bulk.left)


def dead_api(runtime: Runtime, auth: StaffAuth, *, prefix: str = "/api/dead") -> APIRouter:
    api = APIRouter(prefix=prefix, tags=["dead letters"], dependencies=[Depends(auth)])

    def who(request: Request) -> str:
        return auth.principal(request).staff or "staff"

    @api.get("")
    async def listing(
        consumer: Annotated[str | None, Query(max_length=200)] = None,
        type: Annotated[str | None, Query(max_length=200, description="`store.order.*` takes a family")] = None,
        reason: Annotated[str | None, Query(max_length=40)] = None,
        state: State = "any",
        before: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="a number: older ones")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> list[DeadLetter]:
        """Newest first, without bodies."""
        which = Filter(consumer, type, reason, state)
        return [DeadLetter.of(row) for row in await which.find(runtime.store.reader, limit=limit, before=before)]

    @api.get("/{seq}")
    async def show(
        seq: Seq,
        request: Request,
        reveal: Annotated[bool, Query(description="with personal data; who asks is written into the log")] = False,
    ) -> DeadLetterInFull:
        row = await runtime.dead_letter(seq)
        if reveal:
            _log.info("dead.revealed", seq=seq, by=who(request))
        return DeadLetterInFull.of_row(row, reveal=reveal)

    @api.post("/replay")
    async def replay_many(which: Which, request: Request) -> BulkResult:
        """Replay all that wait and match, oldest first."""
        return BulkResult.of(await replay_all(runtime, which.filter(), by=who(request), limit=which.limit))

    @api.post("/drop")
    async def drop_many(which: Which, request: Request) -> BulkResult:
        """Give up all that wait and match; a consumer, a type or a reason must be named."""
        return BulkResult.of(await drop_all(runtime, which.filter(), by=who(request), limit=which.limit))

    @api.post("/{seq}/replay", status_code=202)
    async def replay(seq: Seq, request: Request) -> dict[str, int]:
        """Try it again, for the consumer that failed and no other; the steps that succeeded are not done again."""
        await runtime.replay(seq, by=who(request))
        return {"replayed": seq}

    @api.post("/{seq}/drop")
    @api.delete("/{seq}")
    async def drop(seq: Seq, request: Request) -> dict[str, int]:
        """Give it up: it stays on record until its retention ends, and is waited for no longer."""
        await runtime.drop(seq, by=who(request))
        return {"dropped": seq}

    return api


def _fields(row: Row) -> dict[str, Any]:
    fields = {name: value for name, value in row.items() if name != "body"}
    replayed, dropped = row["replayed_at"], row["dropped_at"]
    state = "replayed" if replayed is not None else "dropped" if dropped is not None else "waiting"
    return {**fields, "error": _PHONE_LIKE.sub("…", row["error"]), "state": state}


def _body(text: str, *, reveal: bool) -> Any:
    """The CloudEvent as JSON; what is no JSON as text, or its length."""
    try:
        value: Any = json.loads(text)
    except ValueError:
        return text if reveal else _mask(text)
    if reveal:
        return value
    if not isinstance(value, dict):
        return masked(value)
    event = cast("dict[str, Any]", value)
    if "specversion" not in event:
        return masked(event)
    # The attributes of an event are ids and names of ours, but where they repeat what its data says of people.
    hidden: set[str] = set()
    data = masked(event.get("data"), hidden=hidden)
    shown: dict[str, Any] = {}
    for name, part in event.items():
        if name == "data":
            shown[name] = data
        else:
            shown[name] = _mask(part) if name == "data_base64" or str(part) in hidden else part
    return shown


def masked(value: Any, name: str = "", *, hidden: set[str] | None = None) -> Any:
    """Every text is replaced by its length, but those under names that say nothing of people: ids of ours, states, kinds,
    codes, times. Numbers and truths stay. What has been replaced is added to `hidden`."""
    if isinstance(value, dict):
        return {key: masked(part, key, hidden=hidden) for key, part in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [masked(part, name, hidden=hidden) for part in cast("list[Any]", value)]
    if isinstance(value, str) and value:
        if name not in _NEVERTHELESS_PERSONAL and _TELLS_NOTHING_OF_PEOPLE.fullmatch(name):
            return value
        if hidden is not None:
            hidden.add(value)
        return _mask(value)
    return value


def _mask(text: object) -> str:
    return f"‹{len(str(text))} characters›"
