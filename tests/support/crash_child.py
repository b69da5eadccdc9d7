"""The whole store in a process that is made to die: `python -m tests.support.crash_child`, driven by `tests.support.crash`.

This process runs a store once, for all that it imports and compiles, and then waits; for each order on its standard input it
forks a child that runs the store, so that a start costs tenths of a second. The child kills itself (SIGKILL, no clean-up of
any kind) when the fuse that was set over HTTP has burnt down: it burns by one at each boundary. Nothing of the store knows of
it: the boundaries are wrapped around its ports, its database connection and its commit listeners from here.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import uvicorn
import uvloop

from agent_store.adapters.brains.rules import RulesBrain
from agent_store.adapters.telemetry import logs
from agent_store.agents.payments.ports import PaymentProvider
from agent_store.agents.seller.service import SellerBrains
from agent_store.agents.whatsapp.ports import WhatsAppApi
from agent_store.entrypoints.embedded import EmbeddedStore, FrontDoor
from agent_store.entrypoints.settings import load
from agent_store.entrypoints.up import bind
from agent_store.kernel.brain import Block, Brain, BrainAnswer, BrainRequest, Choice, ToolCall
from agent_store.kernel.money import Money

INNER = frozenset({"before thought", "after thought", "before tool call", "after tool call"})
"""Boundaries at which nothing has changed since the last commit, neither on the disk nor outside: dying there is dying at
that commit. They count when they are named."""


class Fuse:
    """Burns at each boundary that is passed; at the end of it the process is gone."""

    def __init__(self, grave: Path) -> None:
        self._grave = grave
        self.left: int | None = None
        self.only = ""
        self.passed: list[str] = []

    def set(self, length: int, only: str = "") -> None:
        """Die at the boundary with this number, of this kind (of any); 0: live on."""
        self.left, self.only, self.passed = length or None, only, []

    def burn(self, boundary: str) -> None:
        if self.left is None or (boundary != self.only if self.only else boundary in INNER):
            return
        self.passed.append(boundary)
        self.left -= 1
        if self.left <= 0:
            with self._grave.open("a") as grave:
                grave.write(boundary + "\n")
            os.kill(os.getpid(), signal.SIGKILL)


class Connection:
    """The store's writing connection, with a boundary on either side of each commit."""

    def __init__(self, inner: sqlite3.Connection, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if sql != "COMMIT":
            return self._inner.execute(sql, *args)
        self._fuse.burn("before commit")
        done = self._inner.execute(sql)
        self._fuse.burn("after commit, before publish")
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Around:
    """Any port, with a boundary before and after the named method."""

    def __init__(self, inner: Any, fuse: Fuse, method: str, name: str) -> None:
        self._inner = inner
        call: Callable[..., Any] = getattr(inner, method)

        async def fused(*args: Any, **kwargs: Any) -> Any:
            fuse.burn(f"before {name}")
            result = await call(*args, **kwargs)
            fuse.burn(f"after {name}")
            return result

        setattr(self, method, fused)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


SKUS = ("FAS-VPIMENTA-VM-P", "FAS-VPIMENTA-PT-PP", "FAS-VCHEMISE-VM-G", "FAS-VCHEMISE-VM-GG")
"""Of which there are dozens each."""
_WORDS = ("claro", "perfeito", "maravilha", "combinado", "certinho", "ótimo", "beleza", "prontinho")


class DriftingBrain:
    """Like a model: it has a plan, but other words, other call ids, another variant, quantity and carrier each time it is
    asked, also when it is asked the very same."""

    name = "drifting"
    wants_history = True

    def __init__(self) -> None:
        self._dice = random.SystemRandom()

    async def think(self, request: BrainRequest) -> BrainAnswer:
        await asyncio.sleep(0)
        said = " ".join(f"{line.text} {line.payload or ''}" for line in request.lines).lower()
        done = {
            result.call.name: result.data for step in request.steps for result in step.results if result.error is None
        }
        wanted = next((name for name in self._plan(said) if name not in done), None)
        if wanted is not None:
            call = ToolCall(
                id=f"call_{self._dice.random()}", name=wanted, arguments=self._arguments(wanted, said, done)
            )
            return BrainAnswer(tool_calls=(call,), brain=self.name)
        words = f"{self._dice.choice(_WORDS)}, {self._dice.choice(_WORDS)}!"
        if "fechar" in said:
            total = Money.model_validate(done["cart.view"]["subtotal"])
            yes = Choice(id="confirm_order", title="Confirmar pedido")
            block = Block(kind="buttons", text=f"{words} Seu carrinho soma {total}. Confirma?", choices=(yes,))
            return BrainAnswer(blocks=(block,), brain=self.name)
        return BrainAnswer(blocks=(Block(kind="text", text=words),), brain=self.name)

    def _plan(self, said: str) -> tuple[str, ...]:
        if "confirm_order" in said:
            return ("cart.view", "orders.place")
        if "fechar" in said:
            return ("cart.view", "fulfillment.quote")
        if "quero" in said:
            return ("catalog.search", "cart.add")
        if any(code in said for code in ("4242", "1111")):
            return ("payments.submit_test_card",)
        return ()

    def _arguments(self, tool: str, said: str, done: dict[str, Any]) -> dict[str, Any]:
        dice = self._dice
        match tool:
            case "catalog.search":
                return {
                    "text": dice.choice(("vestido", "vestido vermelho", "vestido midi")),
                    "limit": dice.randint(2, 5),
                }
            case "cart.add":
                return {"sku": dice.choice(SKUS), "quantity": dice.randint(1, 3)}
            case "fulfillment.quote":
                return {"cep": "01310-100"}
            case "orders.place":
                address = {"cep": "01310-100", "street": f"Av Paulista {dice.randint(1, 2000)}"}
                service = dice.choice(("economico", "expresso"))
                return {"cart_version": done["cart.view"]["version"], "delivery": "delivery", "service": service,
                        "address": address}  # fmt: skip
            case "payments.submit_test_card":
                return {"code": "1111" if "1111" in said else "4242"}
            case _:
                return {}

    async def close(self) -> None:
        pass


async def run(order: dict[str, Any]) -> None:
    data = Path(order["data"])
    fuse = Fuse(data / "grave")
    listener = bind("127.0.0.1", order["port"])
    settings = load(
        {}, data=data, port=listener.getsockname()[1], whatsapp_graph_url=order["graph"], whatsapp_app_secret=order["secret"],
        staff_token="staff-token-of-the-tests", burst_window=timedelta(0), whatsapp_pair_burst=0,
        whatsapp_doubt=timedelta(seconds=order["doubt"]),
    )  # fmt: skip
    store = EmbeddedStore(settings)
    _wrap(store, fuse, DriftingBrain() if order["brain"] == "drifting" else RulesBrain())
    front = FrontDoor(store)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/_test/"):
            await front(scope, receive, send)
            return
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        if scope["path"] == "/_test/fuse":
            fuse.set(int(query["length"]), query.get("only", ""))
        else:
            await store.runtime.settle()
        body = json.dumps(fuse.passed).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})

    server = uvicorn.Server(
        uvicorn.Config(app, interface="asgi3", log_config=None, access_log=False, lifespan="off")  # type: ignore[arg-type]
    )
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    if order.get("fuse"):
        fuse.set(order["fuse"])
    await store.start()
    await server.serve(sockets=[listener])


def _wrap(store: EmbeddedStore, fuse: Fuse, brain: Brain) -> None:
    runtime = store.runtime
    store.store._writer = Connection(store.store._writer, fuse)  # type: ignore[assignment]
    store.store.on_commit(lambda events, timers: fuse.burn("after publish"))
    ports = runtime.world.ports
    ports[WhatsAppApi] = Around(ports[WhatsAppApi], fuse, "send", "Graph request")
    ports[PaymentProvider] = Around(ports[PaymentProvider], fuse, "charge", "charge")
    thinking: Any = Around(brain, fuse, "think", "thought")
    rules: Any = thinking if brain.name == "rules" else RulesBrain()
    ports[SellerBrains] = SellerBrains(main=thinking, rules=rules)
    runtime.toolbox.call = Around(runtime.toolbox, fuse, "call", "tool call").call  # type: ignore[method-assign]
    accept = store.accept

    async def accept_between(delivery: Any) -> None:
        fuse.burn("after receive")
        await accept(delivery)
        fuse.burn("before the webhook's answer")

    store.accept = accept_between  # type: ignore[method-assign]


async def _once() -> None:
    with tempfile.TemporaryDirectory(prefix="agent-store-crash-") as folder:
        store = EmbeddedStore(load({}, data=Path(folder), whatsapp_graph_url="http://127.0.0.1:9", sample_data=False))
        await store.start()
        await store.stop()


def zygote() -> None:
    """Orders are JSON lines: {"do": "start", …} is answered with {"pid"}, {"do": "wait", "pid"} with {"status"} at its end.
    When the input ends, so do all children."""
    children: set[int] = set()
    uvloop.run(_once())
    gc.collect()
    gc.freeze()  # so that a child's collector does not copy the pages that it shares
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "start":
            pid = os.fork()
            if pid == 0:
                _child(order)
            children.add(pid)
            answer = {"pid": pid}
        else:
            _, status = os.waitpid(order["pid"], 0)
            children.discard(order["pid"])
            answer = {"status": os.waitstatus_to_exitcode(status)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _child(order: dict[str, Any]) -> None:
    code = 1
    try:
        log = os.open(Path(order["data"]) / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a free 0 would become some socket, which uvloop will not close
        logs.configure("info", "json")
        uvloop.run(run(order))
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    zygote()
