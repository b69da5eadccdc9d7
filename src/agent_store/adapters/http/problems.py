"""Errors at the HTTP edge: RFC 9457 problem details with our stable codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent_store.kernel.errors import StoreError, TemporaryError

if TYPE_CHECKING:
    from fastapi import FastAPI


def problem(status: int, code: str, detail: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    return JSONResponse(
        {"type": f"urn:agent-store:problem:{code}", "title": code.replace("-", " "), "status": status, "detail": detail}
        | ({"details": to_jsonable_python(more, fallback=str)} if more else {}),
        status,
        headers,
        "application/problem+json",
    )


def of_error(error: StoreError) -> Response:
    headers = {"Retry-After": "5"} if isinstance(error, TemporaryError) else None
    if isinstance(error, TemporaryError) and error.retry_after is not None:
        headers = {"Retry-After": str(max(1, int(error.retry_after.total_seconds())))}
    if error.status == 401:
        headers = {"WWW-Authenticate": 'Bearer realm="agent-store staff"'}
    return problem(error.status, error.code, error.message, headers, **error.details)


def install(app: FastAPI) -> None:
    from fastapi.exceptions import RequestValidationError

    async def store_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, StoreError)  # noqa: S101  # registered for this class below
        return of_error(error)

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return problem(422, "invalid-input", f"{where}: {first['msg']}", field=where)

    async def plain(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        code = {404: "not-found", 405: "method-not-allowed", 401: "unauthorized"}.get(error.status_code, "error")
        return problem(error.status_code, code, str(error.detail), dict(error.headers or {}))

    app.add_exception_handler(StoreError, store_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, plain)
