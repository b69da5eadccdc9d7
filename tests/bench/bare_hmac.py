"""The reference of the webhook: a bare ASGI app that checks the HMAC and says OK. Run: python -m tests.bench.bare_hmac PORT"""

from __future__ import annotations

import hashlib
import hmac
import sys
from typing import Any

import uvicorn

SECRET = b"bench"


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    given = next((value for name, value in scope["headers"] if name == b"x-hub-signature-256"), b"")
    good = hmac.compare_digest(given, b"sha256=" + hmac.digest(SECRET, body, hashlib.sha256).hex().encode())
    await send({"type": "http.response.start", "status": 200 if good else 401, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"OK"})


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False, lifespan="off")
