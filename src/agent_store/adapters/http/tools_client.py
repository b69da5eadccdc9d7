"""Tools of agents in other processes, with the face of local ones: `RemoteToolbox`.

Every call has a bound in time that all its tries share. What may be the way's fault (no connection, no answer, a
gateway's 429, 502, 503 or 504) is tried again after a jittered wait. That is safe for every call: a read changes
nothing, and a writing call always has a key on its way; without one of the caller's it gets one of its own, so that
neither a try more nor a stolen token does a thing twice. What the tool itself says is final, as if it were local.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol, TypeVar
from urllib.parse import quote

import structlog
from pydantic import ValidationError

from agent_store.adapters.bus.posting import Answer, Poster, Target
from agent_store.adapters.http import wire
from agent_store.adapters.http.breaker import Breaker, BreakerLimits, Bulkhead, State
from agent_store.adapters.http.contracts_client import ContractLimits, RemoteContracts
from agent_store.adapters.http.tokens import Tokens
from agent_store.kernel import budget, tracing
from agent_store.kernel.added import AddedTool, ToolContract, fits
from agent_store.kernel.contexts import child_trace
from agent_store.kernel.errors import Forbidden, InvalidInput, NotFound, StoreError, TemporaryError
from agent_store.kernel.event import Envelope
from agent_store.kernel.ids import new_id
from agent_store.kernel.metrics import Metrics
from agent_store.kernel.tool import Principal, Tool
from agent_store.kernel.toolbox import LocalToolbox
from agent_store.kernel.tracing import Tracing

R = TypeVar("R")

_log = structlog.get_logger("agent_store.tools")

_AGAIN = frozenset({429, 502, 503, 504})
_ODD = frozenset({"bad-answer", "not-offered", "not-found", "invalid-input"})
"""Answers to a call of an added tool that may mean: its contract is another one now."""
_SLOW = 2.0
"""Seconds after which a call that its caller gave up counts against the agent, as a timeout would."""


class Addresses(Protocol):
    """Where agents are: `adapters.services.Services`."""

    def url_of_agent(self, name: str, /) -> str | None:
        """The base address of a service that runs this agent, or None when none does."""
        ...


@dataclass(frozen=True, slots=True)
class CallLimits:
    """`timeout` bounds a call with all its tries; it stands a little above the bound that tools set themselves (10
    seconds), and `timeouts` names the tools that take longer. `tries` counts the first. Waits between tries are random,
    up to `pause` doubled with every try; a Retry-After is kept to when it is at most `longest_pause`."""

    timeout: timedelta = timedelta(seconds=11)
    timeouts: Mapping[str, timedelta] = field(default_factory=dict[str, timedelta])
    tries: int = 3
    pause: timedelta = timedelta(milliseconds=100)
    longest_pause: timedelta = timedelta(seconds=3)
    concurrency: int = 32
    queue: int = 64
    breaker: BreakerLimits = field(default_factory=BreakerLimits)


class _Again(Exception):
    """A try has failed; another may not. `blame`: whether it counts against the agent."""

    def __init__(self, error: TemporaryError, *, blame: bool) -> None:
        super().__init__(error.message)
        self.error = error
        self.blame = blame


@dataclass(slots=True)
class _Line:
    """What this process knows of one agent."""

    breaker: Breaker
    bulkhead: Bulkhead
    url: str = ""
    targets: dict[str, Target] = field(default_factory=dict[str, Target])


class RemoteToolbox:
    """`Toolbox`: this process's own tools first, else a call to the process that has them."""

    def __init__(
        self,
        local: LocalToolbox,
        addresses: Addresses,
        tokens: Tokens,
        *,
        metrics: Metrics,
        tracing: Tracing = tracing.OFF,
        limits: CallLimits | None = None,
        contracts: ContractLimits | None = None,
        tls: ssl.SSLContext | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`tls`: what to trust when an address is https; by default what the system trusts."""
        self.local = local
        self._addresses = addresses
        self._tokens = tokens
        self._metrics = metrics
        self._tracing = tracing
        self._limits = limits or CallLimits()
        self._tls = tls
        self._poster: Poster | None = None
        self._now = now
        self._lines: dict[str, _Line] = {}
        self._contracts = RemoteContracts(tokens, self._get, metrics=metrics, limits=contracts, now=now)

    def close(self) -> None:
        """Calls that are under way fail."""
        self._contracts.close()
        if self._poster is not None:
            self._poster.close()

    def state_of(self, agent: str) -> State:
        """Of this agent's circuit breaker."""
        line = self._lines.get(agent)
        return line.breaker.state if line is not None else "closed"

    async def contracts(self, patterns: Sequence[str]) -> tuple[ToolContract, ...]:
        """See `kernel.added.ToolContracts`."""
        here = await self.local.contracts(patterns)
        ours = {name.partition(".")[0] for name in self.local.names}
        agents = [name for name in dict.fromkeys(one.partition(".")[0] for one in patterns) if name not in ours]
        found = await asyncio.gather(
            *(self._contracts.of_agent(agent, self._addresses.url_of_agent(agent)) for agent in agents)
        )
        return (*here, *(tool for tools in found for tool in tools if fits(tool.name, patterns)))

    async def call(
        self, tool: Tool[R], principal: Principal, *, key: str | None = None, cause: Envelope | None = None
    ) -> R:
        """See `Toolbox.call`. Beside what the tool raises: NotFound when no service runs its agent, and TemporaryError
        (`unreachable`, `unavailable`, `timeout`, `busy`, `circuit-open`, `bad-answer`, `refused`)."""
        name = tool.tool_name
        if self.local.offers(name):
            return await self.local.call(tool, principal, key=key, cause=cause)
        if tool.staff_only and principal.staff is None:
            raise Forbidden(f"{name} is for staff")
        agent = name.partition(".")[0]
        url = self._addresses.url_of_agent(agent)
        if url is None:
            raise NotFound(f"no running agent offers {name}", tool=name)
        started = self._now()
        outcome = "cancelled"
        parent = cause.traceparent if cause is not None else None
        try:
            with tracing.calling(self._tracing, name, parent=parent) as span:
                trace = span.traceparent or child_trace(parent or tracing.current())
                result = await self._call(tool, principal, key, cause, agent, url, trace)
            outcome = "ok"
            return result
        except StoreError as error:
            outcome = error.code
            if isinstance(tool, AddedTool) and outcome in _ODD:
                self._contracts.doubt(agent)
            raise
        finally:
            self._metrics.tool_called(name, outcome, self._now() - started)

    async def _call(
        self,
        tool: Tool[R],
        principal: Principal,
        key: str | None,
        cause: Envelope | None,
        agent: str,
        url: str,
        trace: str,
    ) -> R:
        name = tool.tool_name
        if key is None and tool.writes:
            key = new_id()
        body = tool.__pydantic_serializer__.to_json(tool)
        if len(body) > wire.LARGEST:
            raise InvalidInput(f"{name}: its arguments are over {wire.LARGEST} bytes")
        seconds = self._limits.timeouts.get(name, self._limits.timeout).total_seconds()
        left = budget.remaining()
        end = self._now() + (seconds if left is None else min(seconds, left))
        line = self._line(agent)
        target = line.targets.get(name)
        if target is None or line.url != url:
            if line.url != url:
                line.url, line.targets = url, {}
            target = line.targets[name] = Target.of(f"{url.rstrip('/')}/tools/{name}")
        headers = f"content-type: application/json\r\naccept: application/json\r\n{wire.TRACE}: {trace}\r\n"
        if cause is not None and cause.tracestate and cause.tracestate.isprintable() and cause.tracestate.isascii():
            headers += f"{wire.STATE}: {cause.tracestate}\r\n"
        if key is not None:
            headers += f"{wire.KEY}: {quote(key, safe=_SAFE)}\r\n"
        number = 1
        if line.breaker.state == "open":
            line.breaker.enter()  # refuses at once: who queues behind calls that hang would learn it late
        async with line.bulkhead.place(end - self._now()):
            permit = line.breaker.enter()
            while True:
                try:
                    return await self._try(
                        tool, principal, key, cause, line.breaker, permit, target, headers, body, end
                    )
                except _Again as failure:
                    pause = self._pause(failure.error, number, end)
                    if pause is None:
                        raise failure.error from failure.__cause__
                    self._metrics.count("tool_retries", tool=name, reason=failure.error.code)
                    await asyncio.sleep(pause)
                    number += 1
                    try:
                        permit = line.breaker.enter()
                    except TemporaryError:  # it has opened meanwhile: why, says more than that
                        raise failure.error from failure.__cause__

    async def _try(
        self,
        tool: Tool[R],
        principal: Principal,
        key: str | None,
        cause: Envelope | None,
        breaker: Breaker,
        permit: int,
        target: Target,
        headers: str,
        body: bytes,
        end: float,
    ) -> R:
        began = self._now()
        left = end - began
        blame: bool | None = None
        try:
            token = self._tokens.for_call(tool.tool_name, key, body, principal, cause)
            head = f"{headers}{wire.TIME_LEFT}: {int(left * 1000)}\r\nauthorization: Bearer {token}\r\n"
            try:
                answer = await self._post(target, head.encode(), body, left)
            except TimeoutError as error:
                blame = True
                raise TemporaryError(
                    f"{tool.tool_name} did not answer in time", code="timeout", tool=tool.tool_name
                ) from error
            except OSError as error:
                raise _Again(
                    TemporaryError(
                        f"{target.authority} cannot be reached ({type(error).__name__})",
                        code="unreachable",
                        tool=tool.tool_name,
                    ),
                    blame=True,
                ) from error
            result, blame = self._read(tool, answer)
            return result
        except _Again as failure:
            blame = failure.blame
            raise
        except StoreError as error:
            # An agent that says no is well. One that lets tools run into their bound is not.
            blame = error.code == "timeout" or error.code == "bad-answer"
            raise
        except asyncio.CancelledError:
            blame = True if self._now() - began >= _SLOW else None
            raise
        finally:
            if blame is None:
                breaker.abandoned(permit)
            elif blame:
                breaker.failed(permit)
            else:
                breaker.succeeded(permit)

    def _read(self, tool: Tool[R], answer: Answer) -> tuple[R, bool]:
        name = tool.tool_name
        if answer.status == 200:
            try:
                return type(tool).result_adapter.validate_json(answer.body), False
            except ValidationError as error:
                raise TemporaryError(
                    f"what came back is no result of {name}: is its agent of another version?",
                    code="bad-answer",
                    tool=name,
                ) from error
        said = wire.read_problem(answer.status, answer.body)
        if isinstance(said, StoreError):
            raise said
        if answer.status in _AGAIN:
            wait = timedelta(seconds=answer.retry_after) if answer.retry_after is not None else None
            raise _Again(
                TemporaryError(
                    f"{name} is not available now: {said.detail}", code="unavailable", retry_after=wait, tool=name
                ),
                blame=True,
            )
        if said.code == "token-expired":  # the clock was moved on the way; the next try has a new token
            raise _Again(TemporaryError(f"{name} refuses us: {said.detail}", code="refused", tool=name), blame=False)
        if answer.status in (401, 403):
            # The keys of two processes differ for as long as they are changed; nothing is wrong with the call.
            raise TemporaryError(f"{name} refuses us: {said.detail}", code="refused", tool=name)
        if answer.status == 404:
            raise TemporaryError(f"its address does not offer {name}: {said.detail}", code="not-offered", tool=name)
        if answer.status == 500:
            raise TemporaryError(f"{name} broke down: look into its agent's log", code="broken", tool=name)
        raise TemporaryError(f"{name} was answered with HTTP {answer.status}", code="bad-answer", tool=name)

    async def _post(self, target: Target, head: bytes, body: bytes, seconds: float) -> Answer:
        if seconds <= 0:
            raise TimeoutError
        async with asyncio.timeout(seconds):
            return await self._connections().post(target, head, body)

    async def _get(self, target: Target, head: bytes, seconds: float) -> Answer:
        async with asyncio.timeout(seconds):
            return await self._connections().get(target, head)

    def _connections(self) -> Poster:
        if self._poster is None:
            self._poster = Poster(concurrency=_ALL, tls=self._tls)
        return self._poster

    def _pause(self, error: TemporaryError, number: int, end: float) -> float | None:
        """Seconds until the next try; None when there is none."""
        limits = self._limits
        if number >= limits.tries:
            return None
        # From half of it up: full jitter would now and then not wait at all.
        pause = limits.pause.total_seconds() * 2 ** (number - 1) * random.uniform(0.5, 1)
        if error.retry_after is not None:
            if error.retry_after > limits.longest_pause:
                return None
            pause += error.retry_after.total_seconds()
        return pause if self._now() + pause < end else None

    def _line(self, agent: str) -> _Line:
        line = self._lines.get(agent)
        if line is None:

            def changed(state: State) -> None:
                self._metrics.count("circuit_breaker", agent=agent, state=state)
                _log.warning("tools.circuit_breaker", agent=agent, state=state)

            limits = self._limits
            line = self._lines[agent] = _Line(
                Breaker(agent, limits.breaker, now=self._now, changed=changed),
                Bulkhead(agent, most=limits.concurrency, queue=limits.queue),
            )
        return line


_ALL = 4096
"""Connections over all agents: each agent's own bound is its bulkhead's."""
_SAFE = "!#$&'()*+,/:;=?@[]-._~|"
