"""`Context`: everything that a handler may do, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, overload

from agent_store.kernel.event import Envelope, Event
from agent_store.kernel.tool import Principal, Tool

if TYPE_CHECKING:
    from sqlalchemy.sql.base import Executable
    from structlog.typing import FilteringBoundLogger

R = TypeVar("R")
T = TypeVar("T")

Row = Mapping[str, Any]
"""A result row by column label."""

DatabaseKind = Literal["sqlite", "postgresql"]


class Session(Protocol):
    """Runs SQLAlchemy Core statements. Keep them at module level with `bindparam`: each is compiled once.

    On SQLite a call takes microseconds and never yields to the loop.
    """

    @property
    def kind(self) -> DatabaseKind:
        """For the rare statement that has a form for each database (text search)."""
        ...

    async def all(self, statement: Executable, params: Mapping[str, Any] | None = None) -> list[Row]: ...

    async def first(self, statement: Executable, params: Mapping[str, Any] | None = None) -> Row | None: ...

    async def run(self, statement: Executable, params: Mapping[str, Any] | None = None) -> int:
        """For INSERT, UPDATE, DELETE: the number of rows it touched."""
        ...

    async def many(self, statement: Executable, params: Sequence[Mapping[str, Any]]) -> None: ...


class Repository:
    """Base of an agent's repositories: `ctx.get(Orders)` gives one bound to the handler's session."""

    def __init__(self, db: Session) -> None:
        self.db = db


Repo = TypeVar("Repo", bound=Repository)


class Context(Protocol):
    """One handling's view of the world.

    In an `@on` handler, a write tool, an `@every` handler and inside `write`: a transaction is open, `get`/`db`/`emit`
    work, and `step`, `call` and `write` raise. In a `@process` handler and a steps tool: no transaction is open;
    `get`/`db` read committed state, `emit` is sent with the end of the handling, all writes go through `write`.
    """

    @property
    def event(self) -> Envelope:
        """The envelope being handled; in a tool call a synthetic one that carries correlation and trace."""
        ...

    @property
    def principal(self) -> Principal:
        """Who a tool is called for. In an event handler: what `acting_for` set, else empty."""
        ...

    @property
    def db(self) -> Session: ...

    @property
    def log(self) -> FilteringBoundLogger: ...

    @property
    def key(self) -> str:
        """Deterministic id of this handling: (consumer, source, event id) or the tool call's idempotency key."""
        ...

    def now(self) -> datetime: ...

    def get(self, repository: type[Repo]) -> Repo: ...

    def use(self, port: type[T]) -> T:
        """What the entrypoint put in for a port or a settings class. Raises LookupError that names it when absent."""
        ...

    def new_id(self) -> str: ...

    def emit(
        self,
        event: Event,
        *,
        at: datetime | None = None,
        brand: str | None = None,
        channel: str | None = None,
        id: str | None = None,
    ) -> str:
        """Send with this handling's commit; `at` makes it a durable timer. Returns the event's id.

        brand, channel, correlation and cause are taken over from the event being handled. A given `id` makes it
        idempotent: an (source, id) that has been emitted before is not emitted again.
        """
        ...

    def acting_for(self, principal: Principal) -> None:
        """In a `@process`: calls from now on are on behalf of this principal."""
        ...

    @overload
    async def step(self, name: str, call: Callable[[], Awaitable[R]], result: type[R], *, pure: bool = False) -> R: ...
    @overload
    async def step(
        self, name: str, call: Callable[[], Awaitable[Any]], result: None = None, *, pure: bool = False
    ) -> Any: ...
    async def step(
        self, name: str, call: Callable[[], Awaitable[Any]], result: Any = None, *, pure: bool = False
    ) -> Any:
        """Run `call` once and journal its JSON-able result before it is used; a resumed process gets that result.

        Names are unique in a process. `result` is the type to read the journal back with. `pure`: `call` has no effect
        and costs next to nothing, so it may run again after a crash: its result is journaled with the process's next
        commit, which always comes before anything is changed by it.
        """
        ...

    async def call(
        self, tool: Tool[R], *, key: str | None = None, once: str | None = None, principal: Principal | None = None
    ) -> R:
        """Call a tool. In a `@process` the result is journaled under `key` (default: tool name and a counter): of a
        tool that changes something before the call and through its key, of a read with the process's next commit.

        `once` names the effect of a tool that changes something: calls of this consumer with the same `once` and the
        same arguments change it once, also when they come from different events (a turn that is granted anew).

        Raises what the tool raised: NotFound, Conflict, TemporaryError …
        """
        ...

    async def write(self, name: str, change: Callable[[Context], Awaitable[R]], result: type[R] | None = None) -> R:
        """A step that is a transaction: `change(tx)` runs once, its result is journaled in the same commit."""
        ...

    def at_end(self, change: Callable[[Context], Awaitable[None]]) -> None:
        """In a `@process`: run `change(tx)` in the commit that ends it. When it raises, the whole end is undone and the
        process is retried (or dead) as if the handler had raised."""
        ...

    async def fence(self, conversation_id: str, token: int | None) -> None:
        """Refuse a speaker whose time is over: raises StaleSpeaker when `token` is below the highest seen here.

        Does nothing for None (staff and page calls carry no token). Needs an open transaction.
        """
        ...
