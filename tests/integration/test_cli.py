"""The command line against a store that `agent-store up` runs, simulator and all, as a new user would."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from agent_store.contracts.templates import CODES, TEMPLATES

COMMAND = str(Path(sys.executable).with_name("agent-store"))
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_STORE_")}

pytestmark = pytest.mark.timeout(180)


class Shop:
    def __init__(self, data: Path) -> None:
        self.data = data

    async def run(self, *arguments: str, stdin: str = "", code: int = 0) -> str:
        """Run a command; returns what it printed (both streams)."""
        process = await asyncio.create_subprocess_exec(
            COMMAND, *arguments, "--data", str(self.data), cwd=ROOT,
            env={**ENVIRONMENT, "NO_COLOR": "1"},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(120):
            printed, _ = await process.communicate(stdin.encode())
        text = printed.decode()
        assert process.returncode == code, text
        return text


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncGenerator[Shop]:
    data = tmp_path / "var"
    with (tmp_path / "out").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            COMMAND, "up", "--port", "0", "--data", str(data), cwd=ROOT, env={**ENVIRONMENT, "AGENT_STORE_BURST_WINDOW": "0"},
            stdout=output, stderr=output,
        )  # fmt: skip
        async with asyncio.timeout(90):
            while not (data / "run.json").exists():
                assert process.returncode is None, (tmp_path / "out").read_text()
                await asyncio.sleep(0.05)
        yield Shop(data)
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
    printed = (tmp_path / "out").read_text()
    for address in ("/simulator", "/escalations", "/docs", "/metrics"):
        assert address in printed
    assert "nothing is lost" in printed
    assert not (data / "run.json").exists()


async def test_the_demo_walks_the_whole_journey_and_the_rest_can_be_looked_at_afterwards(shop: Shop) -> None:
    told = await shop.run("demo", "--fast")
    for event in (
        "store.whatsapp.message.received",
        "store.order.created",
        "store.payment.failed",
        "store.order.confirmed",
        "store.order.delivered",
    ):
        assert event in told, told
    order = re.findall(r"AS-[A-Z0-9]{6}", told)[-1]
    assert f"{order} " in await shop.run("order", "list")
    assert "delivered" in await shop.run("order", "list", "--state", "delivered")
    assert "total" in await shop.run("order", "show", order)
    assert "there is no order" in await shop.run("order", "show", "AS-NOTONE", code=1)

    listed = await shop.run("conversation", "list")
    conversation = listed.split()[0]
    tree = await shop.run("conversation", "show", conversation)
    for piece in ("store.chat.message.new", "think:1", "catalog.search", "orders.place"):
        assert piece in tree, tree
    assert json.loads(await shop.run("conversation", "show", conversation, "--json"))[0]["effects"]
    assert "there is no conversation" in await shop.run("conversation", "show", "nothing", code=1)

    lines = (
        await shop.run("events", "tail", "--no-follow", "--last", "5000", "--type", "store.order.", "--json")
    ).splitlines()
    types = [json.loads(line)["type"] for line in lines]
    assert types[0] == "store.order.created"
    assert types[-1] == "store.order.delivered"
    assert await shop.run("dead", "list") == "No dead letters.\n"


async def test_a_sixth_brand_and_a_catalogue_file_are_sold_at_once(shop: Shop, tmp_path: Path) -> None:
    assert "is open: Teo answers" in await shop.run("brand", "add", "examples/brands/pets.yaml")
    assert "pets" in await shop.run("brand", "list")
    answer = await shop.run("chat", "--brand", "pets", stdin="oi, tem coleira?\n")
    assert "Teo" in answer
    assert "R$ 49,90" in answer

    bad = tmp_path / "bad.csv"
    bad.write_text(
        "product_id;name;category;sku;price;brand\na1;A;cat;SKU-1;free;fashion\na2;B;cat;sku 2;10,00;fashion\n"
    )
    refused = await shop.run("catalog", "import", str(bad), code=1)
    assert "line 2: price" in refused
    assert "line 3: sku" in refused
    assert "nothing was imported" in refused
    good = tmp_path / "good.csv"
    good.write_text(
        "product_id;name;category;sku;price;brand;stock\ncolete-zebra;Colete Zebra;coletes;FAS-ZEBRA-1;77,70;fashion;cd-cajamar=3\n"
    )
    assert "1 products with 1 variants" in await shop.run("catalog", "import", str(good))
    assert "R$ 77,70" in await shop.run(
        "chat", "--brand", "fashion", "--as", "5511900000777", stdin="tem colete zebra?\n"
    )


async def test_a_card_number_typed_into_the_phone_is_in_no_file_of_the_folder(shop: Shop) -> None:
    await shop.run("chat", "--as", "5511900000666", stdin="meu cartão é 4111 1111 1111 1111, pode cobrar\n")
    found = [path.name for path in shop.data.rglob("*") if path.is_file() and b"4111 1111" in path.read_bytes()]
    assert found == []


async def test_a_person_takes_over_from_the_terminal(shop: Shop) -> None:
    assert "Nobody waits" in await shop.run("escalations")
    await shop.run("chat", "--as", "5511900000888", stdin="quero falar com uma pessoa\n")
    queue = await shop.run("escalations")
    escalation = queue.split()[0]
    assert "asked" in queue
    conversation = (await shop.run("conversation", "list")).split()[0]
    assert "decided escalated" in await shop.run("conversation", "show", conversation)
    await shop.run("escalations", "claim", escalation, "--as", "Rita")
    assert "Rita" in await shop.run("escalations", "claim", escalation, "--as", "Paulo", code=1)
    await shop.run("escalations", "reply", escalation, "Oi, aqui é a Rita!", "--as", "Rita")
    await shop.run("escalations", "hand-back", escalation, "--outcome", "helped", "--as", "Rita")
    assert "Nobody waits" in await shop.run("escalations")


async def test_one_store_a_folder_and_no_reset_of_a_running_one(shop: Shop) -> None:
    assert "another store runs on" in await shop.run("reset", "--yes", code=1)
    assert "another store runs on" in await shop.run("up", "--port", "0", code=1)


async def test_without_a_store_a_command_says_how_to_start_one_and_reset_deletes_no_strange_folder(
    tmp_path: Path,
) -> None:
    shop = Shop(tmp_path)
    assert "no store runs on" in await shop.run("order", "list", code=1)
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "does not look like a store's data folder" in await shop.run("reset", "--yes", code=1)
    assert (tmp_path / "thesis.txt").exists()


# --- Meta's side, for which the simulator stands

FASHION = "100000000000001"
CATALOG = "4242424242"


async def test_meta_s_side_is_brought_in_step_with_the_store(shop: Shop) -> None:
    await _templates(shop)
    await _catalog(shop)
    await _profile(shop)


async def _templates(shop: Shop) -> None:
    status = await shop.run("whatsapp", "templates", "status")
    assert status.count("APPROVED") == len(TEMPLATES) * len(CODES)
    assert "submit it again" not in status
    again = await shop.run("whatsapp", "templates", "submit")
    assert again.count("APPROVED") == len(TEMPLATES) * len(CODES), "what is there already is left alone"
    assert "there is no template order_lost" in await shop.run("whatsapp", "templates", "submit", "order_lost", code=1)
    assert '"name": "survey"' in await shop.run("whatsapp", "templates", "submit", "survey", "--dry-run")


async def _catalog(shop: Shop) -> None:
    missing = await shop.run("whatsapp", "catalog", "sync", "fashion", code=1)
    assert "fashion has no catalogue: give --catalog" in missing
    assert "there is no brand nobody" in await shop.run(
        "whatsapp", "catalog", "sync", "nobody", "--catalog", "1", code=1
    )
    planned = await shop.run("whatsapp", "catalog", "sync", "fashion", "--catalog", CATALOG, "--dry-run")
    items = int(planned.split(" items to bring in")[0])
    assert items > 100
    done = await shop.run("whatsapp", "catalog", "sync", "fashion", "--catalog", CATALOG)
    assert f"{items} of {items} done" in done
    other = await shop.run("whatsapp", "catalog", "sync", "tech", "--catalog", CATALOG, "--dry-run")
    assert f"{items} to delete" in other, "what another brand has put there is not this one's"
    assert "0 to delete" in await shop.run(
        "whatsapp", "catalog", "sync", "tech", "--catalog", CATALOG, "--keep-others", "--dry-run"
    )


async def _profile(shop: Shop) -> None:
    about = "Moda para todos os dias"
    changed = await shop.run(
        "whatsapp", "profile", "set", FASHION, "--about", about, "--website", "https://loja.example"
    )
    assert "Changed: about, websites." in changed
    shown = await shop.run("whatsapp", "profile", "show", FASHION)
    assert about in shown
    assert "https://loja.example" in shown
    assert "1 to 139 characters" in await shop.run("whatsapp", "profile", "set", FASHION, "--about", "x" * 140, code=1)
    assert "nothing to change" in await shop.run("whatsapp", "profile", "set", FASHION, code=1)
    numbers = await shop.run("whatsapp", "numbers")
    assert f"{FASHION}    fashion" in numbers
    assert "GREEN" in numbers
