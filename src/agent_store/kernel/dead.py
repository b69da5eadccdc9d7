"""Dead letters as people see to them: found by consumer, type, reason and state, replayed or dropped one or many at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from sqlalchemy import Select, bindparam, func, select, text

from agent_store.kernel.context import Row, Session
from agent_store.kernel.errors import InvalidInput, StoreError, TemporaryError
from agent_store.kernel.runtime import Runtime
from agent_store.kernel.tables import dead

State = Literal["waiting", "replayed", "dropped", "any"]
MOST = 1000
"""Dead letters that one bulk replay or drop sees to at most; what is left is told."""

_LISTED = tuple(column for column in dead.c if column.name != "body")
_STATES = {
    # As its partial index says it, or SQLite would not use that.
    "waiting": text("kernel_dead.replayed_at IS NULL AND kernel_dead.dropped_at IS NULL"),
    "replayed": dead.c.replayed_at.is_not(None),
    "dropped": dead.c.dropped_at.is_not(None),
}


@dataclass(frozen=True, slots=True)
class Filter:
    """What is None is not asked for. `type` ending in `*` means all types that begin so."""

    consumer: str | None = None
    type: str | None = None
    reason: str | None = None
    state: State = "waiting"

    @property
    def narrow(self) -> bool:
        return any(value is not None for value in (self.consumer, self.type, self.reason))

    def _params(self) -> dict[str, Any]:
        values = {"p_consumer": self.consumer, "p_reason": self.reason}
        if self.type is not None:
            values["p_prefix" if self.type.endswith("*") else "p_type"] = self.type.removesuffix("*")
        return {name: value for name, value in values.items() if value is not None}

    async def find(
        self, reader: Session, *, limit: int, before: int | None = None, after: int | None = None
    ) -> list[Row]:
        """Newest first, those before the number `before`; or, given `after`, oldest first, those after it. No bodies."""
        params = self._params()
        asked = frozenset(params)
        if after is not None:
            return await reader.all(_oldest(self.state, asked), {**params, "after": after, "most": limit})
        return await reader.all(_newest(self.state, asked), {**params, "before": before or 2**63 - 1, "most": limit})

    async def count(self, reader: Session) -> int:
        params = self._params()
        row = await reader.first(_count(self.state, frozenset(params)), params)
        return row["found"] if row is not None else 0


def _matching(statement: Select[Any], state: State, asked: frozenset[str]) -> Select[Any]:
    if state != "any":
        statement = statement.where(_STATES[state])
    if "p_consumer" in asked:
        statement = statement.where(dead.c.consumer == bindparam("p_consumer"))
    if "p_reason" in asked:
        statement = statement.where(dead.c.reason == bindparam("p_reason"))
    if "p_type" in asked:
        statement = statement.where(dead.c.type == bindparam("p_type"))
    if "p_prefix" in asked:
        prefix = bindparam("p_prefix", type_=dead.c.type.type)
        statement = statement.where(func.substr(dead.c.type, 1, func.length(prefix)) == prefix)
    return statement


# A statement is compiled once an object: so each form of it is made once.


@cache
def _newest(state: State, asked: frozenset[str]) -> Select[Any]:
    statement = _matching(select(*_LISTED).where(dead.c.seq < bindparam("before")), state, asked)
    return statement.order_by(dead.c.seq.desc()).limit(bindparam("most"))


@cache
def _oldest(state: State, asked: frozenset[str]) -> Select[Any]:
    statement = _matching(select(*_LISTED).where(dead.c.seq > bindparam("after")), state, asked)
    return statement.order_by(dead.c.seq).limit(bindparam("most"))


@cache
def _count(state: State, asked: frozenset[str]) -> Select[Any]:
    return _matching(select(func.count().label("found")).select_from(dead), state, asked)


@dataclass(slots=True)
class Bulk:
    """What came of many: the numbers that are done, why others are not, and how many were not looked at."""

    done: list[int] = field(default_factory=list[int])
    failed: dict[int, str] = field(default_factory=dict[int, str])
    left: int = 0


async def replay_all(runtime: Runtime, which: Filter, *, by: str, limit: int = MOST) -> Bulk:
    """Replay those that wait and match, oldest first, so that a partition's come in their order. A consumer that cannot be
    reached once is not asked again in this round."""
    unreachable: dict[str, str] = {}

    async def replay(row: Row) -> None:
        said = unreachable.get(row["consumer"])
        if said is not None:
            raise TemporaryError(said, code="unreachable")
        try:
            await runtime.replay(row["seq"], by=by)
        except TemporaryError as error:
            unreachable[row["consumer"]] = error.message
            raise

    return await _each(runtime, which, replay, limit)


async def drop_all(runtime: Runtime, which: Filter, *, by: str, limit: int = MOST) -> Bulk:
    """Drop those that wait and match. Raises InvalidInput for a filter that is none: everything is dropped one by one or
    by what it is, not by accident."""
    if not which.narrow:
        raise InvalidInput("say which: a consumer, a type or a reason", field="consumer")

    async def drop(row: Row) -> None:
        await runtime.drop(row["seq"], by=by)

    return await _each(runtime, which, drop, limit)


async def _each(runtime: Runtime, which: Filter, act: Callable[[Row], Awaitable[None]], limit: int) -> Bulk:
    which = Filter(which.consumer, which.type, which.reason)
    reader = runtime.store.reader
    found = await which.count(reader)
    result = Bulk()
    for row in await which.find(reader, limit=min(limit, MOST), after=0):
        try:
            await act(row)
        except StoreError as error:
            result.failed[row["seq"]] = error.message
        else:
            result.done.append(row["seq"])
    result.left = max(0, found - len(result.done) - len(result.failed))
    return result
