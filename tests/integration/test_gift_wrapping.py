"""Adding an agent is one folder: `examples/gift-wrapping` is installed as a user installs it, and the store is not touched.

It is installed into a folder of its own, which the store's processes find on their path: so the environment of the tests
stays as it is.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import yaml

from agent_store.entrypoints.drill.processes import MAIN, own_environment
from agent_store.entrypoints.drill.processes import StoreProcess as Served
from agent_store.entrypoints.programs import RabbitMQ
from agent_store.kube.derived import subscriptions_of
from agent_store.kube.model import LambdaAgent
from tests.support.components import missing
from tests.support.process import SECRET, TOKEN, StoreProcess

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/gift-wrapping"
ANA = "5511990001234"
CART = "FAS-VPIMENTA-VM-P"
ORDER = {
    "/checkout": "prefere receber",
    "/method:pickup": "Em qual loja",
    "Ana Souza": "Em qual loja",
    "/store:loja-paulista": "Está tudo certo",
    "/confirm_order": "Pague com segurança",
    "/pay_link": "/pay/",
    "4242": "Pagamento aprovado",
}
"""From a cart to a paid order that is fetched at a store: what is said, and what the answer to it says."""
REST = (
    "whatsapp", "conversations", "assistant", "catalog", "inventory", "pricing", "cart", "orders", "payments", "fulfillment",
)  # fmt: skip


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder that the package is installed into; nothing is fetched for it."""
    return install(EXAMPLE, tmp_path_factory.mktemp("installed"))


def install(folder: Path, target: Path) -> str:
    uv = shutil.which("uv") or str(ROOT / ".venv-uv/bin/uv")
    if not Path(uv).exists():
        missing("uv", "uv is absent: `make setup` brings it")
    command = [uv, "pip", "install", "--offline", "--no-deps", "--python", sys.executable, "--target", target, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return str(target)


def run(installed: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The store's command line with the package installed."""
    env = {**own_environment(), "PYTHONPATH": installed, **environment}
    return subprocess.run([*MAIN, *arguments], env=env, capture_output=True, text=True, check=False, timeout=100)


def test_the_packages_own_tests_pass(installed: str) -> None:
    env = {**own_environment(), "PYTHONPATH": installed, "PYTEST_ADDOPTS": ""}
    options = ["-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--rootdir", EXAMPLE]
    command = [sys.executable, "-m", "pytest", *options, EXAMPLE]
    done = subprocess.run(command, cwd=EXAMPLE, env=env, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_tables_are_brought_up_with_those_of_all_agents(installed: str, tmp_path: Path) -> None:
    first = run(installed, "migrate", "--data", str(tmp_path))
    assert "gift-wrapping: nothing → gift_wrapping_0001 (The tables of release 0.1)" in first.stdout, first.stderr
    assert run(installed, "migrate", "--data", str(tmp_path), "--check").returncode == 0
    alone = run(installed, "migrate", "--data", str(tmp_path), "--agents", "gift-wrapping")
    assert alone.stdout == "nothing to do: it is at the head\n"


def test_an_agent_that_nobody_has_is_named_with_those_there_are(installed: str, tmp_path: Path) -> None:
    done = run(installed, "serve", "gift-wraping", "--data", str(tmp_path))
    assert done.returncode == 1
    assert "there is no agent 'gift-wraping'" in done.stderr
    assert done.stderr.rstrip().endswith("seller, gift-wrapping")


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("orders = gift_wrapping.agent:gift_wrapping", "acme brings an agent 'orders', and there is one of that name already"),
        ("acme = acme_is_not_there:agent", "acme: its agent 'acme' cannot be loaded: No module named 'acme_is_not_there'"),
        ("acme = gift_wrapping.agent:nothing", "acme: its agent 'acme' cannot be loaded: "),
        ("acme = gift_wrapping.agent:gift_wrapping", "acme: gift_wrapping.agent:gift_wrapping is no Agent of the name 'acme'"),
    ],
)  # fmt: skip
def test_a_package_that_brings_no_good_agent_stops_the_start_with_a_sentence(
    installed: str, tmp_path: Path, entry: str, why: str
) -> None:
    about = tmp_path / "packages/acme-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n", "utf-8")
    (about / "entry_points.txt").write_text(f"[agent_store.agents]\n{entry}\n", "utf-8")
    found = run(f"{about.parent}{os.pathsep}{installed}", "migrate", "--data", str(tmp_path / "var"))
    assert found.returncode == 1
    assert why in found.stderr


def test_its_lambda_agent_names_what_the_operator_cannot_know(installed: str) -> None:
    script = (
        "from gift_wrapping.agent import gift_wrapping as agent\n"
        "print(*sorted({one.event.topic for one in agent.subscriptions.values()} | ({'schedule'} if agent.ticks else set())))"
    )
    env = {**own_environment(), "PYTHONPATH": installed}
    heard = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True).stdout
    documents = list(yaml.safe_load_all((EXAMPLE / "k8s/gift-wrapping.yaml").read_text("utf-8")))
    (about,) = [one for one in documents if one["kind"] == "LambdaAgent"]
    agent = LambdaAgent.read({**about, "metadata": {**about["metadata"], "namespace": "agent-store-multibrands"}})
    assert agent.spec.run == ("gift-wrapping",)
    assert subscriptions_of(agent, {}) == [{"topic": topic} for topic in heard.split()]
    version = tomllib.loads((EXAMPLE / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert agent.spec.image.tag == version
    (job,) = [one for one in documents if one["kind"] == "Job"]
    image = f"{agent.spec.image.repository}:{version}"
    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == image


async def test_the_page_that_tells_how_leads_to_an_agent_that_sells(tmp_path: Path) -> None:
    """Its files, written down as they stand there."""
    page = (ROOT / "docs/add-an-agent.md").read_text("utf-8")
    files = dict(re.findall(r"^```\w+\n# (gift-wrapping/\S+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    assert sorted(files) == [
        "gift-wrapping/my_gift_wrapping/agent.py", "gift-wrapping/my_gift_wrapping/contract.py", "gift-wrapping/pyproject.toml",
    ]  # fmt: skip
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    (tmp_path / "gift-wrapping/my_gift_wrapping/__init__.py").touch()
    (allowed,) = re.findall(r"echo '(fashion: .*)' > var/tools.yaml", page)
    (wish,) = re.findall(r"# write: (.*)", page)
    data = tmp_path / "var"
    data.mkdir()
    (data / "tools.yaml").write_text(allowed, "utf-8")
    target = await asyncio.to_thread(install, tmp_path / "gift-wrapping", tmp_path / "installed")
    async with StoreProcess(data, PYTHONPATH=target) as store:
        await store.start()
        (answer, *_) = await store.say(ANA, wish, until="Embrulhamos assim")
        assert answer.text.endswith("Embrulhamos assim:\n• Standard: R$ 50,00\n• Premium: R$ 150,00")


async def buy(store: StoreProcess) -> None:
    """Something in the cart."""
    await store.say(ANA, "oi", until="Luna")
    await store.say(ANA, f"/add:{CART}", until="Subtotal: R\\$ 179,90")


async def stocked(http: httpx.AsyncClient) -> None:
    """Until the samples' stock is in, which comes by events."""
    async with asyncio.timeout(60):
        while True:
            staff = {"Authorization": f"Bearer {TOKEN}"}
            answer = await http.post("/api/tools/inventory.availability", json={"skus": [CART]}, headers=staff)
            assert answer.status_code == 200, answer.text
            if answer.json()[0]["available"] > 0:
                return
            await asyncio.sleep(0.1)


async def wrap(store: StoreProcess) -> None:
    """As a customer: ask, see the ways with prices, choose one."""
    answers = await store.say(ANA, "Vocês embrulham? Quero papel de presente", until="Embrulhamos para presente")
    text = "\n".join(one.text for one in answers)
    assert "• Embrulho simples: R$ 50,00" in text
    assert "• Embrulho premium: R$ 150,00" in text
    assert "Vestido Curto Pimenta" in text
    choices = {title: key for one in answers for key, title in one.choices.items()}
    await store.say(ANA, f"/{choices['Embrulho premium']}", until="Anotado 🎁 Embrulho premium: R\\$ 150,00")


async def order(store: StoreProcess, http: httpx.AsyncClient) -> str:
    """From the cart to a confirmed order, fetched at a store; its number."""
    staff = {"Authorization": f"Bearer {TOKEN}", "X-Staff-Name": "Rita"}
    for step, answer in ORDER.items():
        await store.say(ANA, step, until=answer)
    async with asyncio.timeout(60):
        while True:
            answer = await http.post("/api/tools/gift-wrapping.to_wrap", json={}, headers=staff)
            assert answer.status_code == 200, answer.text
            if answer.json():
                (one,) = answer.json()
                assert (one["style"], one["price"]) == ("premium", {"minor": 15000, "currency": "BRL"})
                return str(one["order_number"])
            await asyncio.sleep(0.1)


async def test_the_embedded_store_offers_it_once_it_is_installed_and_allowed(installed: str, tmp_path: Path) -> None:
    data = tmp_path / "var"
    data.mkdir()
    (data / "tools.yaml").write_text('fashion: ["gift-wrapping.*"]\n', "utf-8")
    async with StoreProcess(data, PYTHONPATH=installed) as store:
        await store.start()
        await store.say(ANA, "embrulha para presente?", until="nada no seu carrinho para embrulhar")
        await buy(store)
        await wrap(store)
        await store.say(ANA, "gift wrap", brand="tech")  # not allowed there: the words mean nothing
        number = await order(store, store.http)
        assert number.startswith("AS-")
        assert "gift-wrapping" not in "\n".join(one.text for one in store.graph.to(ANA))


class Several(StoreProcess):
    """The store as processes on RabbitMQ and PostgreSQL: a brand's seller, gift wrapping, and the rest, which find each other
    by a directory file.

    Only the process that runs gift wrapping has its package.
    """

    def __init__(self, data: Path, *, installed: str, rabbitmq: str, database: str) -> None:
        super().__init__(data)
        self._settings = {
            "AGENT_STORE_BUS": rabbitmq,
            "AGENT_STORE_DATABASE_URL": database,
            "AGENT_STORE_DATA": str(data),
            "AGENT_STORE_DIRECTORY": str(data / "directory.yaml"),
            "AGENT_STORE_WHATSAPP_APP_SECRET": SECRET,
            "AGENT_STORE_STAFF_TOKEN": TOKEN,
            "AGENT_STORE_BURST_WINDOW": "0",
            "AGENT_STORE_GRACE": "5",
        }
        groups: dict[str, tuple[str, ...]] = {
            "ai-seller-fashion": ("seller/fashion",), "gift-wrapping": ("gift-wrapping",), "rest": REST,
        }  # fmt: skip
        self.served: dict[str, Served] = {}
        for name, agents in groups.items():
            more = ["--steward"] if name == "rest" else []
            process = self.served[name] = Served(name, [*MAIN, "serve", *agents, *more])
            process.settings = {**self._settings, **({"PYTHONPATH": installed} if name == "gift-wrapping" else {})}
        services = {name: {"url": one.url, "consumers": list(groups[name])} for name, one in self.served.items()}
        (brand,) = [
            one
            for one in yaml.safe_load((ROOT / "data/brands.yaml").read_text("utf-8"))["brands"]
            if one["id"] == "fashion"
        ]
        directory = {"services": services, "brands": [{**brand, "tools": ["gift-wrapping.*"]}]}
        (data / "directory.yaml").write_text(yaml.safe_dump(directory), "utf-8")

    async def __aenter__(self) -> Several:
        await super().__aenter__()
        return self

    async def start(self, *, ready: bool = True) -> None:
        rest = self.served["rest"]
        self.port = rest.port
        await self.http.aclose()
        self.http = httpx.AsyncClient(base_url=rest.url, trust_env=False, timeout=30)
        rest.settings = {**rest.settings, "AGENT_STORE_WHATSAPP_GRAPH_URL": self.graph.url}
        await asyncio.gather(*(process.start() for process in self.served.values()))

    async def __aexit__(self, *exc: object) -> None:
        for process in self.served.values():
            process.kill()
        await asyncio.gather(*(process.close() for process in self.served.values()))
        await super().__aexit__(*exc)


@asynccontextmanager
async def several(data: Path, installed: str, rabbitmq: RabbitMQ, database: str) -> AsyncGenerator[Several]:
    data.mkdir()
    for done in (
        run("", "migrate", "--database", database),
        run(installed, "migrate", "--database", database, "--agents", "gift-wrapping"),
    ):
        assert done.returncode == 0, done.stderr
    async with Several(data, installed=installed, rabbitmq=rabbitmq.url, database=database) as store:
        await store.start()
        yield store


async def test_a_seller_in_a_process_without_the_package_uses_it_by_its_contract(
    installed: str, tmp_path: Path, rabbitmq: RabbitMQ, postgres_url: str
) -> None:
    async with several(tmp_path / "var", installed, rabbitmq, postgres_url) as store:
        done = await asyncio.to_thread(run, "", "samples", "--brand", "fashion", "--data", str(tmp_path / "var"))
        assert done.returncode == 0, done.stderr
        await stocked(store.http)
        await buy(store)
        await wrap(store)
        async with httpx.AsyncClient(base_url=store.served["gift-wrapping"].url, trust_env=False) as http:
            staff = {"Authorization": f"Bearer {TOKEN}"}
            found = (await http.get("/contracts/tools", params={"agent": "gift-wrapping"}, headers=staff)).json()
            assert [one["name"] for one in found["tools"]] == [
                "gift-wrapping.choose", "gift-wrapping.options", "gift-wrapping.to_wrap",
            ]  # fmt: skip
        rows = await ordered(store, postgres_url)
        assert rows == [{"style": "premium", "price_minor": 15000}], "once"
        log = store.served["ai-seller-fashion"].log
        assert "gift_wrapping" not in log


async def ordered(store: Several, database: str) -> list[dict[str, Any]]:
    """Order what is in the cart; the rows of gift wrapping that stand for an order."""
    for step, answer in ORDER.items():
        await store.say(ANA, step, until=answer)
    connection = await asyncpg.connect(database)
    try:
        async with asyncio.timeout(60):
            while True:
                rows = await connection.fetch(
                    "SELECT style, price_minor FROM gift_wrapping.gift_wrapping_choices WHERE order_id <> ''"
                )
                if rows:
                    return [json.loads(json.dumps(dict(row))) for row in rows]
                await asyncio.sleep(0.1)
    finally:
        await connection.close()
