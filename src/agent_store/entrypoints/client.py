"""How the command line reaches a running store: its address and token stand in `<data>/run.json`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click
import httpx


class Client:
    """HTTP with the staff token. Every failure ends the command with one sentence."""

    def __init__(self, data: Path) -> None:
        path = data / "run.json"
        try:
            run = json.loads(path.read_text("utf-8"))
            os.kill(run["pid"], 0)
        except (FileNotFoundError, ProcessLookupError):
            raise click.ClickException(
                f"no store runs on {data}: start one with `make up` (or `agent-store up --data {data}`)"
            ) from None
        except PermissionError:
            pass
        self.url: str = run["url"]
        self.token: str = run["token"]
        self._http = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=60, trust_env=False
        )

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


def _say(answer: httpx.Response) -> str:
    try:
        value = answer.json()
        lines = [str(value.get("detail") or value)]
        errors = (value.get("details") or {}).get("errors")
        if isinstance(errors, list):
            lines += [f"  {line}" for line in errors]  # type: ignore[misc]  # any JSON
        return "\n".join(lines)
    except ValueError:
        return f"HTTP {answer.status_code}: {answer.text[:300]}"
