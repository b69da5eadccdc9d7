"""How the command line reaches a running store: its address and token stand in `<data>/run.json`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click
import httpx


class Client:
    """HTTP with the staff token. Every failure ends the command with one sentence.

    `url` and `token` name a store that runs elsewhere; without them it is the one on the data folder.
    """

    def __init__(self, data: Path, *, url: str = "", token: str = "") -> None:
        self.url, self.token = (url.rstrip("/"), token) if url else self._running_on(data)
        if not self.token:
            raise click.ClickException("the staff token is needed: put it into AGENT_STORE_STAFF_TOKEN")
        self._http = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=60, trust_env=False
        )

    def _running_on(self, data: Path) -> tuple[str, str]:
        path = data / "run.json"
        run: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        if not run or not _lives(run["pid"]):
            raise click.ClickException(
                f"no store runs on {data}: start one with `make up` (or `agent-store up --data {data}`)"
            )
        return run["url"], run["token"]

    def request(self, method: str, path: str, **options: Any) -> Any:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise click.ClickException(f"the store at {self.url} does not answer: {error}") from error
        if answer.is_error:
            raise click.ClickException(_say(answer))
        return answer.json() if answer.content else None

    def get(self, path: str, **params: Any) -> Any:
        return self.request("GET", path, params={key: value for key, value in params.items() if value is not None})

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.request("POST", path, json=body, **options)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's, but there
    return True


def _say(answer: httpx.Response) -> str:
    """The sentence of a problem document; whatever else came, shortened."""
    try:
        value: dict[str, Any] = answer.json()
    except ValueError:
        return f"HTTP {answer.status_code}: {answer.text[:300]}"
    return str(value.get("detail") or value)
