"""A seller's turn: the one loop in which every brain thinks, calls tools and answers.

Whatever decides how the turn goes on is journaled before it is used: what a brain answered, that it failed or was too
slow, what a tool gave. A resumed turn replays all of it and goes on where it was, so a brain that answers differently
each time neither orders twice nor answers twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic_core import to_jsonable_python

from agent_store.agents.seller import model, policy, presentation, truth
from agent_store.agents.seller.numbers import amounts_in
from agent_store.agents.seller.presentation import Rendered
from agent_store.agents.seller.repository import Sellers, Standing
from agent_store.agents.seller.settings import Circuit, SellerSettings
from agent_store.contracts.brands import Brand, Directory, prompt_of
from agent_store.contracts.chat import (
    ChatIntentDetected,
    ChatLine,
    ChatMessageNew,
    ChatResponse,
    Evidence,
    GetHistory,
    HistoryLine,
)
from agent_store.contracts.people import SalesEscalate
from agent_store.kernel.added import ToolContract, ToolContracts
from agent_store.kernel.brain import (
    Block,
    Brain,
    BrainAnswer,
    BrainFailed,
    BrainRequest,
    Choice,
    Line,
    LineItem,
    LinePlace,
    Step,
    ToolCall,
    ToolResult,
)
from agent_store.kernel.context import Context
from agent_store.kernel.errors import KeyReused, PermanentError, StaleSpeaker, StoreError, TemporaryError
from agent_store.kernel.ids import derived_id
from agent_store.kernel.limits import Rate, RateLimiter, allowed, used
from agent_store.kernel.metrics import Metrics
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Principal, Tool

__all__ = ["SellerBrains", "SellerSettings", "take_turn"]

_RULES_REWRITES = 2
"""The rules mend a reply first by leaving out the amounts in question, then all facts: it costs microseconds."""
_KEPT = timedelta(days=1)
"""How long evidence is kept after it has become stale: a resumed turn may still look back at it."""
PLAIN = "plain"
"""The name in `ChatResponse.brain` when no brain could answer."""


@dataclass(frozen=True)
class SellerBrains:
    """What a seller thinks with: `main`, and `rules` for when that fails. Both may be the same brain."""

    main: Brain
    rules: Brain
    circuit: Circuit = field(default_factory=Circuit)


class _Thought(BaseModel):
    """One journaled asking of a brain. `failed` says why there is no answer; `seconds` is the time it took."""

    model_config = ConfigDict(frozen=True)

    answer: BrainAnswer | None = None
    failed: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class _Reply:
    """How the turn ends."""

    rendered: Rendered
    brain: str
    evidence: tuple[Evidence, ...] = ()
    understood: bool = True
    escalate: str | None = None
    failed: bool = False
    shows_cart: bool = False


async def take_turn(ctx: Context, event: ChatMessageNew) -> None:
    """Answer a turn, unless somebody else speaks for the conversation meanwhile: then this one is over."""
    try:
        await _Turn(ctx, event).take()
    except StaleSpeaker:
        ctx.log.info("seller.turn_superseded", conversation=event.conversation_id, turn=event.number)


class _Turn:
    def __init__(self, ctx: Context, event: ChatMessageNew) -> None:
        self._ctx = ctx
        self._event = event
        self._settings = ctx.use(SellerSettings)
        self._brains = ctx.use(SellerBrains)
        # The event's own time: the same when the turn is resumed, so that what still holds is judged alike.
        self._began = ctx.event.time
        self._lines = tuple(_said(message) for message in event.messages)
        self._history: tuple[Line, ...] | None = None
        self._thoughts = 0
        self._spent = 0.0
        self._tokens = 0
        self._wrote: dict[tuple[str, str], ToolResult] = {}
        self._sealed = False
        self._used: list[Tool[Any]] = []
        self._presented: list[Block] = []
        self._person: str | None = None
        self._remember: dict[str, Any] | None = None
        self._memory: Mapping[str, Any] = {}
        self._standing = Standing()
        self._ledger = model.Ledger((), self._began)
        # A turn whose time ran out is granted anew, with the same first message: what the first one changed stands.
        self._effects = derived_id("said", event.conversation_id, *(line.message_id for line in event.messages[:1]))
        self._brand: Brand
        self._added: tuple[ToolContract, ...] = ()

    async def take(self) -> None:
        event, ctx = self._event, self._ctx
        ctx.acting_for(
            Principal(
                customer_id=event.customer_id,
                conversation_id=event.conversation_id,
                brand=event.brand,
                channel=event.channel,
                lease_token=event.lease_token,
                language=event.language,
            )
        )
        self._brand = ctx.use(Directory).brand(event.brand) or Brand(id=event.brand, name=event.brand, seller="")
        sellers = ctx.get(Sellers)
        self._standing = await sellers.standing(event.conversation_id)
        if self._standing.token >= event.lease_token:
            return  # this turn's end is committed already, or a later one's: nothing may be thought or called again
        self._memory = await sellers.memory(event.customer_id)
        findings = await sellers.findings(
            event.conversation_id, before_turn=event.number, now=self._began, most=self._settings.findings
        )
        self._ledger = model.Ledger(findings, self._began)
        self._added = await self._added_tools()
        await self._finish(await self._answer())

    async def _added_tools(self) -> tuple[ToolContract, ...]:
        """Those of other agents that the brand allows. Journaled: a resumed turn has the same, whatever has changed."""
        allowed = self._brand.tools
        wanted = policy.patterns(allowed)
        if not wanted:
            return ()
        contracts = self._ctx.use(ToolContracts)  # pyright: ignore[reportAbstractUsage]

        async def ask() -> tuple[ToolContract, ...]:
            return policy.usable(await contracts.contracts(wanted), allowed)

        return await self._ctx.step("added-tools", ask, tuple[ToolContract, ...], pure=True)

    # --- thinking ------------------------------------------------------------------------------------------------

    async def _answer(self) -> _Reply:
        """The main brain's answer; else the rules'; else what the tools gave, in plain words."""
        brains, steps = self._brains, list[Step]()
        if brains.main is not brains.rules:
            reply = await self._converse(brains.main, steps, is_main=True)
            if reply is not None:
                return reply
            self._presented.clear()
            # The rules see what the model did (not what it wrongly said), and may not change more than it has.
            steps = [step for step in steps if step.answer.tool_calls]
            self._sealed = bool(self._wrote)
        return await self._converse(brains.rules, steps, is_main=False) or self._plain()

    async def _converse(self, brain: Brain, steps: list[Step], *, is_main: bool) -> _Reply | None:
        """Think, call tools, think … until there is an answer that may be sent. None: this brain has no such answer.

        What it does is appended to `steps`.
        """
        rewrites = self._settings.rewrites if is_main else _RULES_REWRITES
        for _ in range(self._settings.max_steps):
            if is_main and (self._tokens > self._settings.max_tokens or self._time_left() <= 0):
                self._gave_up(brain, "the turn's tokens or seconds are used up")
                return None
            thought = await self._think(brain, steps, is_main=is_main)
            answer = thought.answer
            if answer is None:
                self._gave_up(brain, thought.failed or "no answer")
                return None
            self._tokens += answer.usage.input_tokens + answer.usage.output_tokens
            if answer.tool_calls:
                self._keep_memory(answer)
                steps.append(Step(answer=answer, results=tuple(await self._carry_out(answer.tool_calls))))
                if self._person is not None:
                    return self._reply(answer, brain, ())
                continue
            verdict, rendered, problems = self._judge(answer)
            if problems and rewrites > 0:
                rewrites -= 1
                steps.append(Step(answer=answer, feedback=_feedback(problems)))
                self._ctx.log.info("seller.rewrite", brain=brain.name, problems=len(problems))
                continue
            if verdict.unsupported and answer.escalate is not None:
                self._keep_memory(answer)
                return self._reply(answer, brain, ())  # the person who comes will say it right
            if verdict.unsupported or not (rendered.blocks or answer.escalate):
                self._gave_up(brain, "an unsupported fact" if verdict.unsupported else "said nothing")
                return None
            self._keep_memory(answer)
            return self._reply(answer, brain, verdict.supported, rendered)
        self._gave_up(brain, f"no answer in {self._settings.max_steps} steps")
        return None

    def _keep_memory(self, answer: BrainAnswer) -> None:
        """Of what is done or sent. A reply that was sent back was never said: a brain must not remember it as asked."""
        if answer.memory is not None:
            self._memory = self._remember = answer.memory

    def _time_left(self) -> float:
        return self._settings.turn_time.total_seconds() - self._spent

    def _gave_up(self, brain: Brain, why: str) -> None:
        self._ctx.log.warning("seller.brain_gave_up", brain=brain.name, turn=self._event.number, reason=why)

    async def _think(self, brain: Brain, steps: Sequence[Step], *, is_main: bool) -> _Thought:
        self._thoughts += 1
        settings, circuit = self._settings, self._brains.circuit
        if brain.wants_history and self._history is None:
            self._history = await self._read_history()
        request = self._request(brain, steps, is_main=is_main)
        limit = settings.think_time.total_seconds()
        if is_main:
            limit = min(limit, self._time_left())
        clock = asyncio.get_running_loop().time

        async def ask() -> _Thought:
            """Failure is a result as well: a resumed turn must go the same way."""
            if is_main and not circuit.closed(self._ctx.now()):
                return _Thought(failed="the circuit is open after failures in a row")
            if is_main and (gone := await self._budget_gone()) is not None:
                return _Thought(failed=gone)
            begun = clock()
            try:
                async with asyncio.timeout(limit):
                    answer = await brain.think(request)
            except (BrainFailed, TimeoutError) as error:
                if is_main:
                    circuit.failed(self._ctx.now(), settings)
                reason = error.message if isinstance(error, BrainFailed) else f"no answer in {limit:g} s"
                return _Thought(failed=reason, seconds=clock() - begun)
            if is_main:
                circuit.succeeded()
                await self._charge(answer.usage.input_tokens + answer.usage.output_tokens)
            return _Thought(answer=answer, seconds=clock() - begun)

        # The rules give the same answer to the same request; a model's is never asked for twice.
        thought = await self._ctx.step(f"think:{self._thoughts}", ask, _Thought, pure=brain is self._brains.rules)
        self._spent += thought.seconds
        return thought

    def _budgets(self) -> tuple[tuple[str, str, Rate], ...]:
        """(whose, key, tokens and time) of each budget that this turn draws on."""
        return (
            ("brand", f"tokens:brand:{self._event.brand}", self._settings.brand_tokens),
            ("customer", f"tokens:customer:{self._event.customer_id}", self._settings.customer_tokens),
        )

    async def _budget_gone(self) -> str | None:
        """Why the model may not be asked now; None when it may."""
        limiter = self._ctx.use(RateLimiter)  # pyright: ignore[reportAbstractUsage]
        for whose, key, rate in self._budgets():
            if not (await allowed(limiter, key, rate, 0)).allowed:
                self._ctx.use(Metrics).count("model_budget_used", of=whose)  # pyright: ignore[reportAbstractUsage]
                return f"the {whose}'s model tokens are used up"
        return None

    async def _charge(self, tokens: int) -> None:
        """What the model has cost is known afterwards: so it counts past the limit too."""
        limiter = self._ctx.use(RateLimiter)  # pyright: ignore[reportAbstractUsage]
        for _, key, rate in self._budgets():
            await used(limiter, key, rate, tokens)

    def _request(self, brain: Brain, steps: Sequence[Step], *, is_main: bool) -> BrainRequest:
        event = self._event
        model_like = brain is not self._brains.rules
        return BrainRequest(
            brand=event.brand,
            seller=self._brand.seller,
            language=event.language,
            system=self._prompt() if model_like else "",
            lines=self._lines,
            history=self._history or () if brain.wants_history else (),
            tools=(*policy.specs(), *policy.added_specs(self._added)) if model_like else (),
            added=() if model_like else self._added,
            steps=tuple(steps),
            memory=self._memory,
            greeting=self._brand.greeting.get(event.language, ""),
            now=self._began,
            channel=event.channel,
        )

    def _prompt(self) -> str:
        brand = prompt_of(self._brand, self._event.conversation_id)
        return f"{self._ctx.use(Directory).house_prompt()}\n\n{brand}".strip()

    async def _read_history(self) -> tuple[Line, ...]:
        """Earlier lines; none when they cannot be had: a turn without history is better than no answer."""
        limit = self._settings.history
        if limit == 0:
            return ()
        try:
            lines = await self._ctx.call(GetHistory(limit=limit, before_turn=self._event.number), key="history")
        except StoreError as error:
            self._ctx.log.warning("seller.no_history", code=error.code)
            return ()
        return tuple(_line(line) for line in lines)

    # --- tools ---------------------------------------------------------------------------------------------------

    async def _carry_out(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        results: list[ToolResult] = []
        for position, call in enumerate(calls):
            if position >= self._settings.max_calls:
                message = (
                    f"at most {self._settings.max_calls} calls at a time: make this one again if it is still needed"
                )
                results.append(ToolResult(call=call, error=message, code="too-many-calls"))
            elif call.name in policy.VIRTUAL:
                results.append(self._present(call))
            else:
                results.append(await self._call(call, f"{self._thoughts}.{position}:{call.name}"))
        return results

    async def _call(self, call: ToolCall, key: str) -> ToolResult:
        try:
            tool = policy.tool_of(call.name, call.arguments, self._added)
        except policy.BadCall as error:
            return ToolResult(call=call, error=error.message, code=error.code)
        said = policy.Said(self._lines, self._event.language, self._standing.shown_cart)
        if (refusal := policy.refusal(tool, said)) is not None:
            return ToolResult(call=call, error=refusal.message, code=refusal.code)
        same = (tool.tool_name, tool.model_dump_json())
        if tool.writes and (before := self._wrote.get(same)) is not None:
            # A brain that begins again after a correction means the change that it has made already.
            return before.model_copy(update={"call": call})
        if tool.writes and self._sealed:
            message = "something has been changed in this turn already: tell the customer what, and change no more"
            return ToolResult(call=call, error=message, code="already-done")
        self._used.append(tool)
        try:
            result = await self._ctx.call(tool, key=key, once=self._effects if tool.writes else None)
        except (StaleSpeaker, KeyReused):
            raise
        except PermanentError as error:
            details: dict[str, Any] | None = to_jsonable_python(error.details, fallback=str) if error.details else None
            if details is not None:
                self._learn(
                    model.find_in_refusal(
                        tool, details, call=call.id, turn=self._event.number, at=self._began, settings=self._settings
                    )
                )
            return ToolResult(call=call, data=details, error=error.message, code=error.code)
        except TemporaryError as error:
            if tool.writes:
                raise  # it may have happened: tried again under the same key, never guessed
            return ToolResult(call=call, error=f"{tool.tool_name} cannot be reached right now", code=error.code)
        self._learn(
            model.find(tool, result, call=call.id, turn=self._event.number, at=self._began, settings=self._settings)
        )
        done = ToolResult(call=call, data=type(tool).result_adapter.dump_python(result, mode="json"))
        if tool.writes:
            self._wrote[same] = done
        return done

    def _learn(self, finding: model.Finding | None) -> None:
        if finding is not None:
            self._ledger.add(finding)

    def _present(self, call: ToolCall) -> ToolResult:
        """The tools that are no tools: cards and choices of the reply, and the wish for a person."""
        arguments = call.arguments
        text = _text(arguments.get("text"))
        if call.name == policy.BRING_PERSON:
            reason = _text(arguments.get("reason")) or "complex"
            self._person = f"{reason}: {_text(arguments.get('note'))}"
            return ToolResult(call=call, data={"ok": True})
        if call.name == policy.SHOW_PRODUCTS:
            ids = _texts(arguments.get("ids"))
            known = [item for item in ids if self._ledger.product(item) is not None]
            missing = [item for item in ids if item not in known]
            if not known:
                message = f"no tool has returned {', '.join(missing) or 'any product'}: search first, then use its ids"
                return ToolResult(call=call, error=message, code="unknown-products")
            self._presented = [block for block in self._presented if block.items != tuple(known)]
            self._presented.append(Block(kind="products", text=text, items=tuple(known)))
            return ToolResult(call=call, data={"shown": known, "unknown": missing})
        choices = _choices(arguments.get("choices"))
        if not choices:
            return ToolResult(call=call, error="choices: a list of objects with a title", code="invalid-arguments")
        kind: Literal["buttons", "list"] = "buttons" if len(choices) <= 3 else "list"
        self._presented = [block for block in self._presented if block.kind == "products"]
        self._presented.append(Block(kind=kind, text=text, choices=choices))
        return ToolResult(call=call, data={"offered": [choice.title for choice in choices]})

    # --- judging -------------------------------------------------------------------------------------------------

    def _judge(self, answer: BrainAnswer) -> tuple[truth.Verdict, Rendered, list[str]]:
        """The answer as a customer would see it, and what speaks against sending it."""
        shown = [block for block in self._presented if block.kind == "products"]
        asked = [block for block in self._presented if block.kind != "products"]
        rendered = presentation.render(
            [*shown, *answer.blocks, *asked],
            self._ledger,
            language=self._event.language,
            low_stock=self._settings.low_stock,
        )
        verdict = self._check(rendered)
        problems = [f"{claim.stated!r} stands in no tool result that is still valid" for claim in verdict.unsupported]
        problems += [f"product {item!r} has been returned by no tool" for item in rendered.unknown]
        if not rendered.blocks and answer.escalate is None:
            problems.append("the reply is empty")
        return verdict, rendered, problems

    def _check(self, rendered: Rendered) -> truth.Verdict:
        echo = self._echo()
        verdicts = [
            truth.check(text, self._ledger, echo, language=self._event.language, choice=choice)
            for text, choice in rendered.texts
        ]
        return truth.Verdict(
            tuple(one for verdict in verdicts for one in verdict.supported),
            tuple(one for verdict in verdicts for one in verdict.unsupported),
        )

    def _echo(self) -> truth.Echo:
        """What the customer said, and the limits that were searched by on their behalf."""
        said = [line for line in (*(self._history or ()), *self._lines) if line.role == "customer"]
        folded = model.fold("\n".join(line.text for line in said))
        limits = {
            value.minor for tool in self._used for name in ("min_price", "max_price")
            if isinstance(value := getattr(tool, name, None), Money)
        }  # fmt: skip
        return truth.Echo(amounts_in(folded) | limits, truth.orders_in(folded), folded)

    def _reply(
        self, answer: BrainAnswer, brain: Brain, supported: Sequence[truth.Supported], rendered: Rendered | None = None
    ) -> _Reply:
        refs = {one.known.fact.ref for one in supported}
        shows_cart = any(ref == "cart:subtotal" or ref.startswith("cart:total:") for ref in refs)
        rendered = rendered or Rendered((), ())
        return _Reply(
            rendered=rendered,
            brain=answer.brain or brain.name,
            evidence=tuple(dict.fromkeys([*_evidence(supported), *rendered.evidence])),
            understood=answer.understood,
            escalate=self._person or answer.escalate,
            shows_cart=shows_cart or rendered.confirms,
        )

    def _plain(self) -> _Reply:
        rendered = presentation.plain(self._ledger, language=self._event.language, low_stock=self._settings.low_stock)
        return _Reply(rendered, PLAIN, rendered.evidence, understood=False, failed=True)

    # --- the end -------------------------------------------------------------------------------------------------

    async def _finish(self, reply: _Reply) -> None:
        """Response, memory, evidence and what follows from them: one commit, by the holder of the lease only."""
        event, settings = self._event, self._settings
        misses = 0 if reply.understood and not reply.failed else self._standing.misses + 1
        escalate = reply.escalate
        blocks = reply.rendered.blocks
        if escalate is None and misses >= settings.misses:
            # `conversations` tells the customer that a person comes: another "I did not understand" helps nobody.
            escalate, blocks, misses = "failed" if reply.failed else "not_understood", (), 0
        shown = self._ledger.cart_version if reply.shows_cart else self._standing.shown_cart
        escalation = await self._escalation(escalate) if escalate is not None else None
        intent = self._intent()
        remember = self._remember

        async def commit(tx: Context) -> None:
            await tx.fence(event.conversation_id, event.lease_token)
            sellers = tx.get(Sellers)
            if remember is not None:
                await sellers.remember(event.customer_id, remember, tx.now())
            standing = Standing(event.lease_token, misses, shown)
            await sellers.keep(event.conversation_id, event.customer_id, standing, tx.now())
            await sellers.add_findings(event.conversation_id, event.number, self._ledger.lasting)
            await sellers.forget_stale(tx.now() - _KEPT)
            tx.emit(
                ChatResponse(
                    conversation_id=event.conversation_id,
                    customer_id=event.customer_id,
                    lease_token=event.lease_token,
                    turn=event.number,
                    blocks=blocks,
                    author_name=self._brand.seller,
                    brain=reply.brain,
                    understood=reply.understood,
                    evidence=reply.evidence if blocks else (),
                    brand=event.brand,
                )
            )
            if intent is not None:
                tx.emit(intent)
            if escalation is not None:
                tx.emit(escalation)

        self._ctx.at_end(commit)

    async def _escalation(self, words: str) -> SalesEscalate:
        if self._history is None:
            self._history = await self._read_history()
        event, reason = self._event, policy.reason_of(words)
        return SalesEscalate(
            conversation_id=event.conversation_id,
            customer_id=event.customer_id,
            lease_token=event.lease_token,
            reason=reason,
            summary=presentation.summary(reason, words, self._history, self._lines, self._ledger),
            priority="high" if reason == "sentiment" else "normal",
            brand=event.brand,
            language=event.language,
        )

    def _intent(self) -> ChatIntentDetected | None:
        """What the customer came for, by what was done for them; a change says it surely, a look only likely."""
        if not self._used or not self._settings.intents:
            return None
        told = next((tool for tool in reversed(self._used) if tool.writes), self._used[-1])
        return ChatIntentDetected(
            conversation_id=self._event.conversation_id,
            customer_id=self._event.customer_id,
            intent=told.tool_name,
            confidence=1.0 if told.writes else 0.7,
            brand=self._event.brand,
        )


def _feedback(problems: Sequence[str]) -> str:
    listed = "; ".join(dict.fromkeys(problems))
    return (
        f"This reply was not sent: {listed}. State prices, stock, dates, discounts, order numbers and links only as a "
        "tool result gives them; call the tool that tells, or write the reply without them."
    )


def _evidence(supported: Sequence[truth.Supported]) -> list[Evidence]:
    found: list[Evidence] = []
    for one in supported:
        kind = one.claim.kind
        if kind in ("price", "stock", "date", "discount", "order"):
            found.append(Evidence(kind=kind, stated=one.claim.stated, source=one.known.source))
    return found


def _said(message: ChatLine) -> Line:
    place = message.place
    return Line(
        role="customer",
        text=message.text,
        payload=message.payload,
        kind=message.kind,
        quoted=message.quoted,
        items=tuple(LineItem(sku=item.sku, quantity=item.quantity) for item in message.items),
        about=message.about,
        seen=message.seen,
        place=None if place is None else LinePlace.model_validate(place.model_dump()),
        at=message.at,
    )


def _line(line: HistoryLine) -> Line:
    return Line(role=line.role, text=line.text, payload=line.payload, beside=line.beside, at=line.at)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list | tuple):
        return []
    return list(dict.fromkeys(str(one) for one in value if isinstance(one, str | int)))[:20]  # type: ignore[reportUnknownVariableType]


def _choices(value: object) -> tuple[Choice, ...]:
    """A model gives objects with id and title, or plain titles."""
    if not isinstance(value, list | tuple):
        return ()
    found: list[Choice] = []
    for one in value:  # type: ignore[reportUnknownVariableType]
        title: object = one.get("title") if isinstance(one, dict) else one  # type: ignore[reportUnknownMemberType]
        key: object = one.get("id") if isinstance(one, dict) else None  # type: ignore[reportUnknownMemberType]
        if isinstance(title, str) and title.strip():
            found.append(Choice(id=key if isinstance(key, str) and key else f"say:{title}", title=title.strip()))
    return tuple(found[:10])
