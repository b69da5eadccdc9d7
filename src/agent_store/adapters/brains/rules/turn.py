"""One turn as straight-line code: `await turn.ask(SearchProducts(...))`, replayed from the top at each step.

The seller asks the brain once a step. A dialogue here is a coroutine that is run anew each time: a tool call whose
result is among the steps goes on at once, the first one without a result becomes the answer's tool call. No event
loop is involved and nothing is kept: the same request always gives the same answer.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from pydantic import ValidationError

from agent_store.adapters.brains.rules.memory import Memory
from agent_store.adapters.brains.rules.say import Voice
from agent_store.kernel.brain import Block, BrainRequest, Choice, Step, ToolCall, ToolResult
from agent_store.kernel.tool import Tool, registry

MAX_ROUNDS = 5
"""Tool rounds of one turn; a dialogue that wants more is told that the tool is not available."""

R = TypeVar("R")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Failed:
    """A tool call that gave no result. `code` is the error's; "budget" and "unavailable" are ours."""

    code: str
    message: str = ""


class _Asked:
    """Hands the wanted calls to whoever drives the coroutine, and gives back their results."""

    __slots__ = ("tools",)

    def __init__(self, tools: tuple[Tool[Any], ...]) -> None:
        self.tools = tools

    def __await__(self) -> Generator[tuple[Tool[Any], ...], tuple[Any, ...], tuple[Any, ...]]:
        return (yield self.tools)


class Turn:
    """What a dialogue works on: the request, its memory, and the reply that grows."""

    def __init__(self, request: BrainRequest, voice: Voice) -> None:
        self.request = request
        self.voice = voice
        self.memory = Memory.load(request.memory)
        self.first = not request.memory
        """Nobody has spoken with this customer yet: who answers says who they are."""
        self.blocks: list[Block] = []
        self.understood = True
        self.escalate: str | None = None

    # --- tools -----------------------------------------------------------------------------------------------------

    async def ask(self, tool: Tool[R]) -> R | Failed:
        (result,) = await _Asked((tool,))
        return result

    @overload
    async def together(self, one: Tool[A], two: Tool[B], /) -> tuple[A | Failed, B | Failed]: ...
    @overload
    async def together(
        self, one: Tool[A], two: Tool[B], three: Tool[C], /
    ) -> tuple[A | Failed, B | Failed, C | Failed]: ...
    async def together(self, *tools: Tool[Any]) -> tuple[Any, ...]:
        """Several calls in one round."""
        return await _Asked(tools)

    async def each(self, tools: Sequence[Tool[R]]) -> tuple[R | Failed, ...]:
        return await _Asked(tuple(tools)) if tools else ()

    # --- the reply -------------------------------------------------------------------------------------------------

    def t(self, key: str, **values: object) -> str:
        return self.voice.say(key, self.memory.turns, **values)

    def text(self, text: str) -> None:
        if text.strip():
            self.blocks.append(Block(kind="text", text=text))

    def ask_place(self, text: str) -> None:
        """A question that a tap answers, on a channel that can send a place."""
        self.blocks.append(Block(kind="place_request", text=text[:1000]))

    def say(self, key: str, **values: object) -> None:
        self.text(self.t(key, **values))

    def products(self, items: Sequence[str], text: str = "") -> None:
        if items:
            self.blocks.append(Block(kind="products", text=text, items=tuple(items[:10])))
        elif text:
            self.text(text)

    def choose(self, text: str, choices: Sequence[tuple[str, str] | tuple[str, str, str]], button: str = "") -> None:
        """Buttons for up to three choices, a list for up to ten; titles are cut to what WhatsApp shows."""
        if not choices:
            self.text(text)
            return
        kind, width = ("buttons", 20) if len(choices) <= 3 else ("list", 24)
        made = tuple(
            Choice(
                id=row[0][:200],
                title=short(row[1], width),
                description=(row[2][:72] or None) if len(row) == 3 else None,
            )
            for row in choices[:10]
        )
        self.blocks.append(
            Block(
                kind="buttons" if kind == "buttons" else "list",
                text=text[:1000],
                choices=made,
                button=(button or self.t("choose_button"))[:20] if kind == "list" else None,
            )
        )


def short(title: str, width: int) -> str:
    return title if len(title) <= width else title[: width - 1].rstrip() + "…"


# --- replay --------------------------------------------------------------------------------------------------------


class _Ledger:
    """The results of this turn so far, each to be used once, by (tool, arguments)."""

    def __init__(self, steps: Sequence[Step], brain: str) -> None:
        self._known: dict[str, list[ToolResult]] = {}
        self.rounds = 0
        for step in steps:
            if not step.answer.tool_calls:
                continue
            self.rounds += 1
            own = step.answer.brain == brain
            answered = {result.call.id for result in step.results}
            refused = [
                ToolResult(call=call, error=step.feedback or "no result", code="refused")
                for call in step.answer.tool_calls
                if call.id not in answered
            ]
            for result in (*step.results, *refused):
                contract = registry.get(result.call.name)
                # What another brain has read this turn may be stale by what it did after: only its acts count.
                if own or (contract is not None and contract.writes):
                    self._known.setdefault(_key(result.call.name, result.call.arguments), []).append(result)

    def take(self, tool: Tool[Any]) -> ToolResult | None:
        results = self._known.get(_key(tool.tool_name, arguments(tool)))
        return results.pop(0) if results else None


def arguments(tool: Tool[Any]) -> dict[str, Any]:
    """The call's JSON arguments, without what is default anyway."""
    return tool.model_dump(mode="json", exclude_defaults=True)


def _key(name: str, args: Any) -> str:
    contract = registry.get(name)
    if contract is not None:
        try:
            args = arguments(contract.model_validate(args))
        except ValidationError:  # another brain's nonsense: it never equals a call of ours
            return f"{name}?"
    return f"{name}{sorted(args.items())!r}"


def parse(tool: Tool[Any], result: ToolResult) -> Any:
    """The typed result, or why there is none."""
    if result.error is not None:
        return Failed(result.code or "error", result.error)
    try:
        return type(tool).result_adapter.validate_python(result.data)
    except ValidationError as error:
        return Failed("bad-result", f"{result.call.name} answered with {error.error_count()} errors")


def replay(
    dialogue: Coroutine[tuple[Tool[Any], ...], tuple[Any, ...], None], request: BrainRequest, brain: str
) -> tuple[ToolCall, ...]:
    """Run the dialogue as far as the steps reach: the calls that it waits for, or () when it has come to its end."""
    ledger = _Ledger(request.steps, brain)
    offered = {spec.name for spec in request.tools}
    answers: tuple[Any, ...] | None = None
    try:
        while True:
            wanted = dialogue.send(answers) if answers is not None else dialogue.send(None)  # type: ignore[arg-type]
            found: list[Any] = []
            missing: list[ToolCall] = []
            for tool in wanted:
                if offered and tool.tool_name not in offered:
                    found.append(Failed("unavailable", f"{tool.tool_name} is not offered"))
                    continue
                result = ledger.take(tool)
                if result is not None:
                    found.append(parse(tool, result))
                elif ledger.rounds >= MAX_ROUNDS:
                    found.append(Failed("budget", "this turn has made its calls"))
                else:
                    call_id = f"r{ledger.rounds + 1}-{len(missing) + 1}"
                    missing.append(ToolCall(id=call_id, name=tool.tool_name, arguments=arguments(tool)))
            if missing:
                return tuple(missing)
            answers = tuple(found)
    except StopIteration:
        return ()
    finally:
        dialogue.close()
