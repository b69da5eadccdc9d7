"""What the two model servers share: a request as chat messages, and a message back as a brain's answer.

Tool names with dots are not legal in either protocol ("cart.add" travels as "cart_add"); amounts travel as people read
them; results are trimmed, since a model's context is small and its tokens cost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent_store.kernel.brain import Block, BrainAnswer, BrainFailed, BrainRequest, Line, ToolCall, ToolResult, Usage
from agent_store.kernel.money import Money

LONGEST_RESULT = 6_000
"""Characters of a tool result that a model gets to see."""
LONGEST_LINE = 2_000
_SAO_PAULO = timezone(timedelta(hours=-3))
_LANGUAGES = {"pt": "Brazilian Portuguese", "en": "English", "es": "Spanish"}
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LONGEST_ASIDE = 500
"""Characters of what came along with a line: a quoted message, what a picture shows."""
_NOISE = frozenset({"score", "weight_g", "image", "complements", "facets"})
"""Keys of results that tell a model nothing."""


@dataclass(frozen=True, slots=True)
class Said:
    """One message for a model. A "tool" message answers the call `call`; an "assistant" one may carry `calls`."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    calls: tuple[ToolCall, ...] = ()
    call: ToolCall | None = None


def wire_name(name: str) -> str:
    return name.replace(".", "_")


def messages(request: BrainRequest) -> list[Said]:
    """System prompt, earlier lines, the burst as one message, and every round of this turn."""
    said = [Said("system", _system(request))]
    for line in request.history:
        role: Literal["user", "assistant"] = "user" if line.role == "customer" else "assistant"
        said.append(Said(role, _line(line)))
    said.append(Said("user", "\n".join(_line(line) for line in request.lines) or "(no text)"))
    for step in request.steps:
        text = "\n".join(block.text for block in step.answer.blocks if block.text)
        said.append(Said("assistant", text, calls=step.answer.tool_calls))
        said += [Said("tool", _result(result), call=result.call) for result in step.results]
        if step.feedback:
            # Many chat templates take a system message only at the beginning, so the check speaks in the user's place.
            said.append(Said("user", f"[automatic check of the store, not the customer] {step.feedback}"))
    return said


def _system(request: BrainRequest) -> str:
    text = request.system
    for spec in request.tools:
        text = text.replace(spec.name, wire_name(spec.name))
    now = request.now.astimezone(_SAO_PAULO)
    return (
        f"{text}\n\n---\nIt is {_WEEKDAYS[now.weekday()]}, {now:%Y-%m-%d %H:%M} in São Paulo. Channel: {request.channel}. "
        f"The customer writes {_LANGUAGES[request.language]}."
    ).strip()


def _line(line: Line) -> str:
    """Words as they are; what came along with them in square brackets, which nothing inside can close."""
    text = line.text[:LONGEST_LINE]
    if line.payload == FORM:
        text = f"[answers of a form: {_aside(text, LONGEST_LINE)}]"
    elif line.payload:
        text = f"{text} (tapped: {line.payload})"
    elif line.kind == "audio" and text:
        text = f"[spoken, as a machine heard it] {text}"
    elif line.kind == "request_welcome":
        text = "[the customer has opened the chat and written nothing yet]"
    text = "\n".join(part for part in (*_before(line), text, *_after(line)) if part)
    if line.role == "notice":
        return f"[message of the store] {text}"
    if line.role == "person":
        return f"[a colleague wrote] {text}"
    return text


FORM = "form"
"""The payload of a form's answers."""


def _aside(text: str, longest: int = LONGEST_ASIDE) -> str:
    """Somebody's words within brackets of ours: on one line, and without brackets of their own."""
    flat = " ".join(text.replace("[", "(").replace("]", ")").split())
    return flat if len(flat) <= longest else f"{flat[: longest - 1]}…"


def _before(line: Line) -> Iterator[str]:
    if line.quoted:
        yield f"[in answer to this message: {_aside(line.quoted)}]"
    if line.about:
        yield f"[about the product with the SKU {_aside(line.about)}]"


def _after(line: Line) -> Iterator[str]:
    if line.items:
        listed = "; ".join(f"{item.quantity} x {_aside(item.sku)}" for item in line.items)
        yield f"[a cart filled in the channel's catalogue, not in the store's cart yet: {listed}]"
    if line.seen:
        yield f"[a picture; a machine says that it shows: {_aside(line.seen)}]"
    if line.place is not None:
        named = ", ".join(part for part in (line.place.name, line.place.address) if part)
        where = f"latitude {line.place.latitude:.5f}, longitude {line.place.longitude:.5f}"
        yield f"[a place: {where}{f', {_aside(named)}' if named else ''}]"
    if line.beside:
        yield f"[with it came: {_aside(line.beside)}]"


def _result(result: ToolResult) -> str:
    if result.error is not None:
        body: Any = {"error": result.error, "code": result.code}
        if result.data:
            body["details"] = lean(result.data)
    else:
        body = lean(result.data)
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    if len(text) <= LONGEST_RESULT:
        return text
    return f"{text[:LONGEST_RESULT]}… (cut: ask for less at a time)"


def lean(value: Any) -> Any:
    """A tool result as a model reads it best: amounts as text, nothing empty, nothing technical."""
    if isinstance(value, Mapping):
        known = cast("Mapping[str, Any]", value)
        if set(known) == {"minor", "currency"}:
            return str(Money(minor=known["minor"], currency=known["currency"]))
        return {key: lean(one) for key, one in known.items() if key not in _NOISE and one not in (None, "", [], {}, ())}
    if isinstance(value, list | tuple):
        return [lean(one) for one in cast("Sequence[Any]", value)]
    return value


def functions(request: BrainRequest) -> list[dict[str, Any]]:
    """The tools in the form that both protocols share."""
    return [
        {
            "type": "function",
            "function": {
                "name": wire_name(spec.name),
                "description": spec.description,
                "parameters": dict(spec.parameters),
            },
        }
        for spec in request.tools
    ]


# --- the way back --------------------------------------------------------------------------------------------------


class WireFunction(BaseModel):
    """A call as servers send it: arguments as JSON text (OpenAI) or as an object (Ollama, some others)."""

    model_config = ConfigDict(extra="ignore")

    name: str
    arguments: str | dict[str, Any] | None = None


class WireCall(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str | None = None
    function: WireFunction


class WireMessage(BaseModel):
    """`content` is text, or parts of which those with a text count."""

    model_config = ConfigDict(extra="ignore")

    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[WireCall] | None = None
    refusal: str | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(str(part["text"]) for part in self.content if isinstance(part.get("text"), str))
        return self.content or ""


class WireChoice(BaseModel):
    model_config = ConfigDict(extra="ignore")

    message: WireMessage
    finish_reason: str | None = None


class WireUsage(BaseModel):
    model_config = ConfigDict(extra="ignore")

    prompt_tokens: int = 0
    completion_tokens: int = 0


class WireCompletion(BaseModel):
    """What an OpenAI-compatible server answers, as leniently as the servers differ."""

    model_config = ConfigDict(extra="ignore")

    choices: list[WireChoice] = Field(min_length=1)
    usage: WireUsage | None = None


_THOUGHT = re.compile(r"<(think|thinking|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL)
_CALL_TAG = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)
_FENCE = re.compile(r"\A```(?:json)?\s*(.*?)\s*```\Z", re.DOTALL)


def answer(
    request: BrainRequest, message: WireMessage, *, brain: str, usage: Usage, finish: str | None = None
) -> BrainAnswer:
    """A model's message as an answer. Raises BrainFailed for one that cannot be used: cut off, refused, unreadable."""
    if finish == "length":
        raise BrainFailed(f"{brain}: the answer was cut off at the token limit")
    if finish == "content_filter" or message.refusal:
        raise BrainFailed(f"{brain}: the model refused to answer")
    names = {wire_name(spec.name): spec.name for spec in request.tools}
    text = _THOUGHT.sub("", message.text).strip()
    wishes = message.tool_calls or []
    if not wishes:
        text, wishes = _spoken_calls(text, names)
    if wishes:
        step = len(request.steps) + 1
        calls = tuple(
            ToolCall(
                id=wish.id or f"call_{step}_{position}",
                name=names.get(wish.function.name, wish.function.name),
                arguments=_arguments(wish.function, brain),
            )
            for position, wish in enumerate(wishes)
        )
        return BrainAnswer(tool_calls=calls, usage=usage, brain=brain)
    if text[:1] in ("{", "[") and _is_json(text):
        raise BrainFailed(f"{brain}: the model answered with data instead of words")
    blocks = (Block(kind="text", text=text),) if text else ()
    return BrainAnswer(blocks=blocks, usage=usage, brain=brain)


def _spoken_calls(text: str, names: Mapping[str, str]) -> tuple[str, list[WireCall]]:
    """Small models write a tool call into their text now and then: take it for one when it names a tool."""
    fenced = _FENCE.match(text)
    bodies = _CALL_TAG.findall(text) or [fenced[1] if fenced else text]
    found: list[WireCall] = []
    for body in bodies:
        try:
            value: Any = json.loads(body)
        except ValueError:
            continue
        for one in cast("Sequence[Any]", value if isinstance(value, list) else [value]):
            if not isinstance(one, dict):
                continue
            call = cast("dict[str, Any]", one)
            name, arguments = call.get("name"), call.get("arguments", call.get("parameters"))
            if isinstance(name, str) and (name in names or name in names.values()) and isinstance(arguments, dict):
                function = WireFunction(name=wire_name(name), arguments=cast("dict[str, Any]", arguments))
                found.append(WireCall(function=function))
    return ("", found) if found else (text, [])


def _arguments(function: WireFunction, brain: str) -> dict[str, Any]:
    """Raises BrainFailed for arguments that are no JSON object: there is nothing in them to correct."""
    value: Any = function.arguments
    if isinstance(value, str):
        if not value.strip():
            return {}
        try:
            value = json.loads(value)
        except ValueError as error:
            raise BrainFailed(f"{brain}: the arguments of {function.name} are no JSON") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BrainFailed(f"{brain}: the arguments of {function.name} are no object")
    return cast("dict[str, Any]", value)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def read_completion(body: str, brain: str) -> WireCompletion:
    try:
        return WireCompletion.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise BrainFailed(f"{brain}: the server's answer cannot be read ({where}: {first['msg']})") from error
