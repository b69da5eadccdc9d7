"""Every page of the console on one FastAPI application."""

from __future__ import annotations

from fastapi import FastAPI

from agent_store.adapters.http.auth import StaffAuth
from agent_store.adapters.whatsapp.simulator import Simulator
from agent_store.contracts.brands import Directory
from agent_store.kernel.runtime import Runtime


def mount_pages(
    app: FastAPI, runtime: Runtime, simulator: Simulator | None, directory: Directory, auth: StaffAuth, secret: str
) -> None:
    raise NotImplementedError
