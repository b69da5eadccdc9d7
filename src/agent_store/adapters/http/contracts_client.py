"""Contracts of tools in other processes: read from `/contracts/tools` of the service that the directory names.

A turn waits for them once, and not for long. From then on it gets what is known, at once, while that is asked about again
behind it: an answer "not changed" costs next to nothing. An agent that cannot be asked keeps the contracts that it had, and
no turn waits for it again; one that stands in no directory any more has none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent_store.adapters.bus.posting import Answer, Target
from agent_store.adapters.http.tokens import Tokens
from agent_store.adapters.http.wire import tag_of
from agent_store.kernel.added import ToolContract, check
from agent_store.kernel.errors import InvalidInput
from agent_store.kernel.metrics import Metrics
from agent_store.kernel.tool import Principal

_log = structlog.get_logger("agent_store.tools")

Get = Callable[[Target, bytes, float], Awaitable[Answer]]
"""GET: address, header lines, seconds. Raises OSError or TimeoutError."""


@dataclass(frozen=True, slots=True)
class ContractLimits:
    """`fresh`: how long contracts are taken as they are. `again`: the pause after a failure. `first`: how long turns wait
    for an agent of which nothing is known, from the first question on. `timeout`: of one question. `most`: tools of one agent."""

    fresh: timedelta = timedelta(minutes=5)
    again: timedelta = timedelta(seconds=5)
    first: timedelta = timedelta(seconds=3)
    timeout: timedelta = timedelta(seconds=10)
    most: int = 64


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore")

    tools: list[ToolContract] = Field(default_factory=list[ToolContract])


@dataclass(slots=True)
class _Known:
    """What is known of one agent. `until`: seconds of `now` to which nobody asks again."""

    url: str = ""
    tag: str = ""
    tools: tuple[ToolContract, ...] | None = None
    until: float = 0.0
    asking: asyncio.Task[None] | None = None
    since: float = 0.0
    """When that question was put."""
    bad: str = ""
    """Why the last one had no answer."""


class RemoteContracts:
    """One a process. `close` ends what is being asked."""

    def __init__(
        self,
        tokens: Tokens,
        get: Get,
        *,
        metrics: Metrics,
        limits: ContractLimits | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tokens = tokens
        self._get = get
        self._metrics = metrics
        self._limits = limits or ContractLimits()
        self._now = now
        self._agents: dict[str, _Known] = {}

    async def of_agent(self, agent: str, url: str | None) -> tuple[ToolContract, ...]:
        """The contracts of the agent's tools at this base address; () while there are none to be had."""
        if url is None:
            self._agents.pop(agent, None)
            return ()
        known = self._agents.setdefault(agent, _Known())
        if known.url != url:
            known.url, known.tag, known.until = url, "", 0.0
        if known.asking is None and self._now() >= known.until:
            known.since = self._now()
            known.asking = asyncio.create_task(self._ask(agent, known), name=f"contracts of {agent}")
        left = known.since + self._limits.first.total_seconds() - self._now()
        if known.tools is None and known.asking is not None and not known.bad and left > 0:
            await asyncio.wait({known.asking}, timeout=left)
        return known.tools or ()

    def doubt(self, agent: str) -> None:
        """A call went as its contract does not say: ask again as soon as somebody wants it, not after `fresh`."""
        known = self._agents.get(agent)
        if known is not None:
            known.until = 0.0

    def close(self) -> None:
        for known in self._agents.values():
            if known.asking is not None:
                known.asking.cancel()

    async def _ask(self, agent: str, known: _Known) -> None:
        url, tag, limits = known.url, known.tag, self._limits
        try:
            token = self._tokens.for_access("contracts", Principal())
            head = f"authorization: Bearer {token}\r\n" + (f"if-none-match: {tag}\r\n" if tag else "")
            target = Target.of(f"{url}/contracts/tools?agent={quote(agent)}")
            answer = await self._get(target, head.encode(), limits.timeout.total_seconds())
            if answer.status == 304:
                tools = known.tools
            elif answer.status == 200:
                tools = _read(agent, answer.body, limits.most)
            else:
                raise InvalidInput(f"HTTP {answer.status}")
        except (OSError, TimeoutError, InvalidInput) as error:
            reason = error.message if isinstance(error, InvalidInput) else f"{type(error).__name__} {error}".strip()
            known.until = self._now() + limits.again.total_seconds()
            self._metrics.count("tool_contracts_unread", agent=agent)
            if known.bad != reason:
                known.bad = reason
                _log.warning("tools.contracts_unread", agent=agent, reason=reason, kept=len(known.tools or ()))
        else:
            if known.url == url:  # else it has moved meanwhile: the next question goes to its new place
                known.tools, known.bad = tools, ""
                known.tag = tag if answer.status == 304 else tag_of(answer.body)
                known.until = self._now() + limits.fresh.total_seconds()
        finally:
            known.asking = None


def _read(agent: str, body: bytes, most: int) -> tuple[ToolContract, ...]:
    """Raises InvalidInput: no contracts, or those of somebody else."""
    try:
        tools = _Document.model_validate_json(body).tools
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidInput(f"what came back are no contracts: {where}: {first['msg']}") from error
    if len(tools) > most:
        raise InvalidInput(f"{len(tools)} tools of one agent: {most} at most")
    for tool in tools:
        if tool.agent != agent:
            raise InvalidInput(f"{tool.name} is no tool of {agent}")
        check(tool)
    return tuple(tools)
