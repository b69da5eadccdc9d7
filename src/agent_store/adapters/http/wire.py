"""How a tool's answer travels between processes: its result as JSON, its error as a problem that comes back as itself.

A problem with the member `class` is the tool's own word: it is raised at the caller as the same kernel error, as if the
tool were local. A problem without it speaks for the way: the edge, a proxy, a gateway.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json
from starlette.responses import JSONResponse, Response

from agent_store.adapters.http import problems
from agent_store.kernel import errors
from agent_store.kernel.contexts import dump_error, load_error
from agent_store.kernel.errors import InvalidInput, StoreError, TemporaryError

KEY = "idempotency-key"
TRACE = "traceparent"
STATE = "tracestate"
TIME_LEFT = "x-time-left-ms"
"""Milliseconds that the caller still waits: the tool need not take longer."""

LARGEST = 1 << 20
"""Bytes of a call's arguments."""
LONGEST_KEY = 1024
"""Characters of an idempotency key."""

_PROBLEM = "urn:agent-store:problem:"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A problem that no tool speaks of."""

    code: str
    detail: str


class _Problem(BaseModel):
    model_config = ConfigDict(extra="ignore")

    type: str = ""
    detail: str = Field(default="", max_length=100_000)
    kind: str | None = Field(default=None, alias="class")
    temporary: bool = False
    code: str = ""
    details: dict[str, Any] = Field(default_factory=dict[str, Any])
    retry_after: float | None = Field(default=None, ge=0, le=86_400)


def arguments(tool: str, body: bytes) -> dict[str, Any]:
    """A call's arguments. Raises InvalidInput for what is no JSON object, or holds what UTF-8 cannot say."""
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidInput(f"{tool}: the arguments are no JSON: {error}", field="arguments") from error
    if not isinstance(value, dict):
        raise InvalidInput(f"{tool}: the arguments are a JSON object", field="arguments")
    return cast("dict[str, Any]", value)


def of_tool(error: StoreError) -> Response:
    """The problem document of an error that a tool has raised."""
    said = json.loads(dump_error(error))
    plain = problems.of_error(error)
    body = {
        "type": f"{_PROBLEM}{error.code}",
        "title": error.code.replace("-", " "),
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "class": _kernel_class(error),
        "temporary": said["temporary"],
        "retry_after": said["retry_after"],
    }
    if error.details:
        body["details"] = said["details"]
    headers = {name: value for name in ("retry-after",) if (value := plain.headers.get(name)) is not None}
    return JSONResponse(body, error.status, headers, "application/problem+json")


def details_of(error: StoreError) -> dict[str, Any]:
    """The facts of an error as JSON has them."""
    return json.loads(dump_error(error))["details"]


def _kernel_class(error: StoreError) -> str:
    """The nearest class that the caller knows too."""
    return next(kind.__name__ for kind in type(error).__mro__ if getattr(errors, kind.__name__, None) is kind)


def read_problem(status: int, body: bytes) -> StoreError | Refusal:
    """What an answer that is no success says. Never raises: rubbish is a refusal without a sentence."""
    try:
        problem = _Problem.model_validate_json(body)
    except ValidationError:
        return Refusal(f"http-{status}", f"HTTP {status}")
    code = problem.type.removeprefix(_PROBLEM) if problem.type.startswith(_PROBLEM) else f"http-{status}"
    if problem.kind is None:
        return Refusal(code, problem.detail or f"HTTP {status}")
    error = load_error(
        json.dumps(
            {
                "class": problem.kind,
                "temporary": problem.temporary,
                "message": problem.detail,
                "code": problem.code or code,
                "details": {},
                "retry_after": problem.retry_after,
            }
        )
    )
    error.details = problem.details  # not as keywords: what the other side calls them is not ours to trip over
    error.status = status
    if isinstance(error, TemporaryError) and problem.retry_after is not None:
        error.retry_after = timedelta(seconds=problem.retry_after)
    return error


def tag_of(body: bytes) -> str:
    """The entity tag of a document: made of its bytes, so that both sides know it without a word."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
