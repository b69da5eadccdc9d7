"""A fake Graph API: takes messages as Meta does, and shows them all at /sent, oldest first. Keeps them in memory."""

from __future__ import annotations

import itertools
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SENT: list[dict[str, Any]] = []
_numbers = itertools.count(1)


class Graph(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200, SENT)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.headers.get("Authorization", "").startswith("Bearer "):
            self._answer(401, {"error": {"message": "no token", "code": 190}})
            return
        if "to" not in body and "recipient" not in body:  # read receipts and typing indicators
            self._answer(200, {"success": True})
            return
        wamid = f"wamid.OUT{next(_numbers):06d}"
        SENT.append({"wamid": wamid, "number": self.path.split("/")[2], "payload": body})
        to = body.get("to") or body.get("recipient")
        contacts = [{"input": to, "wa_id": to}]
        self._answer(200, {"messaging_product": "whatsapp", "contacts": contacts, "messages": [{"id": wamid}]})

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8080), Graph).serve_forever()
