"""The built-in simulator inside a running store: it shows the store's own catalogue, and its files reach the gateway's reader."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

COMMAND = str(Path(sys.executable).with_name("agent-store"))
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_STORE_")}

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient]:
    data = tmp_path / "var"
    with (tmp_path / "out").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            COMMAND, "up", "--port", "0", "--data", str(data), cwd=ROOT,
            env={**ENVIRONMENT, "AGENT_STORE_BURST_WINDOW": "0"}, stdout=output, stderr=output,
        )  # fmt: skip
        async with asyncio.timeout(90):
            while not (data / "run.json").exists():
                assert process.returncode is None, (tmp_path / "out").read_text()
                await asyncio.sleep(0.05)
        run = json.loads((data / "run.json").read_text())
        headers = {"Authorization": f"Bearer {run['token']}"}
        async with httpx.AsyncClient(base_url=f"{run['url']}/simulator/api", headers=headers, timeout=40) as http:
            yield http
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0


async def test_a_cart_of_the_stores_own_catalogue_is_sent_and_answered(api: httpx.AsyncClient) -> None:
    numbers: list[Any] = (await api.get("/numbers")).json()
    fashion = next(number for number in numbers if number["brand"] == "fashion")["phone_number_id"]
    products: list[Any] = (await api.get(f"/numbers/{fashion}/products", params={"words": "vestido"})).json()
    assert products
    assert all(product["price"] and product["image"].startswith("/media/products/") for product in products)
    wanted = next(product for product in products if product["available"])
    customer = (await api.get("/customers")).json()[0]["id"]
    order = {"items": {wanted["retailer_id"]: 1}}
    sent = await api.post("/messages", json={"customer": customer, "phone_number_id": fashion, "order": order})
    assert sent.status_code == 201, sent.text
    (line,) = sent.json()["lines"]
    assert (line["title"], line["price"]) == (wanted["title"], wanted["price"])
    chat = f"/customers/{customer}/chats/{fashion}/messages"
    answers = (await api.get(chat, params={"after": sent.json()["seq"], "wait": 30, "of": "store"})).json()
    assert answers, "the store said nothing to an order"
    missing = {"customer": customer, "phone_number_id": fashion, "order": {"items": {"NO-SUCH-SKU": 1}}}
    assert (await api.post("/messages", json=missing)).status_code == 404
