"""A store with catalogue, pricing and inventory, filled with the sample data or with products of a test's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from agent_store.agents.catalog.agent import catalog
from agent_store.agents.catalog.files import parse
from agent_store.agents.inventory.agent import inventory
from agent_store.agents.inventory.service import InventorySettings
from agent_store.agents.pricing.agent import pricing
from agent_store.contracts.catalog import ImportCatalog, ImportProduct
from agent_store.contracts.inventory import ImportLocations, LocationView
from agent_store.kernel.agent import Agent
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
