"""A store with catalogue, pricing and inventory, filled with the sample data or with products of a test's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from agent_store.agents.catalog.agent import catalog
from agent_store.agents.catalog.files import parse
from agent_store.agents.catalog.repository import Catalog, Projections
from agent_store.agents.inventory.agent import inventory
from agent_store.agents.inventory.model import Change, Level, Stock
from agent_store.agents.inventory.repository import Shelves
from agent_store.agents.inventory.service import InventorySettings
from agent_store.agents.pricing.agent import pricing
from agent_store.agents.pricing.model import Price
from agent_store.agents.pricing.repository import Prices
from agent_store.contracts.catalog import ImportCatalog, ImportProduct
from agent_store.contracts.inventory import ImportLocations, LocationView
from agent_store.kernel.agent import Agent
from agent_store.kernel.store import Unit
from agent_store.kernel.tool import Principal
from tests.support.store import TestStore

DATA = Path(__file__).parents[2] / "data"
BRANDS = ("fashion", "tech", "home", "beauty", "gaming")
STAFF = Principal(staff="Ana")


def sample_products(*brands: str) -> tuple[ImportProduct, ...]:
    """The products of the sample catalogues (default: of all brands)."""
    files = (DATA / f"{brand}.yaml" for brand in brands or BRANDS)
    return tuple(product for file in files for product in parse(file.read_text(encoding="utf-8"), "yaml"))


def sample_locations() -> tuple[LocationView, ...]:
    data = yaml.safe_load((DATA / "locations.yaml").read_text(encoding="utf-8"))
    return tuple(LocationView.model_validate(location) for location in data["locations"])


def shop(*more: Agent, ports: Mapping[type[Any], object] | None = None) -> TestStore:
    return TestStore(
        [catalog, pricing, inventory, *more],
        ports={InventorySettings: InventorySettings(low_stock=0), **(ports or {})},
    )


async def fill(store: TestStore, products: Sequence[ImportProduct]) -> None:
    await store.call(ImportLocations(locations=sample_locations()), STAFF)
    await store.call(ImportCatalog(products=tuple(products)), STAFF)
    await store.settle()


def tools_of(agent: Agent) -> Agent:
    """The agent without its subscriptions: the products' million events are not what is measured."""
    quiet = Agent(agent.name, tables=agent.tables, ddl=agent.ddl)
    quiet.tools.update(agent.tools)
    return quiet


async def fill_quietly(store: TestStore, products: Sequence[ImportProduct]) -> None:
    """Catalogue by its own import, prices and stock by their rooms' repositories, projections as their events would."""
    await store.call(ImportCatalog(products=tuple(products)), STAFF)
    at = store.clock.now()

    async def prices_and_stock(unit: Unit) -> None:
        variants = [(product, variant) for product in products for variant in product.variants]
        await Prices(unit.db).save(
            (Price(sku=v.sku, product_id=p.id, price=v.price, list_price=None, floor=v.price) for p, v in variants), at
        )
        shelves = Shelves(unit.db)
        places = [(variant.sku, place, units) for _, variant in variants for place, units in variant.stock.items()]
        await shelves.add_skus(variant.sku for _, variant in variants)
        await shelves.add_levels((sku, place) for sku, place, _ in places)
        await shelves.write(
            [Stock(sku, 1, units, 0) for sku, _, units in places],
            [Level(sku, place, units, 0) for sku, place, units in places],
            [(Change(sku, place, on_hand=units), 1) for sku, place, units in places],
            cause="import", order_id=None, reason=None, staff=None, at=at,
        )  # fmt: skip
        projections = Projections(unit.db)
        for _, variant in variants:
            await projections.price(variant.sku, 1, variant.price.minor, None)
            await projections.stock(variant.sku, 1, sum(variant.stock.values()))
        families = await Catalog(unit.db).variants([product.id for product in products])
        await projections.sum_up_products(families.values())

    await store.runtime.store.run(prices_and_stock, timeout=600)
