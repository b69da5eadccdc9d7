"""What the staff API asks of the process that it runs in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_store.contracts.brands import Brand
from agent_store.contracts.catalog import ImportReport, ProductView
from agent_store.entrypoints import catalogue
from agent_store.kernel.errors import Conflict
from agent_store.kernel.runtime import Runtime

if TYPE_CHECKING:
    from agent_store.contracts.brands import Directory


def draw_product(product: ProductView, theme: str) -> str:
    """The picture of a product as SVG; `theme` is its brand's colour."""
    from agent_store.agents.catalog.pictures import draw

    return draw(
        shape=product.picture.get("shape", ""),
        color=product.picture.get("color", theme),
        name=product.name,
        seed=product.id,
        theme=theme,
    )


class RemoteAdmin:
    """See `adapters.http.api.Admin`: in a store of several processes."""

    def __init__(self, runtime: Runtime, directory: Directory) -> None:
        self._runtime = runtime
        self._directory = directory

    async def add_brand(self, text: str) -> Brand:
        raise Conflict(
            "this store runs as several processes: a brand is added by deploying its seller, not through this one"
        )

    async def import_catalog(self, text: str, form: str) -> ImportReport:
        return await catalogue.import_text(self._runtime, text, form)
