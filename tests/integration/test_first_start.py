"""What a first start puts in, and what a start that was killed in the middle of it leaves to the next one."""

from __future__ import annotations

from pathlib import Path

from agent_store.contracts.catalog import ListCategories, SearchProducts
from agent_store.contracts.inventory import ListLocations
from agent_store.entrypoints import catalogue
from tests.support.embedded import RunningStore

CSV = """product_id;name;category;sku;price;brand;stock
capa-lua;Capa Lua;capas;TEC-CAPA-1;39,90;tech;cd-cajamar=4
"""


async def test_without_sample_data_a_catalogue_file_still_finds_its_locations(tmp_path: Path) -> None:
    async with RunningStore(data=tmp_path, sample_data=False) as store:
        runtime = store.store.runtime
        assert await runtime.call(ListCategories(brand="*")) == ()
        assert len(await runtime.call(ListLocations())) == 5
        await catalogue.import_text(runtime, CSV, "csv")
        await store.settle()
        (hit,) = (await runtime.call(SearchProducts(text="capa", brand="tech"))).hits
        assert hit.product.variants[0].available == 4
        assert await runtime.dead() == []


async def test_a_start_makes_good_what_a_killed_one_did_not_put_in(tmp_path: Path) -> None:
    async with RunningStore(data=tmp_path, sample_data=False) as store:
        # As far as a first start had come when it was killed: one brand of five.
        imported = await catalogue.import_samples(store.store.runtime, store.store.data, ["beauty"])
        assert imported >= 40
    async with RunningStore(data=tmp_path) as store:
        for brand in ("fashion", "tech", "home", "beauty", "gaming"):
            assert await store.store.runtime.call(ListCategories(brand=brand)), brand
        count = (await store.store.runtime.call(SearchProducts(brand="beauty", in_stock=False, limit=1))).total
        assert count == imported
