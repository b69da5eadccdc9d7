"""Which store a command is for: the one on the data folder, or one that runs elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from agent_store.entrypoints.client import Client

F = TypeVar("F", bound=Callable[..., Any])


def where(command: F) -> F:
    """The options `--url` and `--data`."""
    for option in (
        click.option(
            "--url", default="", help="Address of a store that runs elsewhere (token: AGENT_STORE_STAFF_TOKEN)."
        ),
        click.option(
            "--data",
            type=click.Path(file_okay=False, path_type=Path),
            default=None,
            help="The store's data folder (./var).",
        ),
    ):
        command = option(command)
    return command


def client_of(data: Path | None, url: str) -> Client:
    from agent_store.entrypoints.client import Client
    from agent_store.entrypoints.settings import load

    settings = load()
    return Client(data or settings.data, url=url, token=settings.staff_token)
