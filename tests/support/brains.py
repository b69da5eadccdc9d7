"""Brains for tests: scripted, random, different each time, failing; and rules that only echo."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any, Literal

from agent_store.kernel.brain import (
    Block,
    Brain,
    BrainAnswer,
    BrainFailed,
    BrainRequest,
    Choice,
    ToolCall,
    Usage,
)

Move = BrainAnswer | Exception | Callable[[BrainRequest], BrainAnswer]


def say(text: str, **fields: Any) -> BrainAnswer:
    return BrainAnswer(blocks=(Block(kind="text", text=text),), **fields)


def use(*calls: tuple[str, dict[str, Any]], tokens: int = 0) -> BrainAnswer:
    """Call tools: `use(("cart.add", {"sku": "VES-P"}))`."""
    wishes = tuple(
        ToolCall(id=f"call_{position}", name=name, arguments=arguments)
        for position, (name, arguments) in enumerate(calls)
    )
    return BrainAnswer(tool_calls=wishes, usage=Usage(input_tokens=tokens))


class ScriptedBrain:
    """Makes its moves one after the other, whatever it is asked; an exception is raised. `asked` keeps the requests."""

    wants_history = True

    def __init__(self, *moves: Move, name: str = "scripted") -> None:
        self._moves = list(moves)
        self.name = name
        self.asked: list[BrainRequest] = []

    async def think(self, request: BrainRequest) -> BrainAnswer:
        self.asked.append(request)
        if not self._moves:
            raise BrainFailed("the script is over")
        move = self._moves.pop(0)
        if isinstance(move, Exception):
            raise move
        return move if isinstance(move, BrainAnswer) else move(request)

    async def close(self) -> None:
        pass


class HangingBrain(ScriptedBrain):
    """Never answers."""

    async def think(self, request: BrainRequest) -> BrainAnswer:
        self.asked.append(request)
        await asyncio.Event().wait()
        raise AssertionError("nobody sets this event")


class EchoRules:
    """Stands in for the rules: no tools, no history, an honest sentence. Remembers how often it was asked."""

    name = "rules"
    wants_history = False

    def __init__(self, text: str = "Pode me contar mais?") -> None:
        self._text = text
        self.asked: list[BrainRequest] = []

    async def think(self, request: BrainRequest) -> BrainAnswer:
        self.asked.append(request)
        turns = int(request.memory.get("turns", 0)) + 1
        return say(self._text, brain=self.name, memory={"turns": turns})

    async def close(self) -> None:
        pass


class FickleBrain:
    """Another answer each time it is asked, also when it is asked the same: other words, other call ids, other quantities.

    Its plan is the same, though: look, put one in the cart or (on a yes) place the order, answer.
    """

    name = "fickle"
    wants_history = False

    def __init__(self) -> None:
        self._count = itertools.count(1)
        self.asked = 0

    async def think(self, request: BrainRequest) -> BrainAnswer:
        self.asked += 1
        salt = next(self._count)
        done = [result.call.name for step in request.steps for result in step.results if result.error is None]
        confirmed = any(line.text == "sim" for line in request.lines)
        plan = ["cart.view", "orders.place"] if confirmed else ["catalog.search", "cart.add", "fulfillment.quote"]
        wanted = next((name for name in plan if name not in done), None)
        arguments: dict[str, Any] = {}
        if wanted == "catalog.search":
            arguments = {"text": random.choice(["vestido", "aurora", ""]), "limit": 2 + salt % 3}
        elif wanted == "cart.add":
            arguments = {"sku": random.choice(["VES-P", "CIN-U"]), "quantity": 1 + salt % 2}
        elif wanted == "fulfillment.quote":
            arguments = {"cep": random.choice(["01310-100", "20040-020"])}
        elif wanted == "orders.place":
            view = next(r.data for step in request.steps for r in step.results if r.call.name == "cart.view")
            arguments = {"cart_version": view["version"], "delivery": random.choice(["delivery", "pickup"])}
        if wanted is not None:
            call = ToolCall(id=f"call_{random.random()}", name=wanted, arguments=arguments)
            return BrainAnswer(tool_calls=(call,), brain=self.name)
        ask = Choice(id="confirm_order", title="Sim, confirmar")
        text = f"Tudo certo por aqui, resposta de número {'i' * (salt % 7 + 1)}. Confirma?"
        return BrainAnswer(blocks=(Block(kind="buttons", text=text, choices=(ask,)),), brain=self.name)

    async def close(self) -> None:
        pass


class RandomBrain:
    """Calls tools at random with random arguments, good and bad, and says what comes to its mind.

    `pool` are values worth trying (SKUs, order numbers, CEPs of the store under test). The same seed does the same.
    """

    name = "random"
    wants_history = True

    def __init__(self, seed: int, *, pool: Sequence[str] = (), tools: Sequence[str] | None = None) -> None:
        self._random = random.Random(seed)
        self._pool = (
            *pool,
            "",
            "NO-SUCH-SKU",
            "AS-ZZZZZZ",
            "01310-100",
            "00000000",
            "vestido",
            "*",
            "'; DROP TABLE cart_carts;--",
        )
        self._tools = tools

    async def think(self, request: BrainRequest) -> BrainAnswer:
        dice = self._random
        if dice.random() < 0.05:
            raise BrainFailed("random failure")
        if len(request.steps) < 6 and dice.random() < 0.75:
            count = dice.randint(1, 3)
            return BrainAnswer(tool_calls=tuple(self._call(request) for _ in range(count)), brain=self.name)
        return BrainAnswer(blocks=tuple(self._block() for _ in range(dice.randint(0, 3))), brain=self.name,
                           escalate="complex" if dice.random() < 0.03 else None)  # fmt: skip

    def _call(self, request: BrainRequest) -> ToolCall:
        dice = self._random
        specs = [spec for spec in request.tools if self._tools is None or spec.name in self._tools]
        if not specs or dice.random() < 0.08:
            name = dice.choice(["pricing.set", "orders.ship", "inventory.adjust", "shell.run", "cart.add", ""])
            return ToolCall(id=str(dice.random()), name=name, arguments={"sku": self._text(), "price": "0.01"})
        spec = dice.choice(specs)
        properties: dict[str, Any] = spec.parameters.get("properties", {})
        required = set(spec.parameters.get("required", ()))
        arguments = {
            name: self._value(schema) for name, schema in properties.items() if name in required or dice.random() < 0.5
        }
        if dice.random() < 0.1:
            arguments[self._text() or "customer_id"] = "someone-else"
        return ToolCall(id=str(dice.random()), name=spec.name, arguments=arguments)

    def _text(self) -> str:
        return self._random.choice(self._pool)

    def _value(self, schema: dict[str, Any]) -> Any:
        dice = self._random
        if dice.random() < 0.1:
            return dice.choice([None, -1, 0, 10**12, 3.7, "null", [], {}, True])
        if "enum" in schema:
            return dice.choice(schema["enum"])
        kind = schema.get("type")
        if kind == "integer":
            return dice.choice([0, 1, 1, 2, 3, 5, 99, 100, -3])
        if kind == "array":
            return [self._value(schema.get("items", {"type": "string"})) for _ in range(dice.randint(0, 3))]
        if kind == "object":
            return {name: self._value(one) for name, one in schema.get("properties", {}).items()}
        if kind == "boolean":
            return dice.random() < 0.5
        return self._text()

    def _block(self) -> Block:
        dice = self._random
        text = dice.choice([
            "Oi! Como posso ajudar?", "Só hoje por R$ 1,00!", f"Custa R$ {dice.randint(1, 999)},90.", "Últimas 2 unidades!",
            "50% de desconto!", "Chega amanhã.", f"Pedido AS-{dice.randint(100000, 999999)} confirmado.", "Frete grátis!",
            "Pague em https://evil.example/pay", "Qual é a ocasião?", "",
        ])  # fmt: skip
        kinds: list[Literal["text", "products", "buttons", "list"]] = ["text", "products", "buttons", "list"]
        kind = dice.choice(kinds)
        choices = tuple(Choice(id=self._text() or "x", title=dice.choice(["Sim", "Não", "R$ 5,00", "", "Um título longo demais para caber"]))
                        for _ in range(dice.randint(0, 12)))  # fmt: skip
        return Block(
            kind=kind, text=text, items=tuple(self._text() for _ in range(dice.randint(0, 4))), choices=choices
        )

    async def close(self) -> None:
        pass


_all: tuple[type[Brain], ...] = (
    ScriptedBrain,
    EchoRules,
    FickleBrain,
    RandomBrain,
)  # each is a Brain, for the type checker
