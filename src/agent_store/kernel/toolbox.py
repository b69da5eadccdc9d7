"""Calls tools of agents in this process: validation, mode, idempotency, errors. A remote toolbox has the same face."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from agent_store.kernel import contexts, journal, schemas
from agent_store.kernel.added import AddedTool, ToolContract, fits
from agent_store.kernel.agent import ToolBinding
from agent_store.kernel.consumer import Consumer
from agent_store.kernel.errors import Forbidden, InvalidInput, KeyReused, NotFound, StoreError, TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.ids import new_id
from agent_store.kernel.metrics import Metrics
from agent_store.kernel.store import Unit
from agent_store.kernel.tool import Principal, Tool
from agent_store.kernel.tool import registry as contracts
from agent_store.kernel.tracing import serving, within

R = TypeVar("R")


class Toolbox(Protocol):
    async def call(
        self, tool: Tool[R], principal: Principal, *, key: str | None = None, cause: Envelope | None = None
    ) -> R:
        """Call a tool on behalf of `principal`. `key` makes a writing call idempotent: the same key and arguments
        give the first result, other arguments raise KeyReused."""
        ...


def parse_call(name: str, arguments: Mapping[str, Any]) -> Tool[Any]:
    """A tool call from JSON. Raises NotFound for an unknown name, InvalidInput that names the field."""
    contract = contracts.get(name)
    if contract is None:
        raise NotFound(f"there is no tool {name!r}", tool=name)
    try:
        return contract.model_validate(arguments)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "arguments"
        raise InvalidInput(f"{name}: {where}: {first['msg']}", field=where) from error


@dataclass(slots=True)
class _Turn:
    """Calls of one steps tool with one key: one after the other."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    callers: int = 0


class LocalToolbox:
    """The tools of the agents in this process."""

    def __init__(self, metrics: Metrics) -> None:
        self._consumers: list[Consumer] = []
        self._bindings: dict[str, tuple[Consumer, ToolBinding]] = {}
        self._running: dict[tuple[str, str], _Turn] = {}
        self._world: contexts.World | None = None
        self._metrics = metrics

    def bind(self, world: contexts.World) -> None:
        self._world = world

    def add(self, consumer: Consumer) -> None:
        """Of several instances of one agent, the latest serves its tools."""
        self._consumers.append(consumer)
        for name, binding in consumer.agent.tools.items():
            self._bindings[name] = (consumer, binding)

    def remove(self, name: str) -> None:
        """Its tools go, unless another instance of its agent is here."""
        left = [consumer for consumer in self._consumers if consumer.name != name]
        self._consumers, self._bindings = [], {}
        for consumer in left:
            self.add(consumer)

    @property
    def names(self) -> list[str]:
        return sorted(self._bindings)

    def offers(self, name: str) -> bool:
        """Whether an agent of this process has this tool."""
        return name in self._bindings

    async def contracts(self, patterns: Sequence[str]) -> tuple[ToolContract, ...]:
        """See `kernel.added.ToolContracts`."""
        return tuple(_document(self._bindings[name][1].contract) for name in self.names if fits(name, patterns))

    async def call(
        self, tool: Tool[R], principal: Principal, *, key: str | None = None, cause: Envelope | None = None
    ) -> R:
        if isinstance(tool, AddedTool) and tool.tool_name in self._bindings:
            own = parse_call(tool.tool_name, tool.arguments)
            result: Any = await self.call(own, principal, key=key, cause=cause)
            return type(own).result_adapter.dump_python(result, mode="json")
        found = self._bindings.get(tool.tool_name)
        if found is None or self._world is None:
            raise NotFound(f"no running agent offers {tool.tool_name}", tool=tool.tool_name)
        if tool.staff_only and principal.staff is None:
            raise Forbidden(f"{tool.tool_name} is for staff")
        consumer, binding = found
        world, started = self._world, time.perf_counter()
        outcome = "ok"
        above = cause.traceparent if cause is not None else None
        try:
            with serving(world.tracing, tool.tool_name, consumer.name, binding.mode, parent=above) as span:
                event = within(cause or _synthetic(tool, principal, world.clock.now()), span)
                return await self._run(world, consumer, binding, tool, principal, key, event)
        except TimeoutError as error:
            outcome = "timeout"
            seconds = binding.timeout.total_seconds()
            raise TemporaryError(f"{tool.tool_name} took over {seconds:g} s", code="timeout") from error
        except StoreError as error:
            outcome = error.code
            raise
        finally:
            self._metrics.tool_called(tool.tool_name, outcome, time.perf_counter() - started)

    async def _run(
        self,
        world: contexts.World,
        consumer: Consumer,
        binding: ToolBinding,
        tool: Tool[Any],
        principal: Principal,
        key: str | None,
        event: Envelope,
    ) -> Any:
        timeout = binding.timeout.total_seconds()
        if binding.mode == "read":
            context = contexts.ReadContext(world, consumer, event, principal, key or "")
            async with asyncio.timeout(timeout):
                return await binding.handler(tool, context)
        if key is not None:  # one customer's key never gives another customer's result
            key = f"{principal.customer_id or principal.staff or ''}:{key}"
        call_key = key or new_id()
        digest = contexts.digest_of(tool)
        if binding.mode == "write":

            async def transact(unit: Unit) -> Any:
                if key is not None:
                    seen = await unit.db.first(journal.GET_CALL, {"p_tool": tool.tool_name, "p_key": key})
                    if seen is not None:
                        return _first_result(tool, seen["digest"], seen["result"], digest)
                context = contexts.TransactionContext(world, consumer, event, principal, call_key, unit)
                result = await binding.handler(tool, context)
                await unit.db.run(journal.INSERT_CALL, _call_row(tool, call_key, digest, result, event, context.now()))
                return result

            return await world.store.run(transact, agent=consumer.agent.name, timeout=timeout)
        place = (tool.tool_name, call_key)
        turn = self._running.setdefault(place, _Turn())
        turn.callers += 1
        try:
            async with turn.lock:  # a second call with the same key waits for the first one's result
                return await self._run_steps(
                    world, consumer, binding, tool, principal, call_key, digest, event, key is None
                )
        finally:
            turn.callers -= 1
            if not turn.callers:
                del self._running[place]

    async def _run_steps(
        self,
        world: contexts.World,
        consumer: Consumer,
        binding: ToolBinding,
        tool: Tool[Any],
        principal: Principal,
        key: str,
        digest: str,
        event: Envelope,
        fresh: bool,
    ) -> Any:
        source = f"tool:{tool.tool_name}"
        known: dict[str, tuple[str, str, str]] = {}
        if not fresh:
            seen = await world.store.reader.first(journal.GET_CALL, {"p_tool": tool.tool_name, "p_key": key})
            if seen is not None:
                return _first_result(tool, seen["digest"], seen["result"], digest)
            rows = await world.store.reader.all(
                journal.STEPS_OF, {"p_consumer": consumer.name, "p_source": source, "p_id": key}
            )
            known = {row["name"]: (row["kind"], row["digest"], row["result"]) for row in rows}
        context = contexts.ProcessContext(
            world, consumer, event, principal, key, journal_id=(source, key), known=known, journal_reads=False
        )
        try:
            async with asyncio.timeout(binding.timeout.total_seconds()):
                result = await binding.handler(tool, context)
        except Exception:
            if context.failed:  # a call again with this key is a new try: it does not get the old failure

                async def forget(unit: Unit) -> None:
                    await unit.db.run(
                        journal.FORGET_FAILED, {"p_consumer": consumer.name, "p_source": source, "p_id": key}
                    )

                await world.store.run(forget, agent=consumer.agent.name)
            raise

        async def finish(unit: Unit) -> None:
            await context.end(unit)
            await unit.db.run(journal.INSERT_CALL, _call_row(tool, key, digest, result, event, context.now()))

        await world.store.run(finish, agent=consumer.agent.name)
        return result


@lru_cache(maxsize=256)
def _document(contract: type[Tool[Any]]) -> ToolContract:
    return ToolContract.model_validate(schemas.tool_contract(contract))


def _first_result(tool: Tool[Any], seen: str, result: str, digest: str) -> Any:
    if seen != digest:
        raise KeyReused(f"{tool.tool_name}: this idempotency key came with other arguments before")
    return type(tool).result_adapter.validate_json(result)


def _call_row(tool: Tool[Any], key: str, digest: str, result: Any, event: Envelope, at: datetime) -> dict[str, Any]:
    return {
        "tool": tool.tool_name,
        "key": key,
        "digest": digest,
        "result": type(tool).result_adapter.dump_json(result).decode(),
        "correlationid": event.correlationid or event.id,
        "at": at,
    }


def _synthetic(tool: Tool[Any], principal: Principal, now: datetime) -> Envelope:
    """The envelope of a call that no event caused (an API call, a page): it begins a correlation and a trace."""
    return Envelope(
        id=new_id(),
        source="/agent-store/call",
        type=f"call.{tool.tool_name}",
        time=now,
        brand=principal.brand,
        channel=principal.channel,
        traceparent=contexts.new_trace(),
    )
