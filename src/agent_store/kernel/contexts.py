"""The forms of `Context`: inside a transaction, in a process of steps, in a read tool."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import structlog
from pydantic import BaseModel, TypeAdapter

from agent_store.kernel import errors, journal
from agent_store.kernel.clock import Clock
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.context import Context, Repository, Session
from agent_store.kernel.errors import KeyReused, PermanentError, StaleSpeaker, StoreError, TemporaryError
from agent_store.kernel.event import Envelope, Event, wrap
from agent_store.kernel.ids import new_id
from agent_store.kernel.store import Store, Unit
from agent_store.kernel.tool import Principal, Tool
from agent_store.kernel.tracing import OFF, Tracing, current, stepping, within

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from agent_store.kernel.toolbox import Toolbox

R = TypeVar("R")
T = TypeVar("T")
Repo = TypeVar("Repo", bound=Repository)

_NOBODY = Principal()
_log: FilteringBoundLogger = structlog.get_logger("agent_store")


def new_trace() -> str:
    """The W3C `traceparent` of the span that this task is in; outside of any, one that begins a trace."""
    return current() or f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"


def child_trace(traceparent: str | None) -> str:
    """The same trace with a span of its own."""
    if traceparent is None or len(traceparent) != 55:
        return new_trace()
    return f"{traceparent[:36]}{os.urandom(8).hex()}{traceparent[52:]}"


class World:
    """What all contexts of a process share: clock, store, toolbox, tracing, ports and settings by type."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        toolbox: Toolbox,
        ports: Mapping[type[Any], object],
        tracing: Tracing = OFF,
    ) -> None:
        self.store = store
        self.tracing = tracing
        self.clock = clock
        self.toolbox = toolbox
        self.ports: dict[type[Any], object] = dict(ports)


class BaseContext(Context):
    """What every form can do."""

    def __init__(self, world: World, consumer: Consumer, event: Envelope, principal: Principal, key: str) -> None:
        self._world = world
        self._consumer = consumer
        self._event = event
        self._principal = principal
        self._key = key

    @property
    def event(self) -> Envelope:
        return self._event

    @property
    def principal(self) -> Principal:
        return self._principal

    @property
    def key(self) -> str:
        return self._key

    @property
    def log(self) -> FilteringBoundLogger:
        trace = self._event.traceparent
        log = _log.bind(
            consumer=self._consumer.name,
            event_type=self._event.type,
            event_id=self._event.id,
            trace_id=trace[3:35] if trace else None,
        )
        return log.bind(span_id=trace[36:52]) if trace and self._world.tracing.on else log

    @property
    def db(self) -> Session:
        return self._world.store.reader_of(self._consumer.agent.name)

    def now(self) -> datetime:
        return self._world.clock.now()

    def get(self, repository: type[Repo]) -> Repo:
        return repository(self.db)

    def use(self, port: type[T]) -> T:
        try:
            return self._world.ports[port]  # type: ignore[return-value]  # the registry is keyed by the type
        except KeyError:
            raise LookupError(f"{self._consumer.name} needs a {port.__name__}: the entrypoint gave none") from None

    def new_id(self) -> str:
        return new_id()

    def acting_for(self, principal: Principal) -> None:
        self._principal = principal

    def _wrap(self, event: Event, brand: str | None, channel: str | None, id: str | None) -> Envelope:
        cause = self._event
        return wrap(
            event,
            id=id or new_id(),
            source=self._consumer.source,
            time=self._world.clock.now(),
            brand=brand or cause.brand or self._principal.brand,
            channel=channel or cause.channel or self._principal.channel,
            correlationid=cause.correlationid or cause.id,
            causationid=cause.id,
            # Traced, the cause's is that of the span of this handling: what it emits is the span's child.
            traceparent=cause.traceparent if self._world.tracing.on else child_trace(cause.traceparent),
            tracestate=cause.tracestate,
        )

    def _not_here(self, what: str) -> NoReturn:
        raise RuntimeError(f"{what} is not possible here: see the docstring of kernel.context.Context")

    def emit(
        self,
        event: Event,
        *,
        at: datetime | None = None,
        brand: str | None = None,
        channel: str | None = None,
        id: str | None = None,
    ) -> str:
        self._not_here("emit")

    def at_end(self, change: Callable[[Context], Awaitable[None]]) -> None:
        self._not_here("at_end")

    async def step(
        self, name: str, call: Callable[[], Awaitable[Any]], result: Any = None, *, pure: bool = False
    ) -> Any:
        self._not_here("step")

    async def call(
        self, tool: Tool[R], *, key: str | None = None, once: str | None = None, principal: Principal | None = None
    ) -> R:
        self._not_here("call")

    async def write(self, name: str, change: Callable[[Context], Awaitable[R]], result: type[R] | None = None) -> R:
        self._not_here("write")

    async def fence(self, conversation_id: str, token: int | None) -> None:
        self._not_here("fence")


class TransactionContext(BaseContext):
    """A transaction is open: `@on`, `@every`, write tools, the inside of `ctx.write`."""

    def __init__(
        self, world: World, consumer: Consumer, event: Envelope, principal: Principal, key: str, unit: Unit
    ) -> None:
        super().__init__(world, consumer, event, principal, key)
        self._unit = unit

    @property
    def db(self) -> Session:
        return self._unit.db

    def emit(
        self,
        event: Event,
        *,
        at: datetime | None = None,
        brand: str | None = None,
        channel: str | None = None,
        id: str | None = None,
    ) -> str:
        envelope = self._wrap(event, brand, channel, id)
        if at is None:
            self._unit.events.append(envelope)
        else:
            self._unit.timers.append((envelope, at))
        return envelope.id

    async def fence(self, conversation_id: str, token: int | None) -> None:
        if token is None:
            return
        agent = self._consumer.agent.name
        row = await self.db.first(journal.GET_FENCE, {"p_agent": agent, "p_conversation": conversation_id})
        if row is not None and token < row["token"]:
            raise StaleSpeaker(
                "somebody else speaks for this conversation now: this turn's time is over",
                token=token,
                seen=row["token"],
            )
        if row is None or token > row["token"]:
            await self.db.run(
                journal.SET_FENCE,
                {"agent": agent, "conversation_id": conversation_id, "token": token, "at": self.now()},
            )


class ReadContext(BaseContext):
    """A read tool: committed state, other read tools, nothing that changes."""

    async def call(
        self, tool: Tool[R], *, key: str | None = None, once: str | None = None, principal: Principal | None = None
    ) -> R:
        if tool.writes:
            self._not_here(f"the writing tool {tool.tool_name}")
        return await self._world.toolbox.call(tool, principal or self._principal, cause=self._event)


def digest_of(tool: Tool[Any]) -> str:
    """What two calls must share to be the same call."""
    return hashlib.blake2b(tool.__pydantic_serializer__.to_json(tool), digest_size=16).hexdigest()


_ANY = TypeAdapter[Any](Any)
_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind is None:
        return _ANY
    adapter = _adapters.get(kind)
    if adapter is None:
        adapter = _adapters[kind] = TypeAdapter(kind)
    return adapter


def dump_error(error: StoreError) -> str:
    return json.dumps(
        {
            "class": type(error).__name__,
            "temporary": isinstance(error, TemporaryError),
            "message": error.message,
            "code": error.code,
            "details": error.details,
            "retry_after": error.retry_after.total_seconds()
            if isinstance(error, TemporaryError) and error.retry_after is not None
            else None,
        },
        default=lambda value: value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value),
    )


def load_error(text: str) -> StoreError:
    """The error as it was journaled: its class when it is one of the kernel's, else permanent or temporary."""
    value = json.loads(text)
    kind = getattr(errors, value["class"], None)
    if not (isinstance(kind, type) and issubclass(kind, StoreError)):
        kind = TemporaryError if value["temporary"] else PermanentError
    error = kind(value["message"], code=value["code"], **value["details"])
    if isinstance(error, TemporaryError) and value["retry_after"] is not None:
        error.retry_after = timedelta(seconds=value["retry_after"])
    return error


class ProcessContext(BaseContext):
    """A chain of journaled steps: a `@process` handler or a steps tool. No transaction is open between them."""

    def __init__(
        self,
        world: World,
        consumer: Consumer,
        event: Envelope,
        principal: Principal,
        key: str,
        *,
        journal_id: tuple[str, str],
        known: Mapping[str, tuple[str, str, str]],
        journal_reads: bool = True,
        guard: Callable[[Unit], Awaitable[None]] | None = None,
    ) -> None:
        """`guard` is called in every transaction before a step is written in it; what it raises forbids that."""
        super().__init__(world, consumer, event, principal, key)
        self._source, self._id = journal_id
        self._known = dict(known)
        self._names: set[str] = set()
        self._calls = 0
        self._journal_reads = journal_reads
        self._guard = guard
        self._unsaved: list[dict[str, Any]] = []
        """Journal rows that wait for the next commit of this process: nothing has come of them yet."""
        self._ends: list[Callable[[Context], Awaitable[None]]] = []
        self.pending: list[tuple[Envelope, datetime | None]] = []
        self.failed = any(kind == "failed" for kind, _, _ in known.values())
        """Whether its journal holds a failure that may pass."""

    def emit(
        self,
        event: Event,
        *,
        at: datetime | None = None,
        brand: str | None = None,
        channel: str | None = None,
        id: str | None = None,
    ) -> str:
        envelope = self._wrap(event, brand, channel, id)
        self.pending.append((envelope, at))
        return envelope.id

    def at_end(self, change: Callable[[Context], Awaitable[None]]) -> None:
        self._ends.append(change)

    async def end(self, unit: Unit) -> None:
        """What the transaction that ends the process takes: waiting journal rows, `at_end` changes, emitted events."""
        await self._save(unit)
        if self._ends:
            inside = TransactionContext(self._world, self._consumer, self._event, self._principal, self._key, unit)
            for change in self._ends:
                await change(inside)
        for envelope, at in self.pending:
            if at is None:
                unit.events.append(envelope)
            else:
                unit.timers.append((envelope, at))

    def _claim(self, name: str) -> None:
        if name in self._names:
            raise RuntimeError(f"step {name!r} stands twice in one process: names are unique")
        self._names.add(name)

    def _recall(self, name: str, adapter: TypeAdapter[Any], digest: str = "") -> tuple[bool, Any]:
        known = self._known.get(name)
        if known is None:
            return False, None
        kind, seen, result = known
        if digest and seen and digest != seen:
            raise KeyReused(f"{name} was called with other arguments before: a process must be deterministic")
        if kind in ("error", "failed"):
            raise load_error(result)
        return True, adapter.validate_json(result)

    def _row(self, name: str, kind: str, digest: str, result: str, started: float) -> dict[str, Any]:
        return {
            "consumer": self._consumer.name,
            "source": self._source,
            "id": self._id,
            "name": name,
            "kind": kind,
            "digest": digest,
            "result": result,
            "at": self.now(),
            "microseconds": int((time.perf_counter() - started) * 1e6),
        }

    async def _save(self, unit: Unit) -> None:
        if self._unsaved:
            if self._guard is not None:
                await self._guard(unit)
            await unit.db.many(journal.INSERT_STEP, self._unsaved)

    async def _note(self, row: dict[str, Any] | None = None) -> None:
        """Commit a journal row, and those that wait."""
        if row is not None:
            self._unsaved.append(row)
        if self._unsaved:
            await self._world.store.run(self._save, agent=self._consumer.agent.name)
            self._unsaved = []

    async def step(
        self, name: str, call: Callable[[], Awaitable[Any]], result: Any = None, *, pure: bool = False
    ) -> Any:
        self._claim(name)
        adapter = _adapter(result)
        found, value = self._recall(name, adapter)
        if found:
            return value
        started = time.perf_counter()
        try:
            with stepping(self._world.tracing, name, "step"):
                value = await call()
        except PermanentError as error:
            await self._note(self._row(name, "error", "", dump_error(error), started))
            raise
        text = adapter.dump_json(value).decode()
        row = self._row(name, "step", "", text, started)
        if pure:
            self._unsaved.append(row)
        else:
            await self._note(row)
        return adapter.validate_json(text)  # what a resumed process would read, so that the two never differ

    async def call(
        self, tool: Tool[R], *, key: str | None = None, once: str | None = None, principal: Principal | None = None
    ) -> R:
        whom = principal or self._principal
        if not self._journal_reads and not tool.writes:
            return await self._world.toolbox.call(tool, whom, cause=self._event)
        self._calls += 1
        name = f"call:{key}" if key else f"call:{self._calls}:{tool.tool_name}"
        self._claim(name)
        digest = digest_of(tool)
        found, value = self._recall(name, type(tool).result_adapter, digest)
        if found:
            return value
        if tool.writes:
            await self._note()  # what led to a change is journaled before it
        started = time.perf_counter()
        try:
            effect = f"{self._key}#{name}" if once is None else f"{self._consumer.name}:{once}#{digest}"
            result = await self._world.toolbox.call(tool, whom, key=effect, cause=self._event)
        except StoreError as error:
            kind = "error"
            if isinstance(error, TemporaryError):
                kind, self.failed = "failed", True
            row = self._row(name, kind, digest, dump_error(error), started)
            if tool.writes:
                await self._note(row)
            else:
                self._unsaved.append(row)
            raise
        # The result of a read has changed nothing, that of a change is kept by its own agent under the key.
        text = type(tool).result_adapter.dump_json(result).decode()
        self._unsaved.append(self._row(name, "call", digest, text, started))
        return result

    async def write(self, name: str, change: Callable[[Context], Awaitable[R]], result: type[R] | None = None) -> R:
        self._claim(name)
        adapter = _adapter(result)
        found, value = self._recall(name, adapter)
        if found:
            return value
        started = time.perf_counter()

        async def change_and_note(unit: Unit) -> R:
            event = within(self._event, span)
            inside = TransactionContext(self._world, self._consumer, event, self._principal, self._key, unit)
            if self._guard is not None:
                await self._guard(unit)
            text = adapter.dump_json(await change(inside)).decode()
            await unit.db.many(journal.INSERT_STEP, [*self._unsaved, self._row(name, "write", "", text, started)])
            return adapter.validate_json(text)

        with stepping(self._world.tracing, name, "write") as span:
            value = await self._world.store.run(change_and_note, agent=self._consumer.agent.name)
        self._unsaved = []
        return value


def nobody() -> Principal:
    return _NOBODY
