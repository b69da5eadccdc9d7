"""Puts catalogue files, locations and shipping rates into a running store."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import yaml

from agent_store.contracts.catalog import ImportCatalog, ImportProduct, ImportReport, ListCategories
from agent_store.contracts.inventory import ImportLocations, ListLocations
from agent_store.kernel.runtime import Runtime
from agent_store.kernel.tool import Principal

IMPORTER = Principal(staff="import")


async def import_text(runtime: Runtime, text: str, form: str, *, brand: str | None = None) -> ImportReport:
    """All products of a file or none. Raises FileErrors that names every bad row."""
    from agent_store.agents.catalog.files import FileKind, parse

    products = parse(text, cast(FileKind, form), brand=brand)
    return await import_products(runtime, products)


async def import_products(runtime: Runtime, products: tuple[ImportProduct, ...]) -> ImportReport:
    return await runtime.call(ImportCatalog(products=products), IMPORTER)


async def import_locations(runtime: Runtime, data: Path) -> None:
    """Warehouses and stores, where there are none yet: a catalogue file's stock names them."""
    if not await runtime.call(ListLocations()):
        await runtime.call(sample_locations(data), IMPORTER)


def sample_locations(data: Path) -> ImportLocations:
    listed: dict[str, Any] = yaml.safe_load((data / "locations.yaml").read_text("utf-8"))
    return ImportLocations.model_validate({"locations": listed["locations"]})


async def import_samples(runtime: Runtime, data: Path, brands: list[str]) -> int:
    """The sample catalogues of those brands that have no products; returns how many products that were.

    Brand by brand, so that a start that was killed in the middle is made good by the next one. Waits until prices and
    stock are in.
    """
    count = 0
    for brand in brands:
        path = data / f"{brand}.yaml"
        if path.is_file() and not await runtime.call(ListCategories(brand=brand)):
            count += (await import_text(runtime, path.read_text("utf-8"), "yaml")).products
    if count:
        await runtime.settle()
    return count
