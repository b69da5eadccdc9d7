"""Every page of the console on one FastAPI application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from fastapi import FastAPI
from nicegui import ui

from agent_store.agents.whatsapp.phone import Phone
from agent_store.console.escalations import Calls, register_escalations_page
from agent_store.console.simulator import register_simulator_page
from agent_store.contracts.brands import Directory
from agent_store.kernel.news import News


def mount_pages(
    app: FastAPI,
    calls: Calls,
    directory: Directory,
    phone: Phone | None,
    *,
    authorize: Callable[[Any], None],
    storage_secret: str,
    news: News | None = None,
) -> None:
    """Put the pages on `app`, after all its own routes. `phone` is None when no simulator runs; with `news`
    pages are drawn anew as soon as something is committed, in whatever process.

    NiceGUI keeps its pages by process: one store with pages a process.
    """
    register_escalations_page(calls, authorize, news)
    if phone is not None:
        register_simulator_page(phone, directory, authorize=authorize)
    cast("Any", ui).run_with(
        app, title="Agent Store", storage_secret=storage_secret, show_welcome_message=False, language="pt-BR"
    )
