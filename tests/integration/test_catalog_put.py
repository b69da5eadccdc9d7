"""`agent-store catalog put`: a brand's catalogue goes into a store of several processes, and waits for it to be there."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent_store.agents.catalog.files import FileErrors
from agent_store.contracts.catalog import (
    Hit,
    ImportProduct,
    ImportVariant,
    ListCategories,
    ProductView,
    SearchProducts,
    SearchResult,
)
from agent_store.contracts.inventory import ListLocations
from agent_store.entrypoints import catalogue_put
from agent_store.entrypoints.catalogue_put import put as put_catalog
from agent_store.entrypoints.served import ServedProcess
from agent_store.entrypoints.settings import Settings, load
from agent_store.kernel.errors import InvalidInput, TemporaryError
from agent_store.kernel.ids import ProductId, Sku
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Principal
from tests.support.directory import brand, directory_text, put
from tests.support.remote import serving

KEYS = "one:a-secret-of-the-tests"
PRODUCTS = """
products:
  - id: coleira-azul
    name: Coleira Azul
    category: coleiras
    price: "39.90"
    variants:
      - {sku: PET-COLEIRA-P, size: P, stock: {cd-cajamar: 12}}
"""
CATALOG = ["catalog", "inventory", "pricing"]


@pytest.fixture(autouse=True)
def sink(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Broker that never answers: prices and stock wait in the outbox."""
    monkeypatch.setenv("K_SINK", "http://127.0.0.1:9/")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return put(tmp_path / "mounted" / "directory.yaml", directory_text(brand("pets")))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return put(tmp_path / "catalog.yaml", PRODUCTS)


def environment(directory: Path, data: str, keys: str = KEYS) -> dict[str, str]:
    return {
        "AGENT_STORE_DATA": str(directory.parent.parent / data), "AGENT_STORE_BUS": "knative",
        "AGENT_STORE_DIRECTORY": str(directory), "AGENT_STORE_KEYS": keys,
    }  # fmt: skip


def job(directory: Path, keys: str = KEYS) -> Settings:
    return load(environment(directory, "job", keys))


@asynccontextmanager
async def catalogue(directory: Path) -> AsyncGenerator[ServedProcess]:
    """Runs, and stands in the directory."""
    process = ServedProcess(load(environment(directory, "catalogue")), CATALOG)
    await process.start()
    try:
        async with serving(process.door()) as url:
            services = {"product-catalog": {"url": url, "consumers": CATALOG}}
            put(directory, directory_text(brand("pets"), services=services))
            yield process
    finally:
        await process.stop()


async def test_it_waits_for_the_catalogue_and_then_all_of_the_file_is_in(directory: Path, file: Path) -> None:
    said: list[str] = []
    putting = asyncio.create_task(put_catalog(job(directory), file, "pets", seconds=60, settle=0, say=said.append))
    async with asyncio.timeout(30):
        while not said:
            await asyncio.sleep(0.01)
    assert said == ["waiting: no service runs inventory yet"]
    async with catalogue(directory) as process:
        report = await putting
        assert (report.products, report.variants) == (1, 1)
        assert [one.category for one in await process.runtime.call(ListCategories(brand="pets"))] == ["coleiras"]
        assert await process.runtime.call(ListLocations()), "a file's stock names the locations"
        again = await put_catalog(job(directory), file, "pets", seconds=60, settle=0, say=said.append)
        assert again == report


class Finds:
    """Tools of a store whose search finds a product when it is asked the third time for it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def call(self, tool: Any, principal: Principal) -> SearchResult:
        assert isinstance(tool, SearchProducts)
        self.asked.append(tool.text)
        if len(self.asked) == 1:
            raise TemporaryError("it restarts", code="away")
        if self.asked.count(tool.text) < 3:
            return SearchResult(hits=(), total=0)
        product = ProductView(
            id=ProductId(tool.text), brand="pets", name=tool.text, category="c", image="", variants=()
        )
        return SearchResult(hits=(Hit(product=product),), total=1)


async def test_it_waits_until_customers_find_what_is_in_stock_and_not_for_ever() -> None:
    def product(name: str, stock: int) -> ImportProduct:
        variant = ImportVariant(sku=Sku(f"SKU-{name.upper()}"), price=Money(minor=100), stock={"here": stock})
        return ImportProduct(id=ProductId(name), brand="pets", name=name, category="c", variants=(variant,))

    tools, said = Finds(), list[str]()
    products = (product("gone", 0), product("red", 1), product("blue", 2))
    await catalogue_put._until_found(tools, products, seconds=30, say=said.append)  # type: ignore[arg-type]
    assert set(tools.asked) == {"red", "blue"}
    assert said == ["waiting: it restarts"]
    await catalogue_put._until_found(Finds(), products, seconds=0.1, say=said.append)  # type: ignore[arg-type]
    assert said[-1] == "in, but not found by a search yet: red, blue"


async def test_an_address_where_nobody_is_yet_is_asked_again_and_not_for_ever(directory: Path, file: Path) -> None:
    services = {"product-catalog": {"url": "http://127.0.0.1:9", "consumers": CATALOG}}
    put(directory, directory_text(brand("pets"), services=services))
    with pytest.raises(TemporaryError, match=r"not imported in 4 s: .*cannot be reached"):
        await put_catalog(job(directory), file, "pets", seconds=4, settle=0, say=lambda line: None)


async def test_a_key_that_the_store_does_not_know_lets_nothing_in(directory: Path, file: Path) -> None:
    async with catalogue(directory) as process:
        stranger = job(directory, "two:another-secret-of-the-tests")
        with pytest.raises(TemporaryError, match="refuses us"):
            await put_catalog(stranger, file, "pets", seconds=5, settle=0, say=lambda line: None)
        assert await process.runtime.call(ListCategories(brand="pets")) == ()


async def test_a_file_that_is_not_this_brands_or_is_broken_is_refused_at_once(directory: Path, tmp_path: Path) -> None:
    def nothing(line: str) -> None:
        raise AssertionError(line)

    for name, text, sentence in (
        ("a.yaml", PRODUCTS.replace("    name", "    brand: fashion\n    name"), "products of fashion"),
        ("b.txt", PRODUCTS, "a catalogue file ends in"),
    ):
        with pytest.raises(InvalidInput, match=sentence):
            await put_catalog(job(directory), put(tmp_path / name, text), "pets", seconds=5, settle=0, say=nothing)
    with pytest.raises(FileErrors, match="price"):
        await put_catalog(
            job(directory),
            put(tmp_path / "c.yaml", PRODUCTS.replace("39.90", "cheap")),
            "pets",
            seconds=5,
            settle=0,
            say=nothing,
        )
    with pytest.raises(InvalidInput, match="AGENT_STORE_DIRECTORY"):
        await put_catalog(
            load({"AGENT_STORE_DATA": str(tmp_path / "x")}), put(tmp_path / "d.yaml", PRODUCTS), "pets", seconds=5, settle=0,
            say=nothing,
        )  # fmt: skip


async def test_the_command_says_what_it_did_and_fails_with_a_sentence(directory: Path, file: Path) -> None:
    async with catalogue(directory):
        code, said = await command(directory, "catalog", "put", str(file), "--brand", "pets", "--settle", "1")
        assert code == 0
        assert said == "in, but not found by a search yet: coleira-azul\n1 products with 1 variants are in.\n"
    code, said = await command(directory, "catalog", "put", str(file), "--brand", "pets", "--wait", "0.5")
    assert code == 1
    assert "Error: not imported in 0.5 s" in said
    code, said = await command(directory, "tick", "whatsapp.tidy_strays", "--wait", "0.5")
    assert code == 1
    assert "the broker has not taken store.schedule.whatsapp.tidy_strays in 0.5 s" in said


async def command(directory: Path, *arguments: str) -> tuple[int, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_STORE_")}
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("agent-store"), *arguments, env={**kept, **environment(directory, "job")},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()
