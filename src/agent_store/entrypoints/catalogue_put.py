"""Puts a brand's catalogue file into a store of several processes, from outside: what a Job does when a brand is added."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from agent_store.adapters.http.tokens import Tokens
from agent_store.adapters.http.tools_client import RemoteToolbox
from agent_store.adapters.livefile import read_text
from agent_store.adapters.services import Services
from agent_store.adapters.telemetry.metrics import PrometheusMetrics
from agent_store.agents.catalog.files import kind_of, parse
from agent_store.contracts.catalog import ImportCatalog, ImportProduct, ImportReport, SearchProducts
from agent_store.contracts.inventory import ListLocations
from agent_store.entrypoints import assets
from agent_store.entrypoints.buses import CALLS, keys_of
from agent_store.entrypoints.catalogue import IMPORTER, sample_locations
from agent_store.entrypoints.datafolder import Secrets
from agent_store.entrypoints.directories import Directories
from agent_store.entrypoints.settings import Settings
from agent_store.kernel.clock import SystemClock
from agent_store.kernel.errors import InvalidInput, TemporaryError
from agent_store.kernel.ids import new_id
from agent_store.kernel.toolbox import LocalToolbox

_LAST = 5

if TYPE_CHECKING:
    from agent_store.adapters.kubernetes import ServiceAccount


async def put(
    settings: Settings,
    file: Path,
    brand: str,
    *,
    seconds: float,
    settle: float,
    say: Callable[[str], None],
    account: Callable[[], ServiceAccount] | None = None,
) -> ImportReport:
    """Import a catalogue file through the service that runs the catalogue, called as another service of the store would.

    While that is not there, or does not answer, it is waited for, so many `seconds` in all. Prices and stock travel as
    events: for at most `settle` seconds it is waited until the file's last products are found by customers; it is said
    when they are not. Raises FileErrors that names every bad row, TemporaryError that says what was waited for, and what
    the tool refuses.
    """
    products = parse(read_text(file), kind_of(file.name), brand=brand)
    others = sorted({product.brand for product in products} - {brand})
    if others:
        raise InvalidInput(f"{file.name}: it is to be {brand}'s catalogue, and has products of {', '.join(others)}")
    metrics, clock = PrometheusMetrics(), SystemClock()
    directories = Directories(settings, metrics, account=account)
    if directories.services is None:
        raise InvalidInput("AGENT_STORE_DIRECTORY (or AGENT_STORE_SERVICES): where does the catalogue run?")
    keys = keys_of(settings, Secrets.load(settings.data))
    tools = RemoteToolbox(
        LocalToolbox(metrics), directories.services, Tokens(settings.service or "catalog-put", keys, clock=clock),
        metrics=metrics, limits=CALLS,
    )  # fmt: skip
    directories.watch(within=0.0)
    try:
        report = await _until_taken(tools, directories.services, products, seconds=seconds, say=say)
        await _until_found(tools, products, seconds=settle, say=say)
        return report
    finally:
        tools.close()
        await directories.close()


async def _until_taken(
    tools: RemoteToolbox,
    services: Services,
    products: tuple[ImportProduct, ...],
    *,
    seconds: float,
    say: Callable[[str], None],
) -> ImportReport:
    key, pause, told = new_id(), 0.2, ""  # one key for all tries: an import whose answer was lost is not done twice
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    _check_address(services, "inventory", "catalog")
                    if not await tools.call(ListLocations(), IMPORTER):
                        await tools.call(sample_locations(assets.folder("data")), IMPORTER)
                    return await tools.call(ImportCatalog(products=products), IMPORTER, key=key)
                except TemporaryError as error:
                    # That it is left alone for a moment is no reason: the one before it is.
                    if error.code != "circuit-open" and told != error.message:
                        told = error.message
                        say(f"waiting: {told}")
                await asyncio.sleep(pause)
                pause = min(5.0, pause * 2)
    except TimeoutError:
        raise TemporaryError(f"not imported in {seconds:g} s: {told or 'no answer'}", code="catalog-away") from None


async def _until_found(
    tools: RemoteToolbox, products: tuple[ImportProduct, ...], *, seconds: float, say: Callable[[str], None]
) -> None:
    """The last of those that are in stock: what was imported before them has come through before them, nearly."""
    stocked = [one for one in products if any(sum(variant.stock.values()) > 0 for variant in one.variants)]
    waiting = stocked[-_LAST:]
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while waiting and loop.time() < end:
        try:
            waiting = [one for one in waiting if not await _is_found(tools, one)]
        except TemporaryError as error:
            say(f"waiting: {error.message}")
        if waiting:
            await asyncio.sleep(0.5)
    if waiting:
        say(f"in, but not found by a search yet: {', '.join(one.id for one in waiting)}")


async def _is_found(tools: RemoteToolbox, product: ImportProduct) -> bool:
    asked = SearchProducts(text=product.name, brand=product.brand, category=product.category, relax=False, limit=50)
    found = await tools.call(asked, IMPORTER)
    return any(hit.product.id == product.id for hit in found.hits)


def _check_address(services: Services, *agents: str) -> None:
    for agent in agents:
        if services.url_of_agent(agent) is None:
            raise TemporaryError(f"no service runs {agent} yet", code="no-service")
