"""What a brain says is journaled: it comes back from JSON as it was."""

from __future__ import annotations

from datetime import UTC, datetime

from agent_store.kernel.brain import (
    Block,
    BrainAnswer,
    BrainFailed,
    BrainRequest,
    Choice,
    Line,
    Step,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
)  # fmt: skip
from agent_store.kernel.errors import TemporaryError

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def test_a_request_with_its_steps_survives_json() -> None:
    call = ToolCall(id="1", name="cart.add", arguments={"sku": "x", "quantity": 2})
    answer = BrainAnswer(
        tool_calls=(call,),
        blocks=(Block(kind="buttons", text="Qual?", choices=(Choice(id="a", title="A"),)),),
        memory={"wants": ["x"]},
        usage=Usage(input_tokens=1, output_tokens=2),
        brain="rules",
    )
    request = BrainRequest(
        brand="tech",
        seller="Max",
        language="pt",
        system="",
        lines=(Line(role="customer", text="oi", at=NOW),),
        tools=(ToolSpec(name="cart.add", description="d", parameters={}),),
        steps=(Step(answer=answer, results=(ToolResult(call=call, error="no", code="conflict"),), feedback="again"),),
        now=NOW,
    )
    again = BrainRequest.model_validate_json(request.model_dump_json())
    assert again.model_dump_json() == request.model_dump_json()
    assert again.steps[0].answer == answer


def test_a_brain_that_fails_may_be_asked_again() -> None:
    assert isinstance(BrainFailed("slow"), TemporaryError)
    assert BrainFailed("slow").code == "brain-failed"
