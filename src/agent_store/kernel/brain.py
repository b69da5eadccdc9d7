"""The `Brain` port: what a seller thinks with. Rules, Ollama and OpenAI-compatible servers are behind it.

A brain is asked once a step: it either calls tools or speaks. It holds no state of its own: what it wants to
remember goes into `BrainAnswer.memory`, is journaled with the answer and comes back in the next request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from agent_store.kernel.added import ToolContract
from agent_store.kernel.errors import TemporaryError


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class ToolSpec(_Frozen):
    """A tool as a model sees it: `name` like "cart.add", JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class ToolCall(_Frozen):
    """A brain's wish. Arguments are as the brain gave them: not validated yet."""

    id: str
    name: str
    arguments: Mapping[str, Any] = Field(default_factory=dict)


class ToolResult(_Frozen):
    """What came of a call: `data` is the result's JSON value; on failure `error` is a sentence and `code` stable."""

    call: ToolCall
    data: Any = None
    error: str | None = None
    code: str | None = None


class LineItem(_Frozen):
    """A line of a cart that was filled in the channel's own catalogue: a wish, not in the store's cart yet."""

    sku: str
    quantity: int


class LinePlace(_Frozen):
    """A place that the customer sent, in degrees."""

    latitude: float
    longitude: float
    name: str = ""
    address: str = ""


class Line(_Frozen):
    """One line of the conversation as said: by the customer, the seller (bot) or a person of the staff.

    `text` holds the customer's own words, typed or spoken. All the rest came along with them: it is information, and never
    counts as something that the customer said, asked for or agreed to.
    """

    role: Literal["customer", "seller", "person", "notice"]
    text: str
    payload: str | None = None
    """The id of the button or list row that the customer tapped; "form" when `text` is the answers of a form."""
    kind: str = "text"
    """As the channel names it: "audio" was spoken."""
    quoted: str = ""
    """The message that it answers, shortened."""
    items: tuple[LineItem, ...] = ()
    about: str | None = None
    """SKU of the product that it is about."""
    seen: str | None = None
    """What a picture shows, in words."""
    place: LinePlace | None = None
    beside: str = ""
    """Of an earlier line: what of all this came along, in short."""
    at: datetime | None = None


class Step(_Frozen):
    """One finished round of this turn: what the brain said and what its tool calls gave."""

    answer: BrainAnswer
    results: tuple[ToolResult, ...] = ()
    feedback: str | None = None
    """Why the answer was not accepted (an unsupported price, invalid arguments); the brain should mend it."""


class Block(_Frozen):
    """A piece of a reply. `products` are SKUs or product ids whose cards the seller renders from tool results.

    kind "text": `text`. "products": `items` (ids), optional `text`. "buttons": `text`, `choices` (≤ 3).
    "list": `text`, `choices` (≤ 10), `button` is the opener's label. "place_request": `text`, with a button that sends
    where the customer is (a channel that has none shows the text).
    """

    kind: Literal["text", "products", "buttons", "list", "place_request"]
    text: str = ""
    items: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    button: str | None = None


class Choice(_Frozen):
    """`id` ≤ 200 characters comes back as the payload of a tap; `title` ≤ 20 (buttons) or ≤ 24 (rows)."""

    id: str
    title: str
    description: str | None = None


class Usage(_Frozen):
    input_tokens: int = 0
    output_tokens: int = 0


class BrainRequest(_Frozen):
    """All that a brain may know for its next step of this turn."""

    brand: str
    seller: str
    """The persona's name: Luna, Max, Sofia, Bella, Pixel."""
    greeting: str = ""
    """How the persona introduces itself, in the turn's language; "" when the brand says nothing of it."""
    language: Literal["pt", "en", "es"]
    system: str
    """House prompt and the brand's prompt; the rules brain ignores it."""
    lines: Sequence[Line]
    """The burst being answered: the customer's new messages, oldest first."""
    history: Sequence[Line] = ()
    """Earlier lines, oldest first, bounded; only filled for a brain that `wants_history`."""
    tools: Sequence[ToolSpec] = ()
    added: Sequence[ToolContract] = ()
    """Contracts of the brand's added tools, for a brain that knows the store's own by itself."""
    steps: Sequence[Step] = ()
    memory: Mapping[str, Any] = Field(default_factory=dict)
    """What the last answer of this customer's conversations put into `BrainAnswer.memory`."""
    now: datetime
    channel: str = "whatsapp"


class BrainAnswer(_Frozen):
    """Either `tool_calls` (then the brain is asked again with their results) or a reply in `blocks`.

    `understood=False`: the brain could not make sense of the message; two such turns in a row bring a person.
    `escalate`: the brain wants a person now, with the reason in a few words. `memory=None` leaves it as it is.
    """

    tool_calls: tuple[ToolCall, ...] = ()
    blocks: tuple[Block, ...] = ()
    understood: bool = True
    escalate: str | None = None
    memory: dict[str, Any] | None = None
    usage: Usage = Usage()
    brain: str = ""


class Brain(Protocol):
    """Thinks one step. Raises `BrainFailed` when it can't (down, slow, garbage): the seller falls back to rules."""

    @property
    def name(self) -> str: ...

    @property
    def wants_history(self) -> bool: ...

    async def think(self, request: BrainRequest) -> BrainAnswer: ...

    async def close(self) -> None: ...


class BrainFailed(TemporaryError):
    """The model is slow, down or talks rubbish; the message says which."""

    code = "brain-failed"


for _model in (Step, Block, BrainRequest, BrainAnswer):
    _model.model_rebuild()
