"""`RulesBrain`: the `Brain` port without a model."""

from __future__ import annotations

from agent_store.adapters.brains.rules import mending
from agent_store.adapters.brains.rules.dialogue import NAME, converse
from agent_store.adapters.brains.rules.say import voice
from agent_store.adapters.brains.rules.turn import Turn, replay
from agent_store.kernel.brain import BrainAnswer, BrainRequest


class RulesBrain:
    """Sells by rules: deterministic, pure, in microseconds. What it wants to remember is in `BrainAnswer.memory`.

    It takes over a turn in which another brain has failed: what that one changed is told, and not done again.
    """

    name = NAME
    wants_history = False

    async def think(self, request: BrainRequest) -> BrainAnswer:
        refused = mending.refused(request.steps, NAME)
        if refused is not None:
            return mending.mend(refused, request.steps, voice(request).say("ask_need"))
        turn = Turn(request, voice(request))
        calls = replay(converse(turn), request, NAME)
        if calls:
            return BrainAnswer(tool_calls=calls, brain=NAME)
        return BrainAnswer(
            blocks=tuple(turn.blocks),
            understood=turn.understood,
            escalate=turn.escalate,
            memory=turn.memory.dump(),
            brain=NAME,
        )

    async def close(self) -> None:
        """Nothing is held open."""
